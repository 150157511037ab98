"""Words and values that are wrong: the answer names them, and says what was expected and what to do."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

from gatepost_cli.group import unknown

from .command import Gatepost


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["credentials", "list"], "credential"),
        (["domian", "list"], "domain"),
        (["mesage"], "message"),
        (["cred", "list"], "credential"),
        (["credential", "lst"], "list"),
        (["domain", "delete", "x"], None),
    ],
)
def test_a_misspelt_word_is_answered_with_the_one_that_was_meant(
    gatepost: Gatepost, words: list[str], meant: str | None
) -> None:
    result = gatepost(*words)
    assert result.code == 2
    if meant is None:
        assert "No such command 'delete'; there are add, check, " in result.err
    else:
        assert re.search(rf"Did you mean .*\b{meant}\b", result.err)


def test_a_word_like_nothing_gets_the_whole_list() -> None:
    assert unknown("xyzzy", ["add", "list"]) == "No such command 'xyzzy'; there are add, list."


@pytest.mark.parametrize(
    "words", [["account", "remove", "acne"], ["domain", "add", "a.test", "--account", "acne"]]
)
def test_an_account_that_is_not_there_is_named_with_advice_that_fits(
    gatepost: Gatepost, words: list[str]
) -> None:
    result = gatepost(*words)
    assert result.code == 3
    assert "no account 'acne'; 'gatepost account list' shows all" in result.err


def test_a_date_says_which_moment_it_means(gatepost: Gatepost) -> None:
    result = gatepost("credential", "add", "--account", "acme", "--expires", "2091-01-31")
    assert "It ends at 2091-01-31T00:00:00Z." in result.err
    assert "00:00 UTC" in gatepost("credential", "add", "--help").out


@pytest.mark.parametrize("name", ["a b", "a\u00a0b", "a\tb"])
def test_a_user_name_with_a_blank_is_refused_where_no_directory_has_it(gatepost: Gatepost, name: str) -> None:
    words = ["credential", "add", "--account", "acme", "--username", name]
    result = gatepost(*words)
    assert result.code == 2
    assert "has a blank in it" in result.err
    assert gatepost(*words, "--source", "ldap").code == 0


def test_keys_are_removed_only_by_who_says_so(gatepost: Gatepost) -> None:
    gatepost("domain", "add", "example.test", "--account", "acme")
    result = gatepost("domain", "remove", "example.test")
    assert (result.code, "--yes" in result.err) == (2, True)
    assert answered(gatepost, b"n\n", "domain", "remove", "example.test") == 130
    assert gatepost("domain", "show", "example.test").code == 0
    assert answered(gatepost, b"y\n", "domain", "remove", "example.test") == 0
    assert gatepost("domain", "show", "example.test").code == 3


def answered(gatepost: Gatepost, answer: bytes, *words: str) -> int:
    """Run a command on a terminal and answer its question; return its exit code."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(gatepost.config), *words]
    try:
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            shown = b""
            while b"[y/N]" not in shown:
                shown += os.read(ours, 4096)
            os.write(ours, answer)
            return process.wait(60)
    finally:
        os.close(ours)
        os.close(theirs)


def test_credentials_are_found_by_label_and_by_state(gatepost: Gatepost) -> None:
    shop = gatepost.add_credential("--label", "Shop, orders")["username"]
    gatepost.add_credential("--label", "newsletter")
    gatepost("credential", "disable", shop)

    def listed(*words: str) -> list[str]:
        return [one["label"] for one in gatepost("credential", "list", "--json", *words).data]

    assert listed("--label", "ORDERS") == ["Shop, orders"]
    assert listed("--state", "disabled") == ["Shop, orders"]
    assert listed("--state", "active") == ["newsletter"]
    assert listed("--state", "expired") == []
    assert listed("--label", "orders", "--state", "active") == []
