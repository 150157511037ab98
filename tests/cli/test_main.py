"""The command as scripts and shells see it: exit codes, JSON, completion, start-up time."""

from __future__ import annotations

import json
import os
import pty
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gatepost_cli.docs import commands
from gatepost_cli.faults import explain
from gatepost_cli.main import main
from gatepost_cli.nouns import NOUNS
from gatepost_core.keys import PURPOSES

from .command import Gatepost, make


def test_0_when_done(gatepost: Gatepost) -> None:
    assert gatepost.process("account", "list", "--json").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("account", "add", "LONG"),
        ("account", "remove", "LONG"),
        ("credential", "show", "LONG"),
        ("credential", "add", "--account", "LONG"),
        ("credential", "add", "--account", "acme", "--sender", "LONG"),
        ("credential", "add", "--account", "acme", "--username", "LONG"),
        ("domain", "show", "LONG"),
        ("domain", "add", "LONG", "--account", "acme"),
        ("message", "show", "LONG"),
    ],
)
def test_an_error_does_not_repeat_a_name_that_fills_the_screen(
    gatepost: Gatepost, words: tuple[str, ...]
) -> None:
    said = gatepost.process(*("x" * 5000 if word == "LONG" else word for word in words))
    assert said.code in (1, 2, 3)
    assert "x" * 40 in said.err
    assert len(said.err) < 800


def test_1_when_it_failed(gatepost: Gatepost) -> None:
    taken = gatepost.process("account", "add", "acme", "--json")
    assert (taken.code, taken.out, taken.error) == (1, "", "account 'acme' exists already")
    (gatepost.folder / "store" / "directory.db").write_bytes(b"no database " * 999)
    for suffix in ("-wal", "-shm"):
        (gatepost.folder / "store" / f"directory.db{suffix}").unlink(missing_ok=True)
    damaged = gatepost.process("account", "list", "--json")
    assert damaged.code == 1
    assert "directory.db: file is not a database" in damaged.error


@pytest.mark.parametrize(
    "words", [["nothing"], ["account"], ["account", "add"], ["account", "list", "--colour"], ["--set", "x"]]
)
def test_2_when_the_command_line_cannot_be_understood(gatepost: Gatepost, words: list[str]) -> None:
    result = gatepost.process(*words)
    assert result.code == 2
    assert result.out == ""
    assert "Usage: gatepost" in result.err


def test_3_when_there_is_no_such_thing(gatepost: Gatepost) -> None:
    for words in (
        ["account", "remove", "x"],
        ["credential", "show", "x"],
        ["credential", "rotate", "x"],
        ["credential", "disable", "x"],
        ["credential", "list", "--account", "x"],
        ["domain", "show", "x.test"],
        ["message", "show", "x"],
    ):
        result = gatepost(*words, "--json")
        assert (result.code, result.out) == (3, "")
        assert "'x" in result.error


def test_4_when_the_configuration_is_bad(gatepost: Gatepost) -> None:
    for options, text in (
        (["--set", "sasl.wokers=3"], "did you mean sasl.workers?"),
        (["--set", "sasl.workers=0"], "greater than or equal to 1"),
        (["--config", "/nowhere.toml"], "/nowhere.toml: cannot be read"),
    ):
        result = gatepost(*options, "settings", "--json")
        assert (result.code, result.out) == (4, "")
        assert text in result.error
    (gatepost.folder / "keys" / "password-a.key").chmod(0o644)
    keys = gatepost("credential", "add", "--account", "acme")
    assert keys.code == 4
    assert "chmod 0640" in keys.err


def test_a_mistake_in_the_program_is_not_told_as_a_fault_of_the_user() -> None:
    assert explain(ZeroDivisionError()) is None
    assert explain(PermissionError(13, "Permission denied", "/x")) == (1, "/x: Permission denied")


def test_a_store_that_was_never_made_says_how_to_make_it(tmp_path: Path) -> None:
    gatepost = make(tmp_path, upgraded=False)
    for words in (["account", "list"], ["account", "add", "x"], ["message", "list"]):
        result = gatepost(*words)
        assert result.code == 1
        assert "does not exist; run 'gatepost store upgrade' to make it" in result.err
    assert not (tmp_path / "store").exists()


def test_an_error_is_one_text_on_standard_error(gatepost: Gatepost) -> None:
    result = gatepost("credential", "show", "x")
    assert result.out == ""
    assert result.err == "Error: no credential 'x'; 'gatepost credential list' shows all\n"


