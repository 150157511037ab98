"""Archives that are hostile or damaged: ``verify`` finds what ``restore`` would stumble over."""

from __future__ import annotations

import gzip
import io
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .archives import Members, changed, member, read, with_content, write
from .command import Gatepost

IMAGE = f"ab/{'ab' * 32}.png"
LINK: dict[str, Any] = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
DEVICE: dict[str, Any] = {"type": tarfile.CHRTYPE}


def adding(*more: tuple[tarfile.TarInfo, bytes]) -> Callable[[Members], Members]:
    return lambda members: [*members, *more]


def without(*names: str) -> Callable[[Members], Members]:
    return lambda members: [(info, data) for info, data in members if info.name not in names]


def other_database(statement: str) -> Callable[[Members], Members]:
    """Return a change of the journal's database by one statement."""

    def change(members: Members) -> Members:
        (data,) = [data for info, data in members if info.name == "databases/journal.db"]
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(data)
            connection.executescript(statement)
            return with_content({"databases/journal.db": connection.serialize()})(members)

    return change


# What is done to a good archive, and what verify and restore say.
HOSTILE: dict[str, tuple[Callable[[Members], Members], str]] = {
    "link": (adding(member("keys/a.key", **LINK)), "holds keys/a.key, which no backup"),
    "hard link": (
        adding(member("keys/a.key", type=tarfile.LNKTYPE, linkname="keys/seal-a.key")),
        "holds keys/a.key",
    ),
    "device": (adding(member("keys/a.key", **DEVICE)), "holds keys/a.key, which no backup"),
    "fifo": (adding(member("images/a", type=tarfile.FIFOTYPE)), "holds images/a, which no backup"),
    "folder": (adding(member("keys/a", type=tarfile.DIRTYPE)), "holds keys/a, which no backup"),
    "above": (adding(member("keys/../../stray", b"x")), "holds keys/../../stray, which"),
    "absolute": (adding(member("/etc/cron.d/stray", b"x")), "which no backup"),
    "dot": (adding(member("keys/./a", b"x")), "which no backup"),
    "no name": (adding(member("keys//a", b"x")), "which no backup"),
    "long name": (adding(member(f"keys/{'a' * 300}", b"x")), "which no backup"),
    "deep": (adding(member("images/" + "a/" * 600 + "b", b"x")), "which no backup"),
    "twice": (adding(member("keys/seal-a.key", b"x")), "holds keys/seal-a.key twice"),
    "file below a file": (adding(member("keys/seal-a.key/b", b"x")), "twice, or as a file and as a folder"),
    "file over a folder": (adding(member("images/ab", b"x")), "twice, or as a file and as a folder"),
    "other part": (adding(member("other/thing", b"x")), "which no backup"),
    "escape": (adding(member("keys/\x1b[2J/../a", b"x")), r"holds 'keys/\x1b[2J/../a'"),
    "settings of others": (adding(member("etc/cron.d", b"x")), "it holds etc/cron.d, which"),
    "no directory": (without("databases/directory.db"), "it holds no directory database"),
    "no journal": (without("databases/journal.db"), "it holds no journal database"),
    "no keys": (lambda members: [one for one in members if "keys/" not in one[0].name], "it holds no keys"),
    "no key": (with_content({"keys/seal-a.key": b"short"}), "keys/seal-a.key of the backup is no key"),
    "no database": (
        with_content({"databases/journal.db": b"no database" * 1000}),
        "journal database of the backup",
    ),
    "empty database": (with_content({"databases/journal.db": b""}), "journal database of the backup"),
    "other schema": (
        other_database("UPDATE alembic_version SET version_num = '0001'"),
        "journal database of the backup: has schema 0001, not",
    ),
    "no schema": (
        other_database("DROP TABLE alembic_version"),
        "journal database of the backup: no such table",
    ),
    "two schemas": (
        other_database("INSERT INTO alembic_version VALUES ('x')"),
        "journal database of the backup",
    ),
    "settings that are none": (
        with_content({"etc/gatepost.toml": b"[sasl"}),
        "its settings cannot be used: etc/",
    ),
    "settings that do not fit": (
        with_content({"etc/gatepost.toml": b"[sasl]\nworkers = 0\n"}),
        "its settings cannot be used: etc/gatepost.toml: sasl.workers = 0",
    ),
}


