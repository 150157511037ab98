"""Keys, databases and folders go to the groups that need them: on a host with such groups."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_core.keys import PURPOSES

from .command import make
from .test_owner import open_code

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

OWNER = pwd.getpwnam("nobody")
NAMES = (*(f"key-{purpose}" for purpose in PURPOSES), "milter", "sasl")
GROUPS = {name: 61_000 + index for index, name in enumerate(NAMES)}


class Host:
    """A gateway whose store is one user's, on a host with groups; ``members``: whoever is in them."""

    def __init__(self, folder: Path) -> None:
        self.gatepost = make(folder, upgraded=False)
        with self.gatepost.config.open("a") as config:
            config.write(f'[images]\ndirectory = "{folder}/images"\n')
        for part in ("store", "keys", "images/ab", "spool/milter", "spool/sasl"):
            (folder / part).mkdir(mode=0o750, parents=True)
        for part in ("images/ab/one.png", "spool/milter/0.spare"):
            (folder / part).touch(mode=0o640)
        for place in folder.rglob("*"):
            if place != self.gatepost.config:
                os.chown(place, OWNER.pw_uid, OWNER.pw_gid)

    def run(self, *words: str, members: str = OWNER.pw_name) -> str:
        """Run a command there and return what it printed."""
        lines = [f"gatepost-{name}:x:{number}:{members}\n" for name, number in GROUPS.items()]
        groups = self.gatepost.folder / "group"
        groups.write_text(Path("/etc/group").read_text(encoding="utf-8") + "".join(lines))
        command = [sys.executable, "-m", "gatepost_cli", "--config", str(self.gatepost.config), *words]
        inside = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/group && exec "$@"', str(groups)]
        done = subprocess.run(
            [*inside, *command],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, 5), done.stderr
        return done.stdout

    def has(self, path: str) -> tuple[int, int]:
        """Return group and mode."""
        status = (self.gatepost.folder / path).stat()
        return status.st_gid, stat.S_IMODE(status.st_mode)


@pytest.fixture
def host() -> Iterator[Host]:
    # Not tmp_path: pytest lets nobody but root through to it.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield Host(folder)


@open_code
def test_an_upgrade_gives_keys_and_folders_to_their_groups_once(host: Host) -> None:
    """A milter with a user of its own could neither sign nor keep an image otherwise."""
    told = host.run("store", "upgrade")
    assert told.count("given to the group") == 3  # the new keys have their groups from the beginning
    for purpose in PURPOSES:
        assert host.has(f"keys/{purpose}-a.key") == (GROUPS[f"key-{purpose}"], 0o640)
    for folder, name in (("images", "milter"), ("images/ab", "milter"), ("spool/sasl", "sasl")):
        assert host.has(folder) == (GROUPS[name], 0o2770)
    for file in ("images/ab/one.png", "spool/milter/0.spare"):
        assert host.has(file) == (GROUPS["milter"], 0o660)
    assert "given" not in host.run("store", "upgrade")


@open_code
def test_a_store_whose_owner_is_in_no_such_group_is_left_alone(host: Host) -> None:
    """It is a checkout's, on a host that is a gateway as well: one user runs all of it."""
    assert "given" not in host.run("store", "upgrade", members="")
    assert host.has("images/ab") == (OWNER.pw_gid, 0o750)
    assert "no others" not in host.run("doctor", "--only", "keys", members="")


@open_code
def test_doctor_names_a_key_and_a_folder_that_another_group_has(host: Host) -> None:
    host.run("store", "upgrade")
    for path in ("keys/seal-a.key", "spool/milter"):
        os.chown(host.gatepost.folder / path, -1, OWNER.pw_gid)
    told = host.run("doctor", "--only", "keys")
    assert told.count("for the daemons that need it, and no others") == 2
    assert "gatepost-key-seal, mode 0640" in told
    assert host.run("store", "upgrade").count("given to the group") == 2
    assert "seal" not in host.run("doctor", "--only", "keys")


@open_code
def test_what_a_backup_brings_back_has_its_groups(host: Host) -> None:
    host.run("store", "upgrade")
    archive = str(host.gatepost.folder / "kept.tar.gz")
    host.run("backup", "create", archive)
    host.run("backup", "restore", archive)
    assert host.has("keys/seal-a.key") == (GROUPS["key-seal"], 0o640)
    assert host.has("spool/milter") == (GROUPS["milter"], 0o2770)


@open_code
def test_nothing_is_changed_by_a_link_that_a_daemon_put_there(host: Host) -> None:
    """Else whoever may write hosted images could open other files of the owner's to his group."""
    secret = host.gatepost.folder / "store" / "secret"
    secret.touch(mode=0o600)
    os.chown(secret, OWNER.pw_uid, OWNER.pw_gid)
    (host.gatepost.folder / "images/ab/link").symlink_to(secret)
    (host.gatepost.folder / "images/folder").symlink_to(secret.parent)
    host.run("store", "upgrade")
    assert host.has("store/secret") == (OWNER.pw_gid, 0o600)
    assert host.has("store")[1] == 0o750


@open_code
def test_a_closed_database_is_named_and_opened_to_those_who_read_it(host: Host) -> None:
    """Of a gateway whose daemons were one user: the others could let nobody in, nor take a message."""
    host.run("store", "upgrade")
    for name in ("directory", "journal"):
        (host.gatepost.folder / f"store/{name}.db").chmod(0o600)
    told = host.run("doctor", "--only", "keys")
    assert "store/directory.db" in told
    assert "store/journal.db" in told
    assert host.run("store", "upgrade").count("given to the group") == 2
    assert host.has("store/directory.db") == (OWNER.pw_gid, 0o640)
    assert "directory.db" not in host.run("doctor", "--only", "keys")
    (host.gatepost.folder / "store/directory.db").chmod(0o600)
    assert "given" not in host.run("store", "upgrade", members="")
