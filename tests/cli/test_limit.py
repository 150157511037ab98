"""Limits on the command line: set, shown with their use, reset; and what is said of what is no limit."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from gatepost_core.domain import Credential, ids
from gatepost_core.domain.limits import Charges
from gatepost_core.settings import load
from gatepost_core.store import open_counters

from .command import Gatepost
from .test_credential import stored

WHEN = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def sent(
    gatepost: Gatepost, credential: Credential, times: int = 1, recipients: int = 1, size: int = 0
) -> None:
    """Have the milter's counters count some messages."""
    settings = load(gatepost.config, environ={})
    counters = open_counters(settings.limits.counters, settings.store.journal)
    for _ in range(times):
        now = time.time()
        charges = Charges(settings.limits.defaults).of(credential, now, recipients=recipients, size=size)
        assert counters.take(ids.new(int(now * 1000)), [one.want for one in charges]) is not None
    counters.close()


def test_limits_are_set_replaced_whole_lifted_and_given_back_to_the_setting(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--limit", "500/hour", "--limit", "bytes=1G/day:sliding")["username"]
    shown = gatepost("credential", "show", user, "--json").data["limits"]
    assert shown == ["messages=500/hour", "bytes=1G/day:sliding"]
    assert gatepost("credential", "set", user, "--limit", "5/minute", "--json").data["limits"] == [
        "messages=5/minute"
    ]
    assert gatepost("credential", "set", user, "--limit", "none", "--json").data["limits"] == []
    assert "limits\tnone" in gatepost("credential", "show", user).out
    assert gatepost("credential", "set", user, "--limit", "default", "--json").data["limits"] is None
    assert "limits\twhat limits.credential says" in gatepost("credential", "show", user).out
    gatepost("credential", "set", user, "--label", "kept")
    assert stored(gatepost, user).allowance.own is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--limit", "5/week"], "week is no period; expected minute, hour, day or month"),
        (["--limit", "5/hour", "--limit", "none"], "none stands alone"),
        (["--limit", "5/hour", "--limit", "6/hour"], "limit the same"),
    ],
)
def test_what_is_no_limit_is_refused_by_name_and_changes_nothing(
    gatepost: Gatepost, words: list[str], said: str
) -> None:
    user = gatepost.add_credential("--limit", "7/day")["username"]
    for noun in (["credential", "set", user], ["account", "set", "acme"]):
        refused = gatepost(*noun, *words)
        assert refused.code == 2
        assert said in refused.err
    assert str(stored(gatepost, user).allowance.own) == str(stored(gatepost, user).allowance.own)
    assert gatepost("credential", "show", user, "--json").data["limits"] == ["messages=7/day"]


def test_an_account_has_limits_and_a_time_zone_of_its_own(gatepost: Gatepost) -> None:
    user = gatepost.add_credential()["username"]
    data = gatepost("account", "show", "acme", "--json").data
    assert (data["limits"], data["time_zone"], data["time_zone_set"]) == (None, "UTC", None)
    gatepost("account", "set", "acme", "--limit", "1000/day", "--time-zone", "Europe/Amsterdam")
    data = gatepost("account", "show", "acme", "--json").data
    assert (data["limits"], data["time_zone_set"]) == (["messages=1K/day"], "Europe/Amsterdam")
    allowance = stored(gatepost, user).allowance
    assert ([str(one) for one in allowance.account or ()], allowance.time_zone) == (
        ["messages=1K/day"], "Europe/Amsterdam",
    )  # fmt: skip
    refused = gatepost("account", "set", "acme", "--time-zone", "Mars/Base")
    assert (refused.code, "'Mars/Base' is no time zone that this host knows" in refused.err) == (2, True)
    gatepost("account", "set", "acme", "--time-zone", "default")
    assert gatepost("account", "show", "acme", "--json").data["time_zone"] == "UTC"
    assert gatepost("account", "add", "beta", "--limit", "5/hour", "--time-zone", "Asia/Tokyo").code == 0
    assert gatepost("account", "show", "beta", "--json").data["limits"] == ["messages=5/hour"]


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("limits.credential", "5/week", "week is no period"),
        ("limits.account", "x", "'x' is no limit"),
        ("limits.time_zone", "Mars/Base", "no time zone that this host knows"),
        ("limits.reply", "421", "'451' or '550'"),
    ],
)
def test_a_setting_that_is_no_limit_names_itself(
    gatepost: Gatepost, setting: str, value: str, said: str
) -> None:
    refused = gatepost("--set", f"{setting}={value}", "account", "list")
    assert refused.code == 4
    assert setting in refused.err
    assert said in refused.err


