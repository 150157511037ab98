"""``gatepost backup`` and the schema verbs of ``gatepost store``: there, and back again."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from gatepost_cli.archives.backup import Member
from gatepost_core.store import migrate

from .command import Gatepost, make

IMAGE = f"ab/{'ab' * 32}.png"


@pytest.fixture
def filled(gatepost: Gatepost) -> Gatepost:
    """A gateway with a domain, a hosted image, a secret and a certificate."""
    folder = gatepost.folder
    with gatepost.config.open("a") as config:
        config.write(f'[images]\ndirectory = "{folder}/images"\n')
    for name, text in ((f"images/{IMAGE}", "png"), ("secrets/ldap", "hush"), ("tls/fullchain.pem", "chain")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o640)
    (folder / "unrelated").write_text("not Gatepost's")
    assert gatepost("domain", "add", "acme.example", "--account", "acme").code == 0
    return gatepost


def archive_of(gatepost: Gatepost, *words: str) -> Path:
    file = gatepost.folder / "backup.tar.gz"
    result = gatepost("backup", "create", str(file), *words)
    assert result.code == 0, result.err
    return file


def rewritten(file: Path, change: dict[str, bytes]) -> None:
    """Write the archive again with other content in the members named; a new name is added."""
    with tarfile.open(file) as old:
        content = {info.name: (old.extractfile(info) or io.BytesIO()).read() for info in old}
    with tarfile.open(file, "w:gz") as new:
        for name, data in (content | change).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            new.addfile(info, io.BytesIO(data))


def test_what_was_lost_comes_back_with_its_keys(filled: Gatepost) -> None:
    before = filled("domain", "show", "acme.example", "--json").data
    file = archive_of(filled)
    for name in ("store/directory.db", "store/journal.db", f"images/{IMAGE}", "keys/seal-a.key"):
        (filled.folder / name).unlink()
    assert filled("backup", "restore", str(file)).code == 0
    assert filled("domain", "show", "acme.example", "--json").data == before
    assert (filled.folder / "images" / IMAGE).read_text() == "png"
    assert filled("domain", "rotate", "acme.example").code == 0  # seals with the restored key


def test_the_schemas_of_an_archive_are_told_in_words(filled: Gatepost) -> None:
    assert "schemas\tdirectory 0" in filled("backup", "verify", str(archive_of(filled))).out


def test_a_backup_is_for_its_owner_alone_and_holds_nothing_of_others(filled: Gatepost) -> None:
    file = archive_of(filled)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as opened:
        names = opened.getnames()
    assert {"databases/directory.db", "databases/journal.db", f"images/{IMAGE}"} < set(names)
    assert {"etc/gatepost.toml", "etc/secrets/ldap", "etc/tls/fullchain.pem"} < set(names)
    assert not [name for name in names if "unrelated" in name]
    assert names[-1] == "manifest.json"


def test_a_link_in_the_daemons_folders_is_not_followed(filled: Gatepost) -> None:
    (filled.folder / "images" / "ab" / "shadow.png").symlink_to(filled.folder / "unrelated")
    with tarfile.open(archive_of(filled)) as opened:
        assert not [name for name in opened.getnames() if "shadow" in name]


def test_a_backup_is_one_moment_of_a_database_that_is_being_written(filled: Gatepost) -> None:
    with closing(sqlite3.connect(filled.folder / "store" / "directory.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE accounts SET name = 'half'")
        file = archive_of(filled)
        writer.execute("ROLLBACK")
    filled("account", "add", "later")
    assert filled("backup", "restore", str(file)).code == 0
    assert [one["name"] for one in filled("account", "list", "--json").data] == ["acme"]


def test_what_is_replaced_is_kept_beside_it(filled: Gatepost) -> None:
    file = archive_of(filled)
    filled("account", "add", "later")
    kept = filled("backup", "restore", str(file), "--json").data["kept"]
    assert {Path(path).name.partition(".before-")[0] for path in kept} >= {
        "directory.db",
        "journal.db",
        "keys",
    }
    assert all(Path(path).exists() for path in kept)
    assert (filled.folder / "keys").is_dir()


def test_settings_come_back_only_when_asked_for(filled: Gatepost) -> None:
    file = archive_of(filled)
    secret = filled.folder / "secrets" / "ldap"
    secret.write_text("changed")
    assert filled("backup", "restore", str(file)).code == 0
    assert secret.read_text() == "changed"
    assert filled("backup", "restore", str(file), "--settings").code == 0
    assert (secret.read_text(), stat.S_IMODE(secret.stat().st_mode)) == ("hush", 0o640)


def test_parts_can_be_left_out(filled: Gatepost) -> None:
    file = archive_of(filled, "--without", "images", "--without", "etc")
    with tarfile.open(file) as opened:
        assert {name.partition("/")[0] for name in opened.getnames()} == {
            "databases",
            "keys",
            "manifest.json",
        }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"keys/seal-a.key": b"another"}, "keys/seal-a.key is not what manifest.json says"),
        ({"keys/more.key": b"more"}, "keys/more.key is not what"),
        ({"keys/../../stray": b"stray"}, "which no backup of Gatepost's does"),
        ({"other/thing": b"thing"}, "which no backup of Gatepost's does"),
        ({"manifest.json": b'{"format": 2}'}, "format 2"),
        ({"manifest.json": b"{"}, "manifest.json cannot be read"),
    ],
)
def test_an_archive_that_is_not_right_is_refused_before_anything_is_touched(
    filled: Gatepost, change: dict[str, bytes], said: str
) -> None:
    file = archive_of(filled)
    rewritten(file, change)
    before = sorted(os.walk(filled.folder))
    result = filled("backup", "restore", str(file), "--json")
    assert result.code == 1
    assert said in result.error
    assert sorted(os.walk(filled.folder)) == before


def test_an_archive_that_was_cut_off_is_refused(filled: Gatepost) -> None:
    file = archive_of(filled)
    whole = file.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 9):
        file.write_bytes(whole[:size])
        result = filled("backup", "verify", str(file))
        assert (result.code, "Traceback" in result.err) == (1, False), (size, result.err)
    file.write_bytes(gzip.compress(b"no archive"))
    assert filled("backup", "verify", str(file)).code == 1


def test_an_archive_of_a_newer_release_is_refused_with_what_to_do(filled: Gatepost) -> None:
    file = archive_of(filled)
    with tarfile.open(file) as opened:
        manifest = json.loads((opened.extractfile("manifest.json") or io.BytesIO()).read())
    manifest["schemas"]["journal"] = "9999"
    manifest["version"] = "9.0"
    rewritten(file, {"manifest.json": json.dumps(manifest).encode()})
    result = filled("backup", "verify", str(file), "--json")
    assert result.code == 1
    assert "Restore it with release 9.0 or a later one" in result.error


def test_an_archive_from_before_the_first_release_is_refused_with_what_to_do(filled: Gatepost) -> None:
    file = archive_of(filled)
    with tarfile.open(file) as opened:
        manifest = json.loads((opened.extractfile("manifest.json") or io.BytesIO()).read())
    manifest["schemas"]["directory"] = "0005"
    rewritten(file, {"manifest.json": json.dumps(manifest).encode()})
    result = filled("backup", "verify", str(file), "--json")
    assert result.code == 1
    assert f"restore it with commit {migrate.LAST_BEFORE_RELEASE}" in result.error


def test_a_failed_backup_leaves_no_file(filled: Gatepost) -> None:
    (filled.folder / "store" / "journal.db").write_bytes(b"no database" * 1000)
    result = filled("backup", "create", str(filled.folder / "backup.tar.gz"))
    assert result.code == 1
    assert "journal.db" in result.err
    assert not list(filled.folder.glob("*backup*"))


def test_a_member_s_size_and_checksum_are_both_held() -> None:
    assert Member(1, "a") != Member(2, "a") != Member(2, "b")


# A migration of a release to come, for either database.
NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9000", "{head}"
def upgrade(): op.create_table("later", sa.Column("id", sa.Integer(), primary_key=True))
def downgrade(): op.drop_table("later")
"""


