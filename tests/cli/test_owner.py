"""Run by root, ``gatepost`` leaves nothing of root's beside files of the daemons' user."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_cli import owner
from gatepost_cli.owner import as_owner_of

from .command import Gatepost, make

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def _code_is_open() -> bool:
    return all(place.stat().st_mode & 0o001 for place in Path(owner.__file__).parents)


open_code = pytest.mark.skipif(
    not _code_is_open(), reason="in a tree that is closed to others the command says so: see the last test"
)
NOBODY = pwd.getpwnam("nobody")
NAMELESS = 54_321  # a user id that no passwd entry has
GROUP = 54_322
MESSAGE = "From: a@example.test\nTo: b@example.test\nSubject: hello\n\nHello.\n"


@pytest.fixture(params=[NOBODY.pw_uid, NAMELESS])
def theirs(request: pytest.FixtureRequest) -> Iterator[Gatepost]:
    """A store directory and a key directory of another user's, below one of root's; nothing in them."""
    # Not tmp_path: pytest lets nobody but root through to it.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        gatepost = make(folder, upgraded=False)
        for part in ("store", "keys"):
            (folder / part).mkdir(mode=0o750)
            os.chown(folder / part, request.param, GROUP)
        yield gatepost


def strangers(gatepost: Gatepost) -> list[str]:
    """Return what is not the owner's, and of his directory's group."""
    owner = (gatepost.folder / "store").stat()
    files = [path for name in ("store", "keys") for path in (gatepost.folder / name).iterdir()]
    assert len(files) > 4
    return [
        str(path)
        for path in files
        if (path.stat().st_uid, path.stat().st_gid) != (owner.st_uid, owner.st_gid)
    ]


@open_code
def test_no_command_of_root_leaves_a_file_that_is_not_the_owner_s(theirs: Gatepost) -> None:
    message, output = theirs.folder / "message.eml", theirs.folder / "output.eml"
    message.write_text(MESSAGE)
    message.chmod(0o600)
    theirs.config.chmod(0o600)
    commands = [
        ["store", "upgrade"],
        ["account", "add", "acme"],
        ["credential", "add", "--account", "acme", "--username", "demo", "--json"],
        ["domain", "add", "example.test", "--account", "acme"],
        ["credential", "set", "demo", "--label", "x"],
        ["credential", "list"],
        ["message", "list"],
        ["explain", str(message), "--credential", "demo", "--output", str(output)],
        ["postfix-settings"],
        ["credential", "remove", "demo"],
        ["doctor", "--only", "store", "--only", "keys", "--only", "clock"],
    ]
    for words in commands:
        done = theirs.process(*words)
        assert done.code == 0, done
        assert strangers(theirs) == []
    assert output.stat().st_uid == 0
    assert b"Hello." in output.read_bytes()


@open_code
def test_what_a_backup_brings_back_is_the_owner_s_in_folders_that_stand_in_one_of_root_s(
    theirs: Gatepost,
) -> None:
    """Else the daemons find keys and images that they may not read."""
    folder, images = theirs.folder, theirs.folder / "images"
    with theirs.config.open("a") as config:
        config.write(f'[images]\ndirectory = "{images}"\n')
    assert theirs.process("store", "upgrade").code == 0
    kept = images / "ab" / f"{'ab' * 32}.png"
    kept.parent.mkdir(parents=True)
    kept.write_text("png")
    shutil.chown(kept, (folder / "store").stat().st_uid)
    assert theirs.process("backup", "create", str(folder / "kept.tar.gz")).code == 0
    owner = (folder / "store").stat().st_uid
    for lost in ([], [images, folder / "keys"]):
        for place in lost:
            shutil.rmtree(place)
        done = theirs.process("backup", "restore", str(folder / "kept.tar.gz"))
        assert done.code == 0, done
        assert strangers(theirs) == []
        assert {path.stat().st_uid for path in (folder / "keys", kept)} == {owner}
    assert {path.stat().st_uid for path in (images, kept.parent)} == {owner}


@open_code
def test_a_password_is_tried_by_root_and_read_from_standard_input(theirs: Gatepost) -> None:
    assert theirs.process("store", "upgrade").code == 0
    assert theirs.process("account", "add", "acme").code == 0
    made = theirs.process("credential", "add", "--account", "acme", "--json").data
    words = ["credential", "test", made["username"], "--password-stdin", "--json"]
    done = theirs.process(*words, stdin=made["password"] + "\n")
    assert done.data["result"] == "granted"
    assert strangers(theirs) == []


@open_code
def test_a_database_that_the_owner_may_not_use_is_an_error_for_root_too(theirs: Gatepost) -> None:
    assert theirs.process("store", "upgrade").code == 0
    os.chown(theirs.folder / "store" / "directory.db", 0, 0)
    done = theirs.process("account", "add", "acme", "--json")
    assert done.code == 1
    assert "directory.db" in done.error


@open_code
def test_root_is_itself_again_afterwards(theirs: Gatepost) -> None:
    before = (os.getresuid(), os.getresgid(), os.getgroups())
    with pytest.raises(KeyError):
        _fail_as_owner(theirs.folder / "store")
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


def _fail_as_owner(store: Path) -> None:
    with as_owner_of(store / "not-there" / "yet"):
        assert os.geteuid() == store.stat().st_uid
        assert os.getegid() == GROUP
        assert 0 not in os.getgroups()
        raise KeyError


def test_nothing_changes_where_root_owns_the_directory(tmp_path: Path) -> None:
    with as_owner_of(tmp_path):
        assert os.geteuid() == 0
    gatepost = make(tmp_path)
    assert {path.stat().st_uid for path in (gatepost.folder / "store").iterdir()} == {0}


@pytest.mark.skipif(_code_is_open(), reason="the tree must be closed to others, as one below /root is")
def test_a_program_that_the_owner_may_not_read_is_named_with_what_to_do(theirs: Gatepost) -> None:
    done = theirs.process("store", "upgrade")
    assert done.code == 1
    assert "may not read the program" in done.err
    owner_id = (theirs.folder / "store").stat().st_uid
    assert {path.stat().st_uid for path in (theirs.folder / "store").iterdir()} <= {owner_id}
