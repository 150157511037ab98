"""One message as libmilter hands it over, piece by piece: envelope, headers, body.

Sans-I/O: the shell's callbacks put bytes in, ``message`` takes the whole out. Nothing
is decoded or decided here, because a callback may run for hundreds of messages at once.
"""

from __future__ import annotations

from gatepost_milter.message import Header, Message

# Real mail has below 200. A field of a few bytes costs some hundred here, and Postfix sets no limit.
FIELDS_MOST = 10_000


class Transaction:
    """Collects one mail transaction. ``username`` is the login that Postfix vouches for."""

    __slots__ = ("_body", "_headers", "fields", "recipients", "sender", "size", "username")

    def __init__(self, username: str, sender: bytes) -> None:
        self.username = username
        self.sender = bare_address(sender)
        self.recipients: list[str] = []
        self.size = 0
        self.fields = 0
        self._headers: list[Header] = []
        self._body: list[bytes] = []

    def add_recipient(self, address: bytes) -> None:
        """Note a recipient, as RCPT TO gave it (before alias expansion)."""
        self.recipients.append(bare_address(address))

    def add_header(self, name: str, value: bytes) -> None:
        """Note a header field; ``value`` begins with its leading white space.

        Those after ``FIELDS_MOST`` are only counted: such a message has to be refused.
        """
        raw = name.encode("utf-8", "surrogateescape")
        self.size += len(raw) + len(value) + 3
        self.fields += 1
        if self.fields > FIELDS_MOST:
            return
        self._headers.append(Header(raw, value))

    def add_body(self, chunk: bytes) -> None:
        """Note the next piece of the body."""
        self.size += len(chunk)
        self._body.append(chunk)

    def message(self) -> Message:
        """Return the whole message; the pieces are given up, so a body is held once."""
        body, self._body = self._body, []
        return Message(tuple(self._headers), b"".join(body))


def bare_address(path: bytes) -> str:
    """Return the mailbox of an RFC 5321 path without its angle brackets; the null sender is empty."""
    text = path.decode("utf-8", "backslashreplace").strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    return text
