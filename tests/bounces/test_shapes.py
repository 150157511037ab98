"""Reports as real systems write them: each gives its recipients, their class, and if that is for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost_bounces.reading import read
from gatepost_core.keys.tokens import Origin

from .forms import HOST

ORIGIN = Origin(HOST, 7, "2al42atzmgequycj6vqhe")
SHAPES = Path(__file__).with_name("shapes")
Row = tuple[str, str, str, str]


def expected() -> dict[str, list[Row]]:
    """Return what each file tells: event, recipient, class, permanent or not; '-' is nothing."""
    found: dict[str, list[Row]] = {}
    for line in (SHAPES / "expected.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            name, kind, recipient, failure, final = line.split(" | ")
            rows = found.setdefault(name, [])
            if kind != "-":
                rows.append((kind, recipient, failure, final))
    return found


def told(raw: bytes) -> list[Row]:
    return [
        (
            one.type,
            one.recipient,
            one.detail.get("class", "-"),
            "permanent" if one.detail.get("permanent") else "-",
        )
        for one in read(raw, ORIGIN, "", lambda _: None).told
    ]


@pytest.mark.parametrize("name", expected())
def test_a_report_in_the_shape_of_a_system_tells_what_that_system_meant(name: str) -> None:
    raw = (SHAPES / f"{name}.eml").read_bytes()
    assert told(raw) == expected()[name]
    assert told(raw.replace(b"\n", b"\r\n")) == expected()[name]


def test_each_shape_has_its_expectation() -> None:
    assert expected().keys() == {one.stem for one in SHAPES.glob("*.eml")}


def test_what_the_sender_wrote_in_the_returned_message_tells_nothing() -> None:
    """A class out of the subject of the message that came back would be the sender's to choose."""
    for name in ("qmail", "yahoo", "exim-old"):
        raw = (SHAPES / f"{name}.eml").read_bytes()
        for words in (b"no such user 550 5.1.1", b"blocked using a blocklist", b"mailbox full"):
            before, _, after = raw.rpartition(b"Subject: ")
            changed = before + b"Subject: " + words + b"\n" + after.partition(b"\n")[2]
            assert told(changed) == expected()[name]
