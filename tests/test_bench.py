"""What ``script/bench`` sends and compares is what it says."""

from __future__ import annotations

import email
import email.policy
import os
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost_bench.letters import CARDS, Encoding, Mailing
from gatepost_bench.rows import ROWS, VARIANTS
from gatepost_core.domain.features import DEFAULTS, SETTABLE
from tests.waiting import until


def html_of(letter: bytes) -> str:
    part = email.message_from_bytes(letter, policy=email.policy.SMTP).get_body(("html",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_each_reader_of_the_mailing_gets_a_letter_of_19_kb_with_60_own_links_and_images(
    encoding: Encoding,
) -> None:
    one, other = (html_of(Mailing(encoding).letter(number)) for number in (3, 4))
    assert (one.count("<a href="), one.count("<img src=")) == (CARDS, CARDS) == (60, 60)
    assert 18_500 < len(one.encode()) < 19_500
    changed = [line for line in one.splitlines() if line not in other.splitlines()]
    assert len(changed) == CARDS + 1, "all cards and the greeting"


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64"])
def test_the_mailing_is_mail_as_programs_write_it(encoding: Encoding) -> None:
    letter = Mailing(encoding).letter(7)
    assert max(map(len, letter.split(b"\r\n"))) <= 78
    assert letter.count(b"\n") == letter.count(b"\r\n")
    assert letter.isascii()


def test_with_one_letter_for_all_readers_nothing_differs() -> None:
    assert Mailing("base64", same=True).letter(1) == Mailing("base64", same=True).letter(2)


def test_each_ratio_has_both_its_sides() -> None:
    known = {variant.name for variant in VARIANTS}
    assert all({row.variant, row.reference} <= known for row in ROWS)


def test_personal_mail_is_measured_with_every_feature_that_there_is() -> None:
    personal = [one for one in VARIANTS if isinstance(one.message, Mailing) and one.features is not None]
    assert len(personal) == 3
    for one in personal:
        assert one.features is not None
        assert all(one.features[name] != DEFAULTS[name] for name in SETTABLE)


def test_ended_from_outside_it_leaves_nothing_running() -> None:
    mark = f"GATEPOST_TEST_MARK={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    words = ["--messages", "100000", "--logins", "0", "--only", "Postfix alone, 4 kB"]
    bench = subprocess.Popen(
        [sys.executable, "-m", "gatepost_bench", *words],
        env={**os.environ, name: value},
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: len(marked(mark)) > 3, "a stack that runs")
    finally:
        bench.terminate()
        assert bench.wait(60) == 128 + signal.SIGTERM
    until(lambda: not marked(mark), lambda: f"still running: {marked(mark)}")


def marked(mark: str) -> list[str]:
    """Return the command lines of processes that were started with this in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found
