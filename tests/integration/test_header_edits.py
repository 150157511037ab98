"""Many changes of header fields at once come out of a real Postfix as they were meant, order and folding."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_core.postfix import Parameter
from gatepost_milter.editing.headers import Header, calls
from gatepost_milter.parts import eml
from gatepost_stack import process
from gatepost_stack.stack import Stack
from tests.integration import scrambler
from tests.integration.harness import SENDER, Gateway, fresh_recipient
from tests.milter.cleanup import RECEIVED, Cleanup

MESSAGES = 40
# Postfix would add these if they were missing.
WANTED = (
    Header(b"From", b" <alice@example.test>"),
    Header(b"Date", b" Sun, 1 Mar 2026 12:00:00 +0100"),
    Header(b"Message-ID", b" <1@example.test>"),
)


@pytest.fixture(scope="module")
def scrambling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Postfix with a milter that changes header fields at random."""
    base = tmp_path_factory.mktemp("scrambling")
    with tempfile.TemporaryDirectory(prefix="gatepost-scrambler-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        path, log = Path(folder) / "socket", base / "scrambler.log"
        child = process.start([sys.executable, "-m", "tests.integration.scrambler", str(path)], log)
        try:
            deadline = time.monotonic() + 20
            while not path.exists():
                assert child.poll() is None, process.tail(log)
                assert time.monotonic() < deadline, process.tail(log)
                time.sleep(0.02)
            extra = [Parameter("smtpd_milters", f"unix:{path}", "test")]
            with Stack(base, milter=False, extra=extra) as stack:
                yield Gateway(stack)
        finally:
            process.stop(child)


def fields(number: int) -> tuple[Header, ...]:
    """Return the header of one message: the same names again and again, in any case and order."""
    chance = random.Random(number)  # noqa: S311
    own = [scrambler.field(chance) for _ in range(chance.randrange(1, 40))]
    for one in WANTED:
        own.insert(chance.randrange(len(own) + 1), one)
    return tuple(own)


def raw(headers: tuple[Header, ...]) -> bytes:
    lines = [name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in headers]
    return b"".join(lines) + b"\r\nbody\r\n"


def send(scrambling: Gateway, headers: list[tuple[Header, ...]]) -> list[tuple[Header, ...]]:
    """Return the fields with which messages of these arrive."""
    recipients = [fresh_recipient() for _ in headers]
    with scrambling.logged_in(scrambling.stack.provision.credential()) as connection:
        for recipient, one in zip(recipients, headers, strict=True):
            connection.sendmail(SENDER, [recipient], raw(one))
    return [eml.read(scrambling.delivered(recipient).message)[0] for recipient in recipients]


def without_own(arrived: tuple[Header, ...]) -> tuple[Header, ...]:
    """Return the fields with Postfix's own Received as the model has it."""
    own = [header for header in arrived if header.name == b"Received" and b"(Postfix)" in header.value]
    assert len(own) == 1
    return tuple(RECEIVED if header is own[0] else header for header in arrived)


def test_what_features_make_of_the_header_is_what_arrives(scrambling: Gateway) -> None:
    sent = [fields(number) for number in range(MESSAGES)]
    made = 0
    for came, arrived in zip(sent, send(scrambling, sent), strict=True):
        headers = scrambler.scrambled(came)
        above = len(headers.top)
        assert without_own(arrived) == (*headers.top, RECEIVED, *tuple(headers)[above:])
        made += len(calls(headers))
    assert made > 5 * MESSAGES


def test_postfix_carries_out_any_calls_as_the_model_of_it_does(scrambling: Gateway) -> None:
    sent = [(*fields(number), Header(b"X-Any", b" 1")) for number in range(MESSAGES)]
    for came, arrived in zip(sent, send(scrambling, sent), strict=True):
        assert without_own(arrived) == Cleanup(came).carry_out(scrambler.any_calls(came))
