"""``gatepost credential test``: what a client with that password would be answered; nothing is noted."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gatepost_cli.main import main

from .command import Gatepost, Result


def tried(gatepost: Gatepost, user: str, password: str, *more: str, settings: tuple[str, ...] = ()) -> Result:
    words = ["--config", str(gatepost.config)]
    for setting in settings:
        words += ["--set", setting]
    words += ["credential", "test", user, "--password-stdin", "--json", *more]
    result = CliRunner().invoke(main, words, input=f"{password}\n")
    return Result(result.exit_code, result.stdout, result.stderr)


def test_a_right_password_says_who_answers_and_what_is_allowed_then(gatepost: Gatepost) -> None:
    made = gatepost.add_credential("--sender", "example.test", "--feature", "inlinecss")
    result = tried(gatepost, made["username"], made["password"])
    assert result.code == 0
    assert result.data["backend"] == "store"
    assert (result.data["result"], result.data["smtp_reply"]) == ("granted", "235 2.7.0")
    assert (result.data["state"], result.data["senders"]) == ("active", ["example.test"])
    assert "inlinecss" in result.data["features"]
    assert made["password"] not in result.out + result.err


def test_a_wrong_password_is_denied_with_exit_code_1(gatepost: Gatepost) -> None:
    made = gatepost.add_credential()
    result = tried(gatepost, made["username"], "guess")
    assert result.code == 1
    assert (result.data["result"], result.data["reason"]) == ("denied", "wrong password")
    assert result.data["smtp_reply"] == "535 5.7.8"


def test_a_disabled_credential_says_so_also_with_the_right_password(gatepost: Gatepost) -> None:
    made = gatepost.add_credential()
    gatepost("credential", "disable", made["username"])
    result = tried(gatepost, made["username"], made["password"])
    assert (result.code, result.data["reason"]) == (1, "credential disabled")
    assert result.data["state"] == "disabled"


def test_the_address_is_held_to_the_credentials_networks(gatepost: Gatepost) -> None:
    made = gatepost.add_credential("--network", "192.0.2.0/24")
    inside = tried(gatepost, made["username"], made["password"], "--ip", "192.0.2.7")
    outside = tried(gatepost, made["username"], made["password"], "--ip", "198.51.100.7")
    assert (inside.code, inside.data["networks"]) == (0, ["192.0.2.0/24"])
    assert (outside.code, outside.data["reason"]) == (1, "network not allowed")


def test_the_back_end_that_claims_the_name_answers_and_its_fault_is_454(gatepost: Gatepost) -> None:
    made = gatepost.add_credential()
    directory = (
        "sasl.backends=ldap, store",
        "ldap.names=*@corp.test",
        "ldap.servers=ldap://127.0.0.1:1",
        "ldap.user_template=uid={local},dc=corp,dc=test",
    )
    there = tried(gatepost, "ann@corp.test", "guess", settings=directory)
    assert (there.code, there.data["backend"], there.data["smtp_reply"]) == (1, "ldap", "454 4.7.0")
    here = tried(gatepost, made["username"], made["password"], settings=directory)
    assert (here.code, here.data["backend"]) == (0, "store")


def test_a_key_that_is_gone_is_our_fault_454(gatepost: Gatepost) -> None:
    made = gatepost.add_credential()
    keys = gatepost.folder / "keys"
    (keys / "password-a.key").rename(keys / "password-b.key")
    result = tried(gatepost, made["username"], made["password"])
    assert (result.code, result.data["smtp_reply"]) == (1, "454 4.7.0")


def test_an_unknown_user_is_exit_code_3(gatepost: Gatepost) -> None:
    result = tried(gatepost, "nobody", "guess")
    assert result.code == 3
    assert "no credential 'nobody'" in result.error


@pytest.mark.parametrize("password", ["", "a\x07b"])
def test_a_password_that_no_client_could_send_is_refused(gatepost: Gatepost, password: str) -> None:
    made = gatepost.add_credential()
    assert tried(gatepost, made["username"], password).code == 2


def test_testing_leaves_the_last_use_as_it_is(gatepost: Gatepost) -> None:
    made = gatepost.add_credential()
    assert tried(gatepost, made["username"], made["password"]).code == 0
    assert gatepost("credential", "show", made["username"], "--json").data["last_used_at"] is None


def test_on_a_terminal_the_password_is_asked_for_and_not_shown(gatepost: Gatepost) -> None:
    made = gatepost.add_credential()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(gatepost.config)]
    with subprocess.Popen(
        [*command, "credential", "test", made["username"]],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = b""
        while b"Password:" not in shown:
            shown += os.read(ours, 4096)
        os.write(ours, made["password"].encode() + b"\n")
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # the other side of the terminal is closed
                break
        assert process.wait(30) == 0
    os.close(ours)
    assert b"granted" in shown
    assert made["password"].encode() not in shown
