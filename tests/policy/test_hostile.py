"""Requests that somebody made up: whatever they hold, no answer permits anything by mistake, and none fails.

Postfix takes an empty action, a bare number, OK, and what it does not know for a permit, or for a fault of
its settings (access(5)). So each answer is DUNNO, or a code, an enhanced code and a text.
``GATEPOST_POLICY_ATTACKS`` says how many are tried; 100,000 take half a minute.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from gatepost_core.domain import Claim, Credential, Rules, WallMode
from gatepost_core.domain.decision.refusals import Bound
from gatepost_core.domain.limits import Allowance, Bucket, Charges, Defaults, Want, limits
from gatepost_core.domain.rules import hours
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.domain.walls import Walls
from gatepost_core.keys.tokens import Origin
from gatepost_core.serving import Close, Output, Send
from gatepost_policy.limits import LimitsLook
from gatepost_policy.protocol import DUNNO
from gatepost_policy.questions import Questions
from gatepost_policy.refusals import Refusals
from gatepost_policy.session import PolicySession
from tests.core.making import credential
from tests.refs import PATTERN

ATTACKS = int(os.environ.get("GATEPOST_POLICY_ATTACKS", "3000"))
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday
ANSWER = re.compile(
    rb"action=(DUNNO|[45]\d\d [45]\.\d{1,3}\.\d{1,3} [\x20-\x7e]*[\x21-\x7e]" + PATTERN.encode() + rb")\n\n"
)
ALLOWED = re.compile(rb"\s*[^@%!]+@\s*([^@%!]+\.)?example\.org[.\s]*")
USUAL = {
    "request": "smtpd_access_policy",
    "protocol_state": "RCPT",
    "protocol_name": "ESMTP",
    "client_address": "192.0.2.1",
    "server_port": "587",
    "sender": "a@own.test",
    "recipient": "bob@example.org",
    "recipient_count": "0",
    "queue_id": "",
    "instance": "1.2.3",
    "size": "100",
    "sasl_username": "free",
    "encryption_protocol": "TLSv1.3",
}
RULES = {
    "free": Rules(),
    "held": Rules(
        senders=("own.test",),
        networks=("192.0.2.0/24",),
        recipients=("example.org", "*.example.org", "bücher.test"),
        denied_recipients=("evil.example.org", "mallory@example.org"),
        max_recipients=3,
        max_size=1_000,
        min_tls="1.2",
        hours=hours.read(["Sat 10:00-14:00"]),
    ),
    "closed": Rules(hours=hours.read(["Mon-Fri"])),
}
# What stands anywhere: signs that mean something, numbers that are none, other scripts, cut UTF-8.
PIECES: Sequence[bytes] = (
    b"", b"\0", b"\r", b"\x1b[2J", b"=", b"OK", b"DUNNO", b"250", b"action=OK", b"\xff\xfe", b"\xc3",
    b"\xed\xa0\x80", "\u202e".encode(), "ß".encode(), "\u0345".encode() * 50, "\u0663".encode(),
    "\uff45".encode(), b"@", b"%", b"!", b'"', b"\\", b"<>", b"a" * 3_000, b"@" * 500, b"%@!" * 200,
    b"999999999999999999999", b"-1", b"1e9", b"0x10", b" ", b"{}", b"%s%n", b"FILTER smtp:evil.test",
    b"REDIRECT a@b.test", b"evil.example.org", b"own.test", b"[::1]",
)  # fmt: skip
STATES = (b"RCPT", b"DATA", b"MAIL", b"END-OF-MESSAGE", b"rcpt", b"RCPT ", b"", b"DATA\0")


class Store:
    """Three credentials that differ in their rules; nobody is suppressed, one domain is another account's."""

    def credential(self, username: str) -> Credential | None:
        if username not in RULES:
            return None
        allowance = Allowance(own=limits(["2/hour", "recipients=3/day", "bytes=1K/day"]))
        return credential(username=username, rules=RULES[username], allowance=allowance)

    def bounce_domain(self, name: str) -> bool:
        return name == "b.example.test"

    def suppressions(self, account_id: int, credential: str, keys: Sequence[str]) -> list[Suppression]:
        del account_id, credential, keys
        return []

    def claims(self, name: str) -> tuple[Claim, ...]:
        return (Claim("taken.test", frozenset({2})),) if name.endswith("taken.test") else ()

    def walls(self) -> WallMode:
        return WallMode.ENFORCE

    def verify(self, local_part: str, host: str) -> Origin | None:
        return Origin(host, 1, "m1") if local_part == "good" else None

    def look(self, wants: Sequence[Want]) -> list[list[Bucket]]:
        return [[Bucket(want.start, 1)] for want in wants]


