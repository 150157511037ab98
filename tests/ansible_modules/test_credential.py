"""gatepost_credential: one credential by account and label, as wanted, a password once and never again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Gatepost, make

from .conftest import Run

LABEL = "web1.example.org"


class Gateway:
    """A gateway's command with a store of its own, and the module run against it."""

    def __init__(self, folder: Path, run: Run) -> None:
        self.command: Gatepost = make(folder)
        self.executable = folder / "gatepost"
        self.executable.write_text(f'#!/bin/sh\nexec {sys.executable} -m gatepost_cli "$@"\n')
        self.executable.chmod(0o755)
        self._run = run

    def __call__(self, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        given = {"account": "acme", "label": LABEL, **arguments}
        places = {"executable": str(self.executable), "config": str(self.command.config)}
        return self._run("gatepost_credential", check=check, **places, **given)

    @property
    def credentials(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.command("credential", "list", "--json").data
        return found

    def lets_in(self, username: str, password: str) -> bool:
        words = ("credential", "test", username, "--password-stdin", "--ip", "192.0.2.1", "--json")
        return self.command.process(*words, stdin=f"{password}\n").code == 0


@pytest.fixture
def gateway(tmp_path: Path, run: Run) -> Gateway:
    return Gateway(tmp_path, run)


def test_a_credential_is_made_once_and_its_password_returned_once(gateway: Gateway) -> None:
    wanted: dict[str, Any] = {
        "features": ["inlinecss", "tags=a,b"],
        "senders": ["Shop.Example"],
        "networks": ["192.0.2.1"],
    }
    made = gateway(**wanted)
    assert (made["changed"], made["created"]) == (True, True)
    assert gateway.lets_in(made["username"], made["password"])
    again = gateway(**wanted)
    assert (again["changed"], again["username"]) == (False, made["username"])
    assert "password" not in again
    (credential,) = gateway.credentials
    assert credential["label"] == LABEL
    assert credential["features"]["inlinecss"] is True
    assert credential["features"]["tags"] == ["a", "b"]


def test_what_suppresses_its_mail_is_set_once_and_set_back(gateway: Gateway) -> None:
    wanted: dict[str, Any] = {"unsubscribe_scope": "tag", "transactional": True, "edit_signed": True}
    gateway()
    assert gateway(**wanted)["changed"]
    assert not gateway(**wanted)["changed"]
    assert gateway.credentials[0].items() >= wanted.items()
    assert gateway(transactional=False, unsubscribe_scope="credential")["changed"]
    (credential,) = gateway.credentials
    assert (credential["transactional"], credential["unsubscribe_scope"]) == (False, "credential")
    assert credential["edit_signed"] is True


def test_rules_are_set_once_and_lifted(gateway: Gateway) -> None:
    wanted: dict[str, Any] = {
        "recipients": ["Example.org"],
        "denied_recipients": ["boss@example.org"],
        "max_recipients": "50",
        "max_size": "20m",
        "min_tls": "1.3",
        "hours": ["Mon-Fri 08:00-18:00"],
    }
    gateway()
    assert gateway(check=True, **wanted)["changed"]
    assert gateway(**wanted)["changed"]
    assert not gateway(**wanted)["changed"]
    (credential,) = gateway.credentials
    assert (credential["recipients"], credential["max_size"]) == (["example.org"], 20_000_000)
    assert not gateway(max_recipients="50", hours=["mon-fri 08:00-18:00"])["changed"]
    assert gateway(max_size="none", hours=[], recipients=[])["changed"]
    (credential,) = gateway.credentials
    assert (credential["recipients"], credential["max_size"], credential["hours"]) == ([], None, [])
    assert (credential["max_recipients"], credential["min_tls"]) == (50, "1.3")
    assert "'big' is no size" in gateway(max_size="big")["msg"]


def test_limits_are_set_once_lifted_and_left_to_the_settings(gateway: Gateway) -> None:
    wanted = ["500/hour", "bytes=1G/day:sliding"]
    assert gateway(limits=wanted)["changed"]
    assert not gateway(limits=wanted)["changed"]
    assert not gateway(limits=["messages=500/hour", "bytes=1000M/day:sliding"])["changed"]
    assert gateway.credentials[0]["limits"] == ["messages=500/hour", "bytes=1G/day:sliding"]
    assert gateway(limits=[])["changed"]
    assert not gateway(limits=["none"])["changed"]
    assert gateway.credentials[0]["limits"] == []
    assert gateway(limits=["default"])["changed"]
    assert gateway.credentials[0]["limits"] is None
    assert not gateway(limits=["default"])["changed"]
    assert "500/fortnight" in gateway(limits=["500/fortnight"])["msg"]


def test_what_is_wanted_replaces_what_was_and_what_is_not_named_stays(gateway: Gateway) -> None:
    gateway(features=["inlinecss", "images=hosted", "tags=a"], senders=["shop.example"], mode="sandbox")
    changed = gateway(features=["dkim"], enabled=False, expires="2037-01-31", header_add=["X-Team: web"])
    assert changed["changed"]
    (credential,) = gateway.credentials
    on = {name: value for name, value in credential["features"].items() if value not in (False, "off", [])}
    assert on == {"dkim": True, "tracking": "identified"}  # which is what nobody named
    assert (credential["senders"], credential["mode"]) == (["shop.example"], "sandbox")
    assert (credential["state"], credential["expires_at"]) == ("disabled", "2037-01-31T00:00:00Z")
    assert credential["header_add"] == ["X-Team: web"]
    assert not gateway(features=["dkim"], enabled=False, expires="2037-01-31")["changed"]
    assert gateway(features=["tracking=off"])["changed"]
    assert gateway.credentials[0]["features"]["tracking"] == "off"
    assert not gateway(features=["tracking=off"])["changed"]
    assert gateway(features=[])["changed"]
    assert gateway.credentials[0]["features"]["tracking"] == "identified"
    assert gateway(senders=[], expires="never", header_add=[])["changed"]
    (credential,) = gateway.credentials
    assert (credential["senders"], credential["expires_at"], credential["header_add"]) == ([], None, [])


def test_rotation_gives_a_new_password_and_ends_the_old_one_when_told(gateway: Gateway) -> None:
    made = gateway()
    rotated = gateway(rotate=True, overlap="0h")
    assert (rotated["changed"], rotated["rotated"], rotated["created"]) == (True, True, False)
    assert rotated["password"] != made["password"]
    assert gateway.lets_in(made["username"], rotated["password"])
    assert not gateway.lets_in(made["username"], made["password"])


def test_check_mode_makes_nothing(gateway: Gateway) -> None:
    assert gateway(check=True)["changed"]
    assert gateway.credentials == []
    made = gateway(features=["dkim"])
    changes: list[dict[str, Any]] = [
        {"features": []},
        {"rotate": True},
        {"enabled": False},
        {"state": "absent"},
    ]
    for change in changes:
        result = gateway(check=True, **change)
        assert result["changed"], change
        assert "password" not in result
    assert not gateway(check=True, features=["dkim"])["changed"]
    assert gateway.lets_in(made["username"], made["password"])


def test_absent_removes_it_and_no_other(gateway: Gateway) -> None:
    gateway()
    gateway(label="other")
    assert gateway(state="absent")["changed"]
    assert [one["label"] for one in gateway.credentials] == ["other"]
    assert not gateway(state="absent")["changed"]
    assert not gateway(state="absent", account="nobody")["changed"]


def test_an_account_is_made_only_when_asked_for(gateway: Gateway) -> None:
    refused = gateway(account="newcomer")
    assert "there is no account 'newcomer'" in refused["msg"]
    assert gateway(account="newcomer", account_create=True)["created"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"features": ["inlinescc"]}, "inlinescc"),
        ({"networks": ["192.0.2.300"]}, "192.0.2.300"),
        ({"expires": "90d"}, "expires: '90d'"),
        ({"label": " "}, "label"),
        ({"executable": "/nonexistent/gatepost"}, "/nonexistent/gatepost is missing"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_made(
    gateway: Gateway, run: Run, arguments: dict[str, Any], named: str
) -> None:
    places = {"executable": str(gateway.executable), "config": str(gateway.command.config)}
    result = run("gatepost_credential", **{"account": "acme", "label": LABEL, **places, **arguments})
    assert result["failed"]
    assert named in result["msg"]
    assert gateway.credentials == []


def test_two_credentials_of_one_label_are_told_apart_by_nobody(gateway: Gateway) -> None:
    for _ in range(2):
        gateway.command("credential", "add", "--account", "acme", "--label", LABEL)
    assert "2 credentials of acme are labelled" in gateway()["msg"]


def test_the_diff_has_no_password(gateway: Gateway) -> None:
    made = gateway()
    assert made["password"] not in str(made["diff"])
    assert made["diff"]["after"]["username"] == made["username"]
