"""What people see of a suspension on the command line, and how they lift it."""

from __future__ import annotations

import syslog
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from gatepost_core.domain import State
from gatepost_core.settings import load
from gatepost_core.store import credentials
from gatepost_core.store.credentials import tables
from gatepost_core.store.opening import open_backend

from .command import Gatepost

AT = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
WHY = "97 of 1,164 recipients in 24 hours bounced for good, 8.33 %, more than 8 %"


@pytest.fixture
def suspended(gatepost: Gatepost) -> str:
    user = gatepost.add_credential()["username"]
    settings = load(gatepost.config, environ={})
    with open_backend(settings.store).directory(write=True) as connection:
        credential = credentials.change(connection, user, state=State.DISABLED)
        row: dict[str, Any] = {
            "credential_id": credential.id,
            "cause": "bounces",
            "noted_at": AT,
            "told": True,
        }
        row |= {"count": 97, "recipients": 1164, "hours": 24}
        for action, most in (("warned", 4), ("suspended", 8)):
            values = {**row, "action": action, "most": most, "event_id": action}
            connection.execute(insert(tables.suspensions).values(**values))
    return user


def test_the_reason_is_shown_wherever_the_credential_is(
    gatepost: Gatepost, suspended: str, tmp_path: Path
) -> None:
    shown = gatepost("credential", "show", suspended)
    assert "state\tsuspended: bounces" in shown.out
    assert f"suspended\tat 2026-11-28T09:00:00Z: {WHY}" in shown.out
    assert "warned\tat 2026-11-28T09:00:00Z" in shown.out
    assert "suspended: bounces" in gatepost("credential", "list").out
    for state in ("suspended", "disabled"):
        (listed,) = gatepost("credential", "list", "--state", state, "--json").data
        assert (listed["state"], listed["suspension"]["why"]) == ("disabled", WHY)
    assert gatepost("credential", "list", "--state", "active", "--json").data == []
    file = tmp_path / "message.eml"
    file.write_text("From: a@example.test\nTo: b@example.org\n\nHello.\n")
    explained = gatepost("explain", str(file), "--credential", suspended, "--json").data
    assert f"is suspended since 2026-11-28T09:00:00Z: {WHY}" in explained["answers"][0]["reply"]


def test_doctor_notes_who_is_suspended_until_it_is_lifted(gatepost: Gatepost, suspended: str) -> None:
    words = ("doctor", "--only", "suspensions", "--json")
    ((note, good),) = [gatepost(*words).data["findings"]]
    assert (note["looked_at"], note["status"], note["found"]) == (
        f"credential {suspended}",
        "note",
        f"suspended: {WHY}",
    )
    assert good["found"] == "credentials suspended: 1"
    gatepost("credential", "enable", suspended)
    assert [one["status"] for one in gatepost(*words).data["findings"]] == ["good"]


def test_enable_lifts_it_and_notes_who_did(
    gatepost: Gatepost, suspended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    monkeypatch.setattr(syslog, "syslog", lambda _, text: noted.append(text))
    done = gatepost("credential", "enable", suspended)
    assert f"Credential {suspended} is active.\nLifted: at 2026-11-28T09:00:00Z: {WHY}" in done.out
    assert [text.startswith(f"credential {suspended}, ") for text in noted] == [True, True]
    assert "suspended at 2026-11-28T09:00:00Z for bounces, lifted by root" in noted[0]
    shown = gatepost("credential", "show", suspended, "--json").data
    assert (shown["state"], shown["suspension"]) == ("active", None)
    assert [one["lifted_by"] for one in shown["suspensions"]] == ["root", "root"]
    assert "; lifted at 20" in gatepost("credential", "show", suspended).out
    # Disabled by hand afterwards, it is that and no more.
    gatepost("credential", "disable", suspended)
    assert gatepost("credential", "show", suspended, "--json").data["suspension"] is None
    assert gatepost("credential", "enable", suspended, "--json").data["lifted"] == []
    assert len(noted) == 2


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("suspension.bounces_warn=101", "less than or equal to 100"),
        ("suspension.window_hours=0", "greater than or equal to 1"),
        ("suspension.least=0", "greater than or equal to 1"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused_by_name(gatepost: Gatepost, setting: str, said: str) -> None:
    name, _, value = setting.partition("=")
    section, _, field = name.partition(".")
    with gatepost.config.open("a") as file:
        file.write(f"[{section}]\n{field} = {value}\n")
    refused = gatepost("settings")
    assert refused.code != 0
    assert name in refused.err
    assert said in refused.err


def test_a_warning_above_the_suspension_is_refused(gatepost: Gatepost) -> None:
    with gatepost.config.open("a") as file:
        file.write("[suspension]\nbounces_warn = 9\nbounces_suspend = 8\n")
    refused = gatepost("settings")
    assert refused.code != 0
    assert "bounces_warn = 9 is above bounces_suspend = 8" in refused.err


def test_an_account_s_own_thresholds_are_set_shown_and_given_up(gatepost: Gatepost) -> None:
    gatepost("account", "add", "shop", "--suspend-bounces", "4:8")
    done = gatepost("account", "set", "shop", "--suspend-complaints", "0.3", "--suspend-least", "100")
    assert "suspension, bounces\twarns above 4 %, suspends above 8 %, set for this account" in done.out
    assert "suspension, complaints\tsuspends above 0.3 %, set for this account" in done.out
    assert "suspension, new-recipients\tnever, by [suspension]" in done.out
    shown = gatepost("account", "show", "shop", "--json").data["suspension"]
    assert shown == {
        "bounces": {"warn": 4, "suspend": 8},
        "complaints": {"warn": 0, "suspend": 0.3},
        "new_recipients": {"warn": 0, "suspend": 0},
        "least": 100,
        "set": ["bounces", "complaints", "least"],
    }
    words = [word for name in ("bounces", "complaints", "least") for word in (f"--suspend-{name}", "default")]
    assert "suspension\tnever, by [suspension]" in gatepost("account", "set", "shop", *words).out
    refused = gatepost("account", "set", "shop", "--suspend-bounces", "9:8")
    assert refused.code == 2
    assert "'9:8': a warning at 9 is above 8, which suspends, or default" in refused.err
    refused = gatepost("account", "set", "shop", "--suspend-least", "0")
    assert "'0' is no number of recipients; expected 1 or more, or default" in refused.err
