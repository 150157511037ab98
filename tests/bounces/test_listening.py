"""A message over LMTP arrives as it was sent, in whatever pieces, with dots at the beginnings of lines."""

from __future__ import annotations

import asyncio
import random

import pytest

from gatepost_bounces.listening import content

MESSAGES = [
    b"",
    b".\r\n",
    b"..\r\n",
    b"A: b\r\n\r\nHello.\r\n.\r\n..x\r\n.y\r\n",
    b"\r\n\r\n",
    b"x" * 3_000 + b".\r\n" + b".\r\n" * 50,
    b"a\n.\nb\r.\r\rc.\r\n",
]


def sent(message: bytes) -> bytes:
    """Return a message as a client sends it (RFC 5321 section 4.5.2)."""
    lines = message.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


async def arrived(pieces: list[bytes], limit: int) -> tuple[bytes, bytes]:
    """Return what is taken of pieces, and what is left for the next command."""
    reader = asyncio.StreamReader(limit=limit)

    async def feed() -> None:
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()

    _, found = await asyncio.gather(feed(), content(reader))
    return found, await reader.read()


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize("limit", [8, 2**20])
def test_a_message_is_what_was_sent_however_it_is_cut(message: bytes, limit: int) -> None:
    rng = random.Random(message)  # noqa: S311 - the same cuts each time
    wire = sent(message) + b"QUIT\r\n"
    for _ in range(30):
        cuts = sorted(rng.sample(range(len(wire)), min(rng.randrange(6), len(wire))))
        pieces = [wire[one:other] for one, other in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
        assert asyncio.run(arrived(pieces, limit)) == (message, b"QUIT\r\n")