def archive_of(gatepost: Gatepost) -> Path:
    file = gatepost.folder / "backup.tar.gz"
    assert gatepost("backup", "create", str(file)).code == 0
    return file


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file with its mode and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
        if not path.name.endswith(("-wal", "-shm"))
    }


@pytest.fixture
def filled(gatepost: Gatepost) -> Gatepost:
    """A gateway with an image and a secret."""
    folder = gatepost.folder
    with gatepost.config.open("a") as config:
        config.write(f'[images]\ndirectory = "{folder}/images"\n')
    for name in (f"images/{IMAGE}", "secrets/ldap"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("content")
    return gatepost


@pytest.mark.parametrize("kind", list(HOSTILE))
def test_what_restore_would_stumble_over_verify_tells_and_nothing_is_touched(
    filled: Gatepost, kind: str
) -> None:
    change, said = HOSTILE[kind]
    file = archive_of(filled)
    changed(file, change)
    before = state(filled.folder)
    for words in (("verify", str(file)), ("restore", str(file), "--settings")):
        result = filled("backup", *words, "--json")
        assert result.code == 1, words
        assert said in result.error
        assert state(filled.folder) == before


def test_a_good_archive_that_was_written_anew_is_good(filled: Gatepost) -> None:
    file = archive_of(filled)
    changed(file, lambda members: members)
    assert filled("backup", "verify", str(file)).code == 0
    assert filled("backup", "restore", str(file), "--settings").code == 0


@pytest.mark.parametrize(
    "said",
    [
        {"schemas": []},
        {"schemas": {"directory": ["0001"]}},
        {"version": None, "schemas": None},
        {"files": []},
        {"files": {"keys/seal-a.key": {"size": 1}}},
        {"files": {"keys/seal-a.key": None}},
    ],
)
def test_a_manifest_of_wrong_types_is_refused_without_a_traceback(
    filled: Gatepost, said: dict[str, object]
) -> None:
    file = archive_of(filled)
    write(file, read(file), **said)
    assert filled("backup", "verify", str(file), "--json").code == 1


def test_a_manifest_nested_without_end_is_refused(filled: Gatepost) -> None:
    file = archive_of(filled)
    with tarfile.open(file, "w:gz") as archive:
        info, data = member("manifest.json", b"[" * 200_000)
        archive.addfile(info, io.BytesIO(data))
    assert "manifest.json cannot be read" in filled("backup", "verify", str(file), "--json").error


def test_a_header_that_claims_gigabytes_takes_no_memory(filled: Gatepost) -> None:
    """A PAX header's text is read as one piece, as long as it says."""
    info = tarfile.TarInfo("keys/a")
    info.type, info.size = tarfile.XHDTYPE, 2 << 30
    file = filled.folder / "bomb.tar.gz"
    with gzip.open(file, "wb", compresslevel=1) as zipped:
        zipped.write(info.tobuf(tarfile.USTAR_FORMAT))
        zipped.write(bytes(1 << 20))
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_AS, ({1 << 30}, {1 << 30})); "
    words = ["--config", str(filled.config), "backup", "verify", str(file)]
    script = f"{limited}import sys; sys.argv[1:] = {words}; from gatepost_cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 1
    assert "a header of 2147483648 bytes, which no backup of Gatepost's has" in done.stderr


def test_an_archive_larger_than_the_disk_is_refused_before_it_is_unpacked(
    filled: Gatepost,
) -> None:
    file = archive_of(filled)
    small = filled.folder / "images"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=True)
    try:
        changed(file, with_content({f"images/{IMAGE}": bytes(200_000)}))
        filled.config.write_text(filled.config.read_text().replace(f"{small}", f"{small}/inside"))
        result = filled("backup", "restore", str(file), "--json")
        assert result.code == 1
        assert "200000 bytes are needed for images" in result.error
        assert not list(filled.folder.rglob("*.before-*"))
    finally:
        subprocess.run(["umount", "--lazy", small], check=True)


