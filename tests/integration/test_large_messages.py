"""A message of 40 MB costs a worker a bounded multiple of its size, whatever is in it, and is answered."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatepost_core.keys.dkim_keys import txt_record
from gatepost_milter.dkim.transport import has_long_line
from gatepost_milter.editing.message import Message, Plan, render
from gatepost_stack.stack import Stack
from tests.core.running import PATIENCE
from tests.integration.harness import SENDER, Gateway
from tests.integration.lone import ALL, Lone, lone_milter
from tests.integration.processes import peak, reset_peak, resident
from tests.milter.dkim.judges import BOTH, by_opendkim
from tests.milter.making import message as parsed
from tests.waiting import until

SIZE = 40_000_000
EDITED = 9_900_000  # below milter.edit_size_limit: HTML is edited, and what has long lines is encoded
# The pieces as libmilter hands them over, the body that they are joined to, and, where it changes, the new
# body, the pieces it is joined from, and what libmilter has of it on its way out.
MULTIPLE_MOST = 4.5
# Where a message is taken apart: what its parts are in each transfer encoding, before and after, as well.
EDITED_MULTIPLE_MOST = 9
# For what does not grow with the message.
FLOOR = 10_000_000
# What is left when it has been answered: nothing that grows with the message.
KEPT_MOST = 25_000_000

HEAD = "From: <alice@example.test>\nTo: <bob@example.org>\nSubject: x\nDate: Sun, 1 Mar 2026 12:00:00 +0100\n"
HEAD += "Message-ID: <large@example.test>\nMIME-Version: 1.0\n"
HTML = b'<style>p{color:red}</style><p><a href="https://www.example.org/">x</a>\r\n'


def single(kind: str, encoding: str, body: bytes) -> Message:
    headers = parsed(f"{HEAD}Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n").headers
    return Message(headers, body)


def filled(piece: bytes, size: int) -> bytes:
    return piece * (size // len(piece))


def in_base64(data: bytes) -> bytes:
    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def with_attachment(size: int) -> Message:
    """HTML with an embedded image, and a file that makes up the size."""
    png = in_base64(b"\x89PNG\r\n\x1a\n" + bytes(2_000_000))
    related = (
        b'Content-Type: multipart/related; boundary="r"\r\n\r\n--r\r\nContent-Type: text/html\r\n\r\n'
        + HTML
        + b'<img src="cid:a@b">\r\n--r\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n'
        + b"Content-ID: <a@b>\r\n\r\n"
        + png
        + b"--r--\r\n"
    )
    pdf = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    pdf += in_base64(bytes((size - len(png)) * 57 // 78))
    headers = parsed(f'{HEAD}Content-Type: multipart/mixed; boundary="m"\n\n').headers
    return Message(headers, b"--m\r\n" + related + b"\r\n--m\r\n" + pdf + b"--m--\r\n")


LARGE: dict[str, Callable[[int], Message]] = {
    "text": lambda size: single("text/plain", "7bit", filled(b"A line of text.\r\n", size)),
    "HTML": lambda size: single("text/html", "8bit", filled(HTML, size)),
    "HTML in base64": lambda size: single("text/html", "base64", in_base64(filled(HTML, size * 57 // 78))),
    "HTML and a file, all features": with_attachment,
    "one line": lambda size: single("text/plain", "7bit", b"x" * size + b"\r\n"),
    "one line of 8-bit bytes": lambda size: single("application/pdf", "8bit", b"\xe9" * size + b"\r\n"),
    "one long line among millions of short ones": lambda size: single(
        "text/plain", "7bit", filled(b"ab\r\n", size) + b"x" * 2_000 + b"\r\n"
    ),
    "one long line among millions of empty ones": lambda size: single(
        "text/plain", "7bit", filled(b"\r\n", size) + b"x" * 2_000 + b"\r\n"
    ),
    "millions of delimiters that are none": lambda size: Message(
        parsed(f"{HEAD}Content-Type: multipart/mixed; boundary=b\n\n").headers, filled(b"--bc\r\n", size)
    ),
}


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Lone]:
    """A milter of its own for each message: nothing is left of the one before."""
    with lone_milter(tmp_path, {"milter": {"workers": 1}}) as running:
        yield running


def costs(lone: Lone, message: Message) -> float:
    """Have a message judged by the one worker; return what it needed at its peak in multiples of the size."""
    (worker,) = lone.workers()
    with lone.client(lone.provision.credential(ALL)) as client:
        # Code and keys that the first message brings in are no cost of a large one.
        client.send(single("text/html", "8bit", HTML), SENDER, ["bob@example.org"])
        before = resident(worker)
        reset_peak(worker)
        answer = client.send(message, SENDER, ["bob@example.org"])
        needed = peak(worker) - before - FLOOR
    assert answer.action == "accept", answer.reply
    assert lone.workers() == [worker]
    # It is given back after the answer, once the worker has nothing else to do.
    until(
        lambda: resident(worker) - before < KEPT_MOST,
        lambda: f"{(resident(worker) - before) / 1e6:.1f} MB are kept",
        PATIENCE,
    )
    print(f"kept {(resident(worker) - before) / 1e6:.1f} MB")
    assert not has_long_line(answer.message.body)
    return needed / len(message.body)


@pytest.mark.parametrize("name", LARGE)
def test_40_mb_cost_a_bounded_multiple_and_are_given_back(lone: Lone, name: str) -> None:
    multiple = costs(lone, LARGE[name](SIZE))
    print(f"{name}: {multiple:.1f} times 40 MB and {FLOOR // 1_000_000} MB")
    assert multiple < MULTIPLE_MOST


@pytest.mark.parametrize("name", [name for name in LARGE if "one" in name or "features" in name])
def test_the_largest_that_is_edited_costs_a_bounded_multiple(lone: Lone, name: str) -> None:
    multiple = costs(lone, LARGE[name](EDITED))
    print(f"{name}: {multiple:.1f} times 10 MB and {FLOOR // 1_000_000} MB")
    assert multiple < EDITED_MULTIPLE_MOST


def test_40_mb_with_all_features_reach_the_sink_with_signatures_that_hold(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    message = LARGE["HTML and a file, all features"](SIZE)
    with Stack(tmp_path_factory.mktemp("large")) as stack:
        gateway = Gateway(stack)
        recipient = "large@example.org"
        with gateway.logged_in(stack.provision.credential(ALL)) as connection:
            connection.sendmail(SENDER, [recipient], render(message, Plan()))
        raw = gateway.delivered(recipient, 120).message.replace(b"\n", b"\r\n")
        domain = stack.provision.domain()
    keys = {
        f"{key.selector}._domainkey.{domain.name}": txt_record(key.algorithm, key.public)
        for key in domain.keys
    }
    assert raw.endswith(message.body)
    assert by_opendkim(raw, keys, tmp_path) == BOTH
