"""A milter that edits header fields at random: by our own list of fields, or by any of libmilter's calls.

``python -m tests.integration.scrambler SOCKET``. What it does depends on a message's fields alone, so that a
test can say what must arrive: ``scrambled``, or where the message has the field X-Any ``any_calls``.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import Milter
import milter

from gatepost_milter.editing.headers import (
    AddHeader,
    Call,
    ChangeHeader,
    Header,
    Headers,
    InsertHeader,
    calls,
)
from gatepost_milter.libmilter import shell
from gatepost_milter.transaction import Transaction

NAMES = (b"X-A", b"x-a", b"X-B", b"Received", b"Subject", b"DKIM-Signature", b"List-Unsubscribe")
VALUES = (b" a", b"b", b"\tc", b" folded\n\tonce", b" folded\n twice\n   and again ", b" " + b"long " * 150)


def field(chance: random.Random) -> Header:
    """Return any field."""
    return Header(chance.choice(NAMES), chance.choice(VALUES))


def scrambled(came: tuple[Header, ...]) -> Headers:
    """Return the fields that a message is to have: some removed, some changed, some added at both ends."""
    chance = random.Random(repr(came))  # noqa: S311

    def change(header: Header) -> bytes | None:
        return chance.choice((header.value, header.value, None, chance.choice(VALUES)))

    headers = Headers.of(came).edited(change)
    headers = headers.added(*(field(chance) for _ in range(chance.randrange(5))))
    headers = headers.on_top(*(field(chance) for _ in range(chance.randrange(4))))
    return headers.edited(change).with_value(chance.choice(NAMES), chance.choice(VALUES))


def any_calls(came: tuple[Header, ...]) -> list[Call]:
    """Return calls in no order, some for fields that are not there."""
    chance = random.Random(repr(came))  # noqa: S311

    def one() -> Call:
        name, value = field(chance)
        kind = chance.randrange(4)
        if kind == 0:
            return AddHeader(name, value)
        if kind == 1:
            return InsertHeader(name, value)
        return ChangeHeader(name, chance.randrange(1, 6), chance.choice((None, value)))

    return [one() for _ in range(chance.randrange(20))]


class Scrambler(shell.MilterSession):
    """A session in which each message is scrambled and then accepted."""

    def envfrom(self, sender: bytes, *_parameters: bytes) -> int:
        """MAIL FROM."""
        self.transaction = Transaction("nobody", sender)
        return self.collected

    def eom(self) -> int:
        """End of message."""
        assert self.transaction is not None
        came = self.transaction.message().headers
        anything = any(header.name == b"X-Any" for header in came)
        shell.edit_header(self, any_calls(came) if anything else calls(scrambled(came)))
        return Milter.ACCEPT

    def abort(self) -> int:
        """The transaction was given up."""
        return Milter.CONTINUE

    def close(self) -> int:
        """The session ends."""
        return Milter.CONTINUE


def main(path: str) -> None:
    """Serve on a UNIX socket until told to stop."""
    shell.register("scrambler", Scrambler)
    milter.setconn(f"unix:{path}")
    milter.opensocket(True)
    Path(path).chmod(0o666)
    milter.main()


if __name__ == "__main__":
    main(sys.argv[1])