def test_store_upgrade_makes_what_is_missing_and_says_so(tmp_path: Path) -> None:
    gatepost = make(tmp_path, upgraded=False)
    first = gatepost.process("store", "upgrade", "--json").data
    assert {line: entry["before"] for line, entry in first["databases"].items()} == {
        "directory": None,
        "journal": None,
    }
    assert len(first["keys_made"]) == len(PURPOSES)
    again = gatepost("store", "upgrade", "--json").data
    assert all(entry["before"] == entry["after"] for entry in again["databases"].values())
    assert again["keys_made"] == []
    (tmp_path / "keys" / "click-a.key").unlink()
    assert gatepost("store", "upgrade", "--json").data["keys_made"] == [str(tmp_path / "keys/click-a.key")]
    assert "nothing to do" in gatepost("store", "upgrade").out


def test_help_names_every_noun_without_importing_any(gatepost: Gatepost) -> None:
    shown = gatepost.process("--help").out
    assert all(f"\n  {noun} " in shown for noun in NOUNS)
    code = (
        "import sys, gatepost_cli.main\n"
        "try: gatepost_cli.main.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'sqlalchemy', 'rich', 'cryptography', 'alembic', 'dns', 'ldap3',\n"
        "    'gatepost_core.store.sqlite.reader', 'gatepost_core.settings'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("words", [words for words, _ in commands(main)])
def test_every_command_takes_json_and_has_help(words: str) -> None:
    command = dict(commands(main))[words]
    assert command.help
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert "--json" in [name for option in options for name in option.opts]
    assert all(option.help for option in options)


READING = [
    ["account", "list"],
    ["credential", "list"],
    ["domain", "list"],
    ["message", "list"],
    ["settings"],
    ["settings", "--sample"],
    ["postfix-settings"],
    ["postfix-settings", "--format", "postconf"],
    ["store", "upgrade"],
    ["completion", "bash"],
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_json_is_all_that_is_printed(gatepost: Gatepost, words: list[str]) -> None:
    result = gatepost.process(*words, "--json")
    assert (result.code, result.err) == (0, "")
    json.loads(result.out)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(gatepost: Gatepost, shell: str) -> None:
    script = gatepost("completion", shell).out
    assert f"_GATEPOST_COMPLETE={shell}_complete" in script
    assert gatepost("completion", shell, "--json").data["shell"] == shell
    assert gatepost("completion", "powershell").code == 2


def complete(gatepost: Gatepost, line: str) -> set[str]:
    """Ask the real command what bash would offer at the end of ``line``."""
    words = ["gatepost", "--config", str(gatepost.config), *line.split(" ")]
    environ = {
        "_GATEPOST_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "gatepost_cli"],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return {line.partition(",")[2] for line in done.stdout.splitlines() if line}


def test_the_shell_is_offered_commands_and_names(gatepost: Gatepost) -> None:
    user = gatepost.add_credential()["username"]
    gatepost("domain", "add", "example.test", "--account", "acme")
    assert complete(gatepost, "cred") == {"credential"}
    assert complete(gatepost, "credential rot") == {"rotate"}
    assert complete(gatepost, "credential show gp") == {user}
    assert complete(gatepost, "credential add --account a") == {"acme"}
    assert complete(gatepost, "credential add --feature t") == {
        "trackbounces",
        "trackclicks",
        "trackopens",
        "tracking=",
        "tags=",
    }
    assert complete(gatepost, "domain show e") == {"example.test"}


def test_completion_offers_nothing_when_the_store_is_not_there(tmp_path: Path) -> None:
    assert complete(make(tmp_path, upgraded=False), "credential show gp") == set()


def test_a_terminal_gets_a_table_and_a_pipe_gets_columns_parted_by_tabs(gatepost: Gatepost) -> None:
    gatepost.add_credential("--label", "[bold]shop[/bold]")
    piped = gatepost.process("credential", "list").out
    assert all(line.count("\t") == 7 for line in piped.splitlines())
    ours, theirs = pty.openpty()
    environ = os.environ | {"COLUMNS": "200", "TERM": "xterm"}
    words = [sys.executable, "-m", "gatepost_cli", "--config", str(gatepost.config), "credential", "list"]
    subprocess.run(words, stdout=theirs, env=environ, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\t" not in shown
    assert "[bold]shop[/bold]" in shown  # a label is text, not markup


def test_the_version_is_printed(gatepost: Gatepost) -> None:
    assert gatepost("--version").out.startswith("gatepost 0.")


def test_a_reader_never_waits_for_a_writer(gatepost: Gatepost) -> None:
    """The writer here does not end before the reader has; one that waited would give up and fail."""
    database = sqlite3.connect(gatepost.folder / "store" / "directory.db", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    assert gatepost("account", "list").code == 0
    database.execute("ROLLBACK")
    database.close()
