"""``gatepost policy test``: a transaction step by step, by the daemons' own code, as ``explain`` says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .command import Gatepost

SATURDAY = "2026-11-28T12:00"


def play(gatepost: Gatepost, user: str, *words: str) -> dict[str, Any]:
    result = gatepost("policy", "test", "--credential", user, "--json", *words)
    assert result.code == (0 if result.data["accepted"] else 1), result
    data: dict[str, Any] = result.data
    return data


def refusals(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["stage"], one["rule"], one["reply"]) for one in found["steps"] if not one["passed"]]


def test_every_step_is_told_in_its_order(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--recipient", "example.org", "--max-size", "1M", "--limit", "5/day")[
        "username"
    ]
    found = play(gatepost, user, "--to", "bob@example.org", "--from", "a@nobody.test", "--size", "900K")
    assert found["accepted"]
    assert (found["size"], found["sender"]) == (900_000, "a@nobody.test")
    names = ["login, state, network", "sender", "recipients", "bytes a message"]
    assert [(one["stage"], one["rule"]) for one in found["steps"]] == [
        *(("RCPT <bob@example.org>", name) for name in [*names, "suppression", "limits"]),
        *(("DATA", name) for name in [*names, "limits"]),
        *(("end of message", name) for name in (names[0], *names[2:], "limits")),
    ]
    text = gatepost("policy", "test", "--credential", user, "--to", "bob@example.org").out
    assert "RCPT <bob@example.org>" in text
    assert "sender allowed" in text


@pytest.mark.parametrize(
    ("rule", "words", "stage", "name", "reply"),
    [
        (
            ("--recipient", "example.com"),
            (),
            "RCPT <bob@example.org>",
            "recipients",
            "550 5.7.1 Recipient <bob@example.org> is not among those that credential {user} may send to",
        ),
        (
            ("--deny-recipient", "example.org"),
            (),
            "RCPT <bob@example.org>",
            "recipients denied",
            "550 5.7.1 Recipient <bob@example.org> is denied to credential {user}, by its rule example.org",
        ),
        (
            ("--max-recipients", "1"),
            ("--to", "alice@example.org"),
            "DATA",
            "recipients a message",
            "550 5.5.3 Credential {user} may send a message to 1 recipients at most, and this one "
            "has 2; send it "
            "in parts",
        ),
        (
            ("--max-size", "1000"),
            ("--size", "1001"),
            "RCPT <bob@example.org>",
            "bytes a message",
            "552 5.3.4 Credential {user} may send messages of 1,000 bytes at most, and this one has "
            "1,001; send "
            "less at once",
        ),
        (
            ("--min-tls", "1.3"),
            ("--tls", "1.2"),
            "RCPT <bob@example.org>",
            "oldest TLS",
            "550 5.7.10 Credential {user} may be used with TLS 1.3 or later, and this session has TLSv1.2; "
            "update the client",
        ),
        (
            ("--hours", "Mon-Fri 08:00-18:00"),
            ("--at", SATURDAY),
            "RCPT <bob@example.org>",
            "hours",
            "451 4.7.1 Credential {user} may send Mon-Fri 08:00-18:00 (UTC); try again after "
            "2026-11-30T08:00:00Z",
        ),
        (
            ("--network", "192.0.2.0/24"),
            ("--client", "198.51.100.1"),
            "RCPT <bob@example.org>",
            "login, state, network",
            "550 5.7.1 Credential {user} may not be used from 198.51.100.1; log in again from a "
            "network that is "
            "allowed, or ask your mail administrator",
        ),
        (
            ("--sender", "acme.test"),
            ("--from", "boss@other.test"),
            "RCPT <bob@example.org>",
            "sender",
            "550 5.7.1 Sender address <boss@other.test> is not allowed for credential {user}",
        ),
        (
            ("--limit", "bytes=1K/day"),
            ("--size", "1001"),
            "RCPT <bob@example.org>",
            "limits",
            "552 5.3.4 Credential {user} is limited to 1,000 bytes a day, and this message has "
            "1,001; send less "
            "at once",
        ),
    ],
)
def test_whoever_breaks_a_rule_is_told_at_which_stage_and_in_the_replys_words(
    gatepost: Gatepost, rule: tuple[str, ...], words: tuple[str, ...], stage: str, name: str, reply: str
) -> None:
    user = gatepost.add_credential(*rule)["username"]
    found = play(gatepost, user, "--to", "bob@example.org", *words)
    assert not found["accepted"]
    assert {one for one in refusals(found) if "bob" in one[0] or one[0] == "DATA"} == {
        (stage, name, reply.format(user=user))
    }
    assert found["steps"][-1]["stage"] != "end of message"


def test_one_recipient_may_be_refused_and_the_message_pass_to_the_other(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--recipient", "example.org", "--max-recipients", "1")["username"]
    found = play(gatepost, user, "--to", "bob@elsewhere.test", "--to", "bob@example.org")
    assert found["accepted"]
    assert [one[0] for one in refusals(found)] == ["RCPT <bob@elsewhere.test>"]


def test_an_accounts_rules_and_time_zone_count(gatepost: Gatepost) -> None:
    user = gatepost.add_credential()["username"]
    gatepost("account", "set", "acme", "--hours", "Sat 10:00-13:00", "--time-zone", "Europe/Amsterdam")
    for when, accepted in (("T11:59", True), ("T12:00", False), ("T09:00+00:00", True), ("T08:59", False)):
        found = play(gatepost, user, "--to", "bob@example.org", "--at", f"2026-11-28{when}")
        assert found["accepted"] is accepted, when
        late = "12" in when
        opens = "2026-12-05T09:00:00Z" if late else "2026-11-28T09:00:00Z"
        assert accepted or f"(Europe/Amsterdam); try again after {opens}" in str(refusals(found))


def test_explain_says_the_same_of_a_message(gatepost: Gatepost, tmp_path: Path) -> None:
    user = gatepost.add_credential("--recipient", "example.org", "--max-size", "10K")["username"]
    file = tmp_path / "message.eml"
    file.write_text("From: <a@nobody.test>\n\nHello.\n")
    recipients = ("--to", "bob@example.org", "--to", "bob@elsewhere.test")
    words = ("--credential", user, "--from", "a@nobody.test", "--json", *recipients)
    told = gatepost("explain", str(file), *words).data
    found = play(gatepost, user, "--from", "a@nobody.test", *recipients)
    assert [(one["stage"], one["reply"]) for one in told["answers"] if one["reply"]] == [
        (stage, reply) for stage, _, reply in refusals(found)
    ]
    assert (told["accepted"], found["accepted"]) == (True, True)
    assert "rule recipients: example.org" in told["notes"]
    assert "rule bytes a message: 10,000" in told["notes"]


def test_what_is_beyond_a_limit_that_holds_passes_and_it_is_said_that_it_is_held(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    user = gatepost.add_credential("--limit", "recipients=1/day:hold", "--limit", "recipients=2/day")[
        "username"
    ]
    recipients = ("--to", "bob@example.org", "--to", "eve@example.org")
    found = play(gatepost, user, *recipients)
    why = f"over a limit: Credential {user} has used 2 of 1 recipient a day, this message with it"
    assert found["accepted"]
    assert found["steps"][-1]["reason"] == f"held, {why}"
    assert not play(gatepost, user, *recipients, "--to", "ann@example.org")["accepted"]
    file = tmp_path / "message.eml"
    file.write_text("From: <a@nobody.test>\n\nHello.\n")
    words = ("--credential", user, "--from", "a@nobody.test", *recipients)
    told = gatepost("explain", str(file), *words).out
    assert why in " ".join(told.split())
    usage = gatepost("credential", "usage", user, "--json").data["limits"]
    assert [(one["most"], one["hold"]) for one in usage] == [(1, True), (2, False)]
    gatepost("credential", "set", user, "--mode", "sandbox")
    assert play(gatepost, user, *recipients)["steps"][-1]["reason"] == ""


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--credential", "nobody", "--to", "a@b.test"), 3, "no credential 'nobody'"),
        (("--credential", "USER", "--to", "a@b.test", "--at", "noon"), 2, "'noon' is not a time; expected"),
        (
            ("--credential", "USER", "--to", "a@b.test", "--size", "big"),
            2,
            "'big' is no size; expected bytes",
        ),
        (
            ("--credential", "USER", "--to", "a@b.test", "--client", "x"),
            2,
            "expected something like 192.0.2.7",
        ),
        (("--credential", "USER"), 2, "--to"),
    ],
)
def test_what_is_not_understood_names_itself(
    gatepost: Gatepost, words: tuple[str, ...], code: int, text: str
) -> None:
    user = gatepost.add_credential()["username"]
    result = gatepost("policy", "test", "--json", *[user if word == "USER" else word for word in words])
    assert result.code == code
    assert text in result.error