def session() -> PolicySession:
    store = Store()
    look = LimitsLook(Charges(Defaults()), store, now=NOW.timestamp)
    asked = Questions(
        store, store, (25,), lambda: NOW, Walls(store, ["mail.example.test"]), feedback="fbl", limits=look
    )
    refusals = Refusals(store, lambda *_: None, Bound(100), "node", lambda: NOW)
    return PolicySession(asked, lambda *_: None, refusals)


def made(chance: random.Random) -> bytes:
    """Return a request of which some is as usual, and some is not."""
    fields = {name.encode(): value.encode() for name, value in USUAL.items()}
    fields[b"protocol_state"] = chance.choice([b"RCPT", b"RCPT", b"DATA", chance.choice(STATES)])
    fields[b"sasl_username"] = chance.choice([b"free", b"held", b"held", b"closed", b"nobody", b""])
    for _ in range(chance.randrange(4)):
        name = chance.choice(list(fields))
        value, piece = fields[name], chance.choice(PIECES)
        at = chance.randrange(len(value) + 1)
        fields[name] = chance.choice([piece, value[:at] + piece + value[at:], piece * 2, value[:at]])
    lines = [name + b"=" + value for name, value in fields.items()]
    change = chance.randrange(20)
    if change == 0:
        chance.shuffle(lines)
    elif change == 1:
        lines.pop(chance.randrange(len(lines)))
    elif change == 2:
        lines.insert(chance.randrange(len(lines)), chance.choice(lines))
    elif change == 3:
        lines.insert(chance.randrange(len(lines)), chance.choice(PIECES))
    return b"\n".join(lines) + b"\n\n"


def may_pass(request: bytes) -> bool:
    """Say whether a request may be answered by DUNNO: that of a credential which is closed, or of nobody, may
    not, nor at RCPT that of one which is held to recipients, unless it is plainly one of those."""
    fields = dict(line.split(b"=", 1) for line in request.strip(b"\n").split(b"\n") if b"=" in line)
    state, user = fields.get(b"protocol_state"), fields.get(b"sasl_username")
    if state not in {b"RCPT", b"DATA"} or user == b"free":
        return True
    if user == b"held":
        return state == b"DATA" or ALLOWED.fullmatch(fields.get(b"recipient", b"")) is not None
    return user not in {b"closed", b"nobody"}


def answers(outputs: Sequence[Output]) -> list[bytes]:
    return [output.data for output in outputs if isinstance(output, Send)]


def test_no_request_that_somebody_made_up_gets_a_permit_by_mistake() -> None:
    chance = random.Random(2_026)  # noqa: S311 - the same requests each time
    kinds = set[bytes]()
    for number in range(ATTACKS):
        request = made(chance)
        outputs = session().receive(request, 0.0)
        found = answers(outputs)
        assert outputs, (number, request)
        assert len(found) == len(outputs) - sum(isinstance(one, Close) for one in outputs)
        for answer in found:
            assert ANSWER.fullmatch(answer), (number, request, answer)
            answer.decode("ascii")
            kinds.add(answer[7:16])
        if DUNNO in found and request.count(b"\n\n") == 1:
            assert may_pass(request), f"{number}: {request!r}"
    assert kinds >= {b"DUNNO\n\n", b"550 5.7.1", b"550 5.1.3", b"451 4.7.1", b"530 5.7.0", b"552 5.3.4"}


def test_requests_in_one_stream_are_answered_one_by_one_or_not_at_all() -> None:
    chance = random.Random(2_027)  # noqa: S311
    for _ in range(ATTACKS // 30):
        stream = b"".join([made(chance) for _ in range(10)])
        one, answered = session(), list[bytes]()
        for at in range(0, len(stream), 1_000):
            outputs = one.receive(stream[at : at + 1_000], 0.0)
            answered += answers(outputs)
            if any(isinstance(output, Close) for output in outputs):
                break
        assert all(ANSWER.fullmatch(answer) for answer in answered)
