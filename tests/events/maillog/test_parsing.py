# ruff: noqa: E501 - lines of a log are as long as they are
"""What lines say; and that nobody's words can look like another field or line."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from gatepost_events.maillog.entries import (
    Active,
    Came,
    Expired,
    Held,
    Notice,
    Outcome,
    Refused,
    Released,
    Removed,
)
from gatepost_events.maillog.lines import Line, Reader
from gatepost_events.maillog.parsing import parse
from tests.events.maillog.world import NOW, ONE, READER, TWO, active, line, outcome
from tests.steps import World, assert_linear

# As Postfix 3.7 wrote them (program, text), and what they say.
LINES = [
    (
        "smtp",
        f"{ONE}: to=<b@example.net>, orig_to=<many@example.org>, relay=127.0.0.1[127.0.0.1]:44665, conn_use=3, "
        "delay=0.02, delays=0.02/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 Stored as 1.sink)",
        Outcome(
            ONE, "b@example.net", "many@example.org", "127.0.0.1[127.0.0.1]:44665", "0.02", "0.02/0/0/0",
            "2.0.0", "sent", "250 2.0.0 Stored as 1.sink",
        ),
    ),
    (
        "error",
        "7A1B2C3D4E: to=<x@nomx.test>, relay=none, delay=5.1, delays=5.1/0/0/0, dsn=5.1.2, status=bounced (no)",
        Outcome("7A1B2C3D4E", "x@nomx.test", "", "none", "5.1", "5.1/0/0/0", "5.1.2", "bounced", "no"),
    ),
    (
        "lmtp",
        f'{ONE}: to=<"a, relay=x \\" b"@example.org>, relay=h[private/dovecot-lmtp], delay=1, delays=1/0/0/0, '
        "dsn=2.1.5, status=sent (250 2.1.5 Done, status=bounced (x))",
        Outcome(
            ONE, '"a, relay=x \\" b"@example.org', "", "h[private/dovecot-lmtp]", "1", "1/0/0/0", "2.1.5", "sent",
            "250 2.1.5 Done, status=bounced (x)",
        ),
    ),
    ("qmgr", f"{ONE}: from=<alice@example.test>, size=393, nrcpt=2 (queue active)", Active(ONE, 2)),
    ("qmgr", f"{ONE}: removed", Removed(ONE, by_hand=False)),
    ("qmgr", f"{ONE}: removed (discarded)", Removed(ONE, by_hand=False)),
    ("qmgr", f"{ONE}: from=<>, status=expired, returned to sender", Expired(ONE)),
    ("qmgr", f"{ONE}: from=<>, status=force-expired, returned to sender", Expired(ONE)),
    ("smtpd", f"{ONE}: client=unknown[127.0.0.1], sasl_method=PLAIN, sasl_username=gp", Came(ONE, "unknown[127.0.0.1]", "", login=True)),
    (
        "smtpd",
        f"{TWO}: client=localhost[::1], orig_queue_id={ONE}, orig_client=h[192.0.2.9]",
        Came(TWO, "localhost[::1]", ONE, login=False),
    ),
    ("pickup", f"{TWO}: uid=0 from=<a@example.test> orig_id={ONE}", Came(TWO, "", ONE, login=False)),
    (
        "cleanup",
        f"{ONE}: milter-reject: END-OF-MESSAGE from h[192.0.2.1]: 5.7.1 no; from=<a@b> to=<c@d> proto=ESMTP",
        Refused(ONE, "from h[192.0.2.1]: 5.7.1 no; from=<a@b> to=<c@d> proto=ESMTP", discarded=False),
    ),
    (
        "cleanup",
        f"{ONE}: milter-discard: END-OF-MESSAGE from h[192.0.2.1]: milter triggers DISCARD action; from=<a@b>",
        Refused(ONE, "from h[192.0.2.1]: milter triggers DISCARD action; from=<a@b>", discarded=True),
    ),
    (
        "cleanup",
        f"{ONE}: milter-hold: END-OF-MESSAGE from h[192.0.2.1]: milter triggers HOLD action",
        Held(ONE, "END-OF-MESSAGE from h[192.0.2.1]: milter triggers HOLD action"),
    ),
    ("bounce", f"{ONE}: sender non-delivery notification: {TWO}", Notice(ONE, TWO)),
    ("postsuper", f"{ONE}: placed on hold", Held(ONE, "by postsuper")),
    ("postsuper", f"{ONE}: released from hold", Released(ONE)),
    ("postsuper", f"{ONE}: removed", Removed(ONE, by_hand=True)),
]  # fmt: skip


@pytest.mark.parametrize(("program", "text", "said"), LINES)
def test_what_a_line_says(program: str, text: str, said: object) -> None:
    assert parse(program, text) == said


@pytest.mark.parametrize(
    ("program", "text"),
    [
        # A customer's Message-ID, address, envelope sender; a host's reply; a name of DNS.
        ("cleanup", f"{ONE}: message-id=<{TWO}: milter-reject: END-OF-MESSAGE from h[192.0.2.1]: 5.7.1 no>"),
        ("cleanup", f"{ONE}: message-id={TWO}: removed"),
        ("smtp", f"connect to x[192.0.2.1]: {ONE}: to=<a@b>, relay=none, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (ok)"),
        ("smtp", f"{ONE}: host x[192.0.2.1] said: 450 {TWO}: to=<a@b>, relay=none, delay=1, delays=1/0/0/0, dsn=2.0.0, status=sent (ok)"),
        ("qmgr", f"{ONE}: from=<a>, size=1, nrcpt=0 (queue active)@x.test>, size=1, nrcpt=1 (queue active)"),
        ("smtpd", f"NOQUEUE: reject: RCPT from u[192.0.2.1]: 550 {ONE}: removed"),
        ("smtpd", f"{ONE}: reject: RCPT from u[192.0.2.1]: 550 <{TWO}: removed>"),
        ("smtpd", f"warning: {ONE}: client=u[192.0.2.1]"),
        ("qmgr", f"warning: {ONE}: removed"),
        ("qmgr", f"{ONE}: removed by me"),
        ("master", f"{ONE}: removed"),
    ],
)  # fmt: skip
def test_what_others_wrote_says_nothing_of_ours(program: str, text: str) -> None:
    assert parse(program, text) is None


def test_an_address_that_looks_like_an_outcome_is_an_address() -> None:
    forged = '"x>, relay=mx, delay=1, delays=1/1/1/1, dsn=2.0.0, status=sent (ok"@evil.test'
    found = READER.read(outcome(forged, "bounced", said="550 5.1.1 no (status=sent (250 ok))"), NOW)
    assert found is not None
    entry = parse(found.program, found.text)
    assert isinstance(entry, Outcome)
    assert (entry.to, entry.result, entry.text) == (forged, "bounced", "550 5.1.1 no (status=sent (250 ok))")


def test_changed_lines_never_raise_and_never_tell_of_another_queue_id() -> None:
    whole = [text for _, text, _ in LINES]
    chance = random.Random(7)  # noqa: S311 - the same each time
    for _ in range(100_000):
        program, text, _ = chance.choice(LINES)
        chars = list(text)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(chars))
            chars[at : at + chance.randint(0, 3)] = chance.choice(
                [">", '"', "\\", ", ", "(", " ", "ü", "status="]
            )
        text = "".join(chars)
        entry = parse(program, text)
        if entry is not None and text not in whole:
            assert text.startswith(f"{entry.id}: "), text


@pytest.mark.parametrize(
    ("text", "at", "whole"),
    [
        (
            "Nov 28 05:19:56 mail postfix/smtp[28313]: text",
            datetime(2026, 11, 28, 5, 19, 56, tzinfo=UTC),
            True,
        ),
        (
            "Dec 31 23:59:59 mail postfix/smtp[28313]: text",
            datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC),
            True,
        ),
        (
            "Nov  3 05:19:56 mail postfix/relay/smtp[1]: text",
            datetime(2026, 11, 3, 5, 19, 56, tzinfo=UTC),
            True,
        ),
        (
            "2026-11-28T06:19:56.788123+01:00 mail postfix/smtp[1]: text",
            datetime(2026, 11, 28, 5, 19, 56, 788123, tzinfo=UTC),
            False,
        ),
        (
            "2026-11-28T05:19:56Z mail postfix/smtp[1]: text",
            datetime(2026, 11, 28, 5, 19, 56, tzinfo=UTC),
            True,
        ),
    ],
)
def test_when_a_line_was_written(text: str, at: datetime, whole: bool) -> None:
    assert READER.read(text, NOW) == Line(int(at.timestamp() * 1_000_000), whole, "smtp", "text")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nov 28 05:19:56 mail dovecot: postfix/smtp[1]: text",
        "Nov 28 05:19:56 mail postfix-out/smtp[1]: text",
        "Nov 28 05:19:56 mail postfixed/smtp[1]: text",
        "Foo 28 05:19:56 mail postfix/smtp[1]: text",
        "Feb 30 05:19:56 mail postfix/smtp[1]: text",
        "Nov 28 25:19:56 mail postfix/smtp[1]: text",
        "2026-13-28T05:19:56Z mail postfix/smtp[1]: text",
    ],
)
def test_lines_of_others_and_of_no_time_are_none(text: str) -> None:
    assert READER.read(text, NOW) is None


def test_instances_count_by_their_names() -> None:
    reader = Reader(("postfix-out", "postfix"), UTC)
    assert reader.read("Nov 28 05:19:56 mail postfix-out/smtp[1]: text", NOW)
    assert reader.read("Nov 28 05:19:56 mail postfix/smtp[1]: text", NOW)


def test_the_journal_speaks_for_postfix_by_its_users_only() -> None:
    entry = (
        '{"__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1795843196788268", "_UID": "%s", "SYSLOG_IDENTIFIER": '
        '"postfix/smtp", "MESSAGE": %s, "_TRANSPORT": "%s"}'
    )
    said = Line(1795843196788268, False, "smtp", "text")
    users = {"0", "101"}
    assert READER.read_json(entry % ("101", '"text"', "syslog"), users) == ("s=1", said)
    assert READER.read_json(entry % ("101", "[116, 101, 120, 116]", "syslog"), users) == ("s=1", said)
    assert READER.read_json(entry % ("1000", '"text"', "syslog"), users) == ("s=1", None)
    lost = '"Suppressed 4321 messages from postfix@-.service"'
    assert READER.read_json(entry % ("0", lost, "driver"), users) == ("s=1", 4321)
    assert READER.read_json(entry % ("0", lost, "syslog"), users)[1] != 4321
    for text in ("", "[]", "{}", '{"__CURSOR": 1}', "[" * 100_000):
        with pytest.raises(ValueError, match=r"entry|Expecting"):
            READER.read_json(text, users)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: outcome("x" * n),
        lambda n: outcome('"' + "\\\\" * n),
        lambda n: outcome('"a"' * n + "<"),
        lambda n: outcome(said="(status=sent " * n)[:-1],
        lambda n: outcome(original='"a\\"' * n),
        lambda n: active("BCD" * n),
        lambda n: line("cleanup", f"{ONE}: message-id=<{ONE}: " * n),
        lambda n: line("smtpd", f"{ONE}: client=" + "u[" * n),
        lambda n: line("/".join(["smtp"] * n), "text"),
        lambda n: f"{'Nov 28 ' * n}",
    ],
)
def test_lines_are_read_in_linear_time(world: World, make: object) -> None:
    lines, parsing = (
        world.load("gatepost_events.maillog.lines"),
        world.load("gatepost_events.maillog.parsing"),
    )
    reader = lines.Reader(("postfix",), UTC)

    def read(text: str) -> None:
        found = reader.read(text, NOW)
        if found is not None:
            parsing.parse(found.program, found.text)
            for program in ("smtpd", "cleanup", "qmgr", "pickup", "bounce"):
                parsing.parse(program, found.text)

    assert_linear(world, make, read)  # type: ignore[arg-type]