@pytest.fixture
def before(filled: Gatepost, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The next release runs, and has upgraded; the schemas of the one before it."""
    schemas = {line: migrate.head(line) for line in migrate.DATABASES}
    copy = shutil.copytree(migrate.MIGRATIONS, filled.folder / "migrations")
    for line, head in schemas.items():
        (copy / line / "versions" / "9000_next.py").write_text(NEXT.format(head=head))
    monkeypatch.setattr(migrate, "MIGRATIONS", copy)
    assert states(filled) == {"behind"}
    assert filled("store", "upgrade").code == 0
    return {str(line): head for line, head in schemas.items()}


def states(gatepost: Gatepost) -> set[str]:
    return {one["state"] for one in gatepost("store", "status", "--json").data.values()}


def test_a_downgrade_keeps_what_the_older_release_knows(filled: Gatepost, before: dict[str, str]) -> None:
    words = [f"{line}={schema}" for line, schema in before.items()]
    assert filled("store", "downgrade", *words).code == 0
    assert states(filled) == {"behind"}
    assert [one["name"] for one in filled("domain", "list", "--json").data] == ["acme.example"]
    assert filled("store", "upgrade").code == 0
    assert states(filled) == {"current"}


def test_a_schema_of_a_newer_release_is_told_as_ahead(filled: Gatepost) -> None:
    with closing(sqlite3.connect(filled.folder / "store" / "directory.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    data = filled("store", "status", "--json").data
    assert (data["directory"]["state"], data["journal"]["state"]) == ("ahead", "current")


def test_a_missing_database_is_told(tmp_path: Path) -> None:
    gatepost = make(tmp_path, upgraded=False)
    (tmp_path / "store").mkdir()
    assert {one["state"] for one in gatepost("store", "status", "--json").data.values()} == {"missing"}


@pytest.mark.parametrize("words", [("directory",), ("other=0001",), ("journal=",)])
def test_a_downgrade_names_database_and_schema(gatepost: Gatepost, words: tuple[str, ...]) -> None:
    result = gatepost("store", "downgrade", *words, "--json")
    assert result.code == 2
    assert "directory=SCHEMA or journal=SCHEMA" in result.error


def test_a_downgrade_to_a_schema_that_nobody_knows_is_refused(gatepost: Gatepost) -> None:
    result = gatepost("store", "downgrade", "journal=9999", "--json")
    assert result.code == 3
    assert "no way from schema" in result.error


def test_a_downgrade_does_not_go_up(filled: Gatepost, before: dict[str, str]) -> None:
    assert filled("store", "downgrade", f"journal={before['journal']}").code == 0
    result = filled("store", "downgrade", "journal=9000", "--json")
    assert result.code == 2
    assert f"not older than {before['journal']}" in result.error