def test_no_file_comes_back_open_to_others(filled: Gatepost) -> None:
    file = archive_of(filled)

    def opened(members: Members) -> Members:
        for info, _ in members:
            info.mode = 0o7777
        return members

    changed(file, opened)
    for path in (filled.folder / "secrets" / "ldap", filled.folder / "images" / IMAGE):
        path.unlink()
    filled.config.write_text(filled.config.read_text() + "\n# changed\n")
    assert filled("backup", "restore", str(file), "--settings").code == 0
    modes = {
        name: stat.S_IMODE((filled.folder / name).stat().st_mode)
        for name in (
            "gatepost.toml",
            "secrets/ldap",
            "keys/seal-a.key",
            f"images/{IMAGE}",
            "store/directory.db",
        )
    }
    assert modes.pop("gatepost.toml") == 0o644
    assert set(modes.values()) == {0o640}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("keys.directory", "{other}"),
        ("keys.directory", "/var/lib/gatepost/../../..{other}"),
        ("images.directory", "{other}"),
        ("store.url", "sqlite:///{other}/directory.db"),
        ("store.journal_url", "sqlite:///{other}/journal.db"),
    ],
)
def test_an_archive_s_settings_lead_to_no_folder_that_is_not_the_gateway_s(
    filled: Gatepost, tmp_path_factory: pytest.TempPathFactory, setting: str, value: str
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "precious").write_text("precious")
    file = archive_of(filled)
    section, _, field = setting.partition(".")
    (data,) = [data for info, data in read(file) if info.name == "etc/gatepost.toml"]
    lines = [
        line for line in data.decode().splitlines() if not (line.startswith(field) and section != "images")
    ]
    text = "\n".join(lines).replace(f"[{section}]", f'[{section}]\n{field} = "{value.format(other=other)}"')
    text = "\n".join(dict.fromkeys(text.splitlines())) if section != "images" else text.rpartition("\n")[0]
    changed(file, with_content({"etc/gatepost.toml": text.encode()}))
    before = state(filled.folder)
    result = filled("backup", "restore", str(file), "--settings", "--json")
    assert result.code == 1
    assert f"its settings have {setting} at" in result.error
    assert (other / "precious").read_text() == "precious"
    assert [path.name for path in other.parent.glob(f"{other.name}*")] == [other.name]
    assert state(filled.folder) == before


def test_where_the_operator_names_the_folder_it_is_used(
    filled: Gatepost, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "keys"
    file = archive_of(filled)
    (data,) = [data for info, data in read(file) if info.name == "etc/gatepost.toml"]
    text = data.decode().replace(f"{filled.folder}/keys", str(other))
    changed(file, with_content({"etc/gatepost.toml": text.encode()}))
    assert filled("--set", f"keys.directory={other}", "backup", "restore", str(file), "--settings").code == 0
    assert (other / "seal-a.key").exists()


def test_a_key_directory_with_other_things_in_it_is_not_replaced(filled: Gatepost) -> None:
    file = archive_of(filled)
    (filled.folder / "keys" / "precious").write_text("precious")
    before = state(filled.folder)
    result = filled("backup", "restore", str(file), "--json")
    assert "holds precious, which is no key of Gatepost's" in result.error
    assert state(filled.folder) == before


@pytest.mark.parametrize("with_etc", [False, True])
def test_a_restore_that_fails_half_way_leaves_everything_as_it_was(filled: Gatepost, with_etc: bool) -> None:
    file = archive_of(filled)
    filled("account", "add", "later")
    (filled.folder / "secrets" / "ldap").write_text("changed")
    folder = (filled.folder / "images" / IMAGE).parent
    for path in (filled.folder / "images" / IMAGE, folder):
        path.unlink() if path.is_file() else path.rmdir()
    folder.write_text("a file where a folder is to be")  # images come last
    before = state(filled.folder)
    result = filled("backup", "restore", str(file), *(["--settings"] if with_etc else []), "--json")
    assert result.code == 1
    assert state(filled.folder) == before
    assert [one["name"] for one in filled("account", "list", "--json").data] == ["acme", "later"]


def test_root_restores_as_the_owner_of_the_files(filled: Gatepost) -> None:
    file = archive_of(filled)
    uid = 12_345
    for path in (filled.folder, *filled.folder.rglob("*")):
        os.chown(path, uid, uid)
    for path in filled.folder.parents:
        path.chmod(path.stat().st_mode | 0o011)
    file.chmod(0o600)
    os.chown(file, 0, 0)
    done = filled.process("backup", "restore", str(file))
    assert done.code == 0, done.err
    owners = {
        path.stat().st_uid
        for name in ("store", "keys", "images")
        for path in (filled.folder / name).rglob("*")
    }
    assert owners == {uid}
