"""What hostile people send back: nothing fails, nothing is made up, nobody is named, none of it takes long.

The plain run makes 10,000 mutations, ``-m measurement`` 100,000; they are the same each time.
"""

from __future__ import annotations

import random
import re

import pytest

from gatepost_bounces import mime
from gatepost_bounces.reading import Reading, read
from gatepost_bounces.told import Told

from ..steps import World, assert_linear
from .forms import MTA, complaint, failed, plain, report
from .test_reading import ORIGIN, VERP, verify
from .test_shapes import SHAPES

MUTATIONS = 10_000
SEEDS = [
    report(MTA, failed("bob@example.org")),
    report(f"{MTA}\n\nFinal-Recipient: utf-8; bob@example.org\nAction: delayed\nStatus: 4.4.1\n"),
    complaint("Original-Rcpt-To: <bob@example.org>", returned=f"Return-Path: <{VERP}>\n"),
    complaint(f"Original-Mail-From: <{VERP}>", "Removal-Recipient: eve@example.org").replace(
        b"abuse", b"not-spam"
    ),
    plain("failure notice", "<bob@example.org>:\nSorry, no mailbox here by that name. (#5.1.1)"),
    plain("Away", "Until Monday", "Auto-Submitted: auto-replied", sender="bob@example.org"),
    *(one.read_bytes() for one in sorted(SHAPES.glob("*.eml"))),
]
PIECES = (
    b"\n\n", b"\n--b\n", b"=?utf-8?b?", b";", b"\0", b"\xff", b"<@", b".", b"\\x{110000}",
    b"Action: failed\n",
    b"\nContent-Type: message/rfc822\n\n", b"\nContent-Transfer-Encoding: base64\n", b"charset=x-none",
    b"(", b'"',
    b"\nFinal-Recipient: rfc822;", b"\r", b": ", b"@", b"\xe2\x80\xae", b"boundary=", b"Status: 5.1.1\n",
)  # fmt: skip
# What reading() says where something was raised that nobody foresaw.
UNFORESEEN = re.compile(r"[A-Z]\w+: ")


def reading(raw: bytes, sent_to: object = ORIGIN) -> Reading:
    return read(raw, sent_to, "", verify)  # type: ignore[arg-type]


def mutated(rng: random.Random, raw: bytes) -> bytes:
    """Return a message with some bytes changed, pieces doubled, moved, left out or put in."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data) or 1)
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes((rng.randrange(256),))
            case 1:
                del data[at : at + rng.randrange(60)]
            case 2:
                data[at:at] = data[at : at + rng.randrange(200)]
            case 3:
                data[at:at] = rng.choice(PIECES)
            case 4:
                other = rng.choice(SEEDS)
                begin = rng.randrange(len(other))
                data[at:at] = other[begin : begin + rng.randrange(300)]
            case _:
                lines = bytes(data).split(b"\n")
                one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
                lines[one], lines[two] = lines[two], lines[one]
                data = bytearray(b"\n".join(lines))
    return bytes(data)


def shown(raw: bytes) -> str:
    """Return all that a message says, as it is and with its encodings undone, in lower case."""
    texts = [raw.decode("utf-8", "replace")]
    try:
        mail = mime.read(raw)
    except mime.UnreadableError:
        return texts[0].lower()
    texts += [part.text for part in mail.parts]
    for block in (one for part in mail.parts for one in mime.blocks(part.text)):
        texts += [mime.value(block, name) for name in ("final-recipient", "original-recipient")]
    return "\n".join("".join(char if char.isprintable() else "?" for char in one) for one in texts).lower()


def happened(one: Told, said: str) -> bool:
    """Say whether a message has what an event of that kind needs."""
    match one.type:
        case "bounced" | "deferred" if one.detail["source"] == "dsn":
            word, digit = ("fail", 5) if one.type == "bounced" else ("delayed", 4)
            return word in said or re.search(rf"status.*{digit}\.", said) is not None
        case "bounced" | "deferred":
            return True
        case "delivered":
            return "delivered" in said
        case "complaint":
            return "feedback-report" in said
        case _:
            return one.type == "response"


def check(number: int, raw: bytes) -> None:
    found = reading(raw)
    said = shown(raw)
    assert UNFORESEEN.match(found.unread) is None, (number, found.unread)
    assert found.origin in (ORIGIN, None)
    for one in found.told:
        assert happened(one, said), (number, one)
        assert one.recipient.isprintable()
        assert one.recipient.lower() in said, (number, one)
    alone = reading(raw, None)
    assert all(one.type in ("complaint", "response") for one in alone.told)
    assert alone.origin is None or VERP in said


@pytest.mark.parametrize("part", range(4))
def test_mutated_reports_never_fail_name_nobody_else_and_tell_nothing_that_they_do_not_say(part: int) -> None:
    for number in range(part, MUTATIONS, 4):
        check(number, mutated(random.Random(number), SEEDS[number % len(SEEDS)]))  # noqa: S311 - the same each time


@pytest.mark.measurement
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_mutated_reports_neither() -> None:
    for number in range(MUTATIONS, MUTATIONS + 100_000):
        check(number, mutated(random.Random(number), SEEDS[number % len(SEEDS)]))  # noqa: S311 - the same each time


PIECES_OF_WORK = [
    "CFBL-Address: a@\nCFBL-Feedback-ID: bounce-\n",
    "Action: failed\n\n",
    "a",
    "\n",
    "--b\n",
    "<",
    "=?",
    ": ",
    "x@",
    ",@",
    "; ",
    "(",
    'a="',
    "bounce-" + "a" * 40 + "@",
]


@pytest.fixture(scope="module")
def library_world() -> World:
    """Our modules, the standard library's email package and flufl.bounce, all with counters in them."""
    return World("email", "flufl.bounce")