def test_use_is_shown_of_a_credential_with_its_account(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--limit", "10/month:burst=5", "--limit", "bytes=1K/month:sliding")[
        "username"
    ]
    gatepost("account", "set", "acme", "--limit", "recipients=100/month")
    sent(gatepost, stored(gatepost, user), 4, recipients=2, size=100)
    data = gatepost("credential", "usage", user, "--json").data
    assert [
        (one["limit"], one["scope"], one["burst"], one["used"], one["most"], one["share"])
        for one in data["limits"]
    ] == [
        ("messages=10/month:burst=5", "credential", False, 4, 10, 40),
        ("messages=10/month:burst=5", "credential", True, 4, 5, 80),
        ("bytes=1K/month:sliding", "credential", False, 400, 1000, 40),
        ("recipients=100/month", "account", False, 8, 100, 8),
    ]
    assert all(re.fullmatch(WHEN, one["resets"]) for one in data["limits"])
    assert gatepost("limit", "show", "--credential", user, "--json").data == data["limits"]
    other = gatepost.add_credential("--limit", "9/day")["username"]
    listed = gatepost("limit", "show", "--account", "acme", "--json").data
    assert [(one["name"], one["limit"]) for one in listed] == [
        (user, "messages=10/month:burst=5"), (user, "messages=10/month:burst=5"),
        (user, "bytes=1K/month:sliding"),
        ("acme", "recipients=100/month"), (other, "messages=9/day"),
    ]  # fmt: skip
    assert (
        gatepost("credential", "usage", gatepost.add_credential()["username"]).out.count(
            "recipients=100/month"
        )
        == 1
    )


def test_a_reset_begins_anew_and_says_who_did_it_and_touches_nobody_else(gatepost: Gatepost) -> None:
    first, second = [gatepost.add_credential("--limit", "10/month")["username"] for _ in range(2)]
    gatepost("account", "set", "acme", "--limit", "100/month")
    for user in (first, second):
        sent(gatepost, stored(gatepost, user), 3)
    answer = gatepost("limit", "reset", "--credential", first, "--json").data
    assert (answer["reset"], answer["counters"], answer["resets"][0]["by"]) == (
        f"credential {first}",
        1,
        "root",
    )

    def used(user: str) -> list[int]:
        return [one["used"] for one in gatepost("credential", "usage", user, "--json").data["limits"]]

    assert (used(first), used(second)) == ([0, 6], [3, 6])
    assert re.search(f"last reset at {WHEN} by root", gatepost("credential", "usage", first).err)
    assert gatepost("limit", "reset", "--account", "acme").code == 0
    assert (used(first), used(second)) == ([0, 0], [3, 0])
    for words in ([], ["--account", "acme", "--credential", first]):
        assert gatepost("limit", "reset", *words).code == 2
    assert gatepost("limit", "reset", "--credential", "nobody").code == 3


def test_explain_says_what_limits_would_say(gatepost: Gatepost, tmp_path: Path) -> None:
    user = gatepost.add_credential("--limit", "3/month", "--limit", "recipients=2/month:sliding")["username"]
    file = tmp_path / "message.eml"
    file.write_text("From: a@example.test\r\nTo: b@example.org\r\nSubject: x\r\n\r\nx\r\n")

    def explained(*to: str) -> tuple[int, str]:
        recipients = [word for one in to for word in ("--to", f"{one}@example.org")]
        done = gatepost("explain", str(file), "--credential", user, *recipients, "--json")
        return done.code, json.dumps(done.data)

    code, said = explained("b")
    assert code == 0
    assert f"limit of credential {user}: 3 messages a month, 0 used; this message takes 1" in said
    assert explained("b", "c", "d")[0] == 1
    assert "550 5.5.3" in explained("b", "c", "d")[1]
    sent(gatepost, stored(gatepost, user))
    code, said = explained("b", "c")
    assert (code, "451 4.7.1" in said, "has used 1, and this message has 2" in said) == (1, True, True)
    sent(gatepost, stored(gatepost, user))
    assert explained("b")[0] == 1