@pytest.mark.parametrize("piece", PIECES_OF_WORK)
def test_messages_are_read_in_linear_time_by_us_and_by_the_libraries(
    library_world: World, piece: str
) -> None:
    counted = library_world.load("gatepost_bounces.reading").read
    one_line = piece.replace("\n", " ")
    for make in (
        lambda n: report(MTA, piece * n),
        lambda n: complaint(piece * n),
        lambda n: plain("x", piece * n),
        lambda n: plain("x", "y", f"X-Failed-Recipients: {one_line * n}"),
    ):
        assert_linear(library_world, make, lambda raw: counted(raw, ORIGIN, "", verify))


# Of everything as much as is read: 128 kB, of which flufl.bounce gets 200 lines of 200 characters. That is
# a second of a slow machine at most, whatever a message has.
MOST_STEPS = 30_000_000
WORST = {
    "lines with addresses": plain("x", (",@" * 150 + "\n") * 300),
    "a header with addresses": plain("x", "y", *["X-Failed-Recipients: " + "a@b.c, " * 40] * 280),
    "comments": plain("x", "y", "X-Failed-Recipients: " + "\n ".join(["(" * 280] * 280)),
    "fields": report(MTA, "A: b\n" * 25_000),
    "recipients": report(*[failed("a@b.c", "smtp; " + "550 x " * 90)] * 200),
    "parts": b'Content-Type: multipart/mixed; boundary="a"\n\n' + b"--a\n\n" * 25_000,
    "parts in parts": b"".join(
        b'Content-Type: multipart/mixed; boundary="a%d"\n\n--a%d\n' % (n, n) for n in range(20)
    )
    + b"--a19\n\n" * 15_000,
    "parameters": b"Content-Type: multipart/report; " + b"a=b; " * 20_000 + b"\n\nx",
    "quotes": b'Content-Type: multipart/report; boundary="' + b';"' * 60_000 + b"\n\nx",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 9_000 + b"\n\nx",
}


@pytest.mark.parametrize("name", WORST)
def test_the_worst_message_takes_a_bounded_number_of_steps(library_world: World, name: str) -> None:
    counted = library_world.load("gatepost_bounces.reading").read
    assert library_world.steps(lambda: counted(WORST[name], ORIGIN, "", verify), 2 * MOST_STEPS) < MOST_STEPS
