"""One message as libmilter hands it over, piece by piece: envelope, headers, body.

Sans-I/O: the shell's callbacks put bytes in, ``message`` takes the whole out. Nothing
is decoded or decided here, because a callback may run for hundreds of messages at once. A field is put into
``raw`` as it is: what is to be made of it is made for all at the end, at a fraction of the cost.
"""

from __future__ import annotations

from gatepost_milter.editing.headers import Header, flat_size
from gatepost_milter.editing.message import Message

# Real mail has below 200. A field of a few bytes costs some hundred here, and Postfix sets no limit.
FIELDS_MOST = 10_000
# Bytes of a message that nobody counts, and what a field takes besides its value.
FREE = 65_536
FIELD = 200
# What a named tuple's own way to be made comes to, without a Python function for each field of each message.
_made = tuple.__new__


class Transaction:
    """Collects one mail transaction. ``username`` is the login that Postfix vouches for.

    ``since``: when the session's first transaction began, in seconds since 1970, so that its login was before
    that; ``address`` is the client's. None: not known.

    ``raw`` holds the header fields, names as pymilter decodes them, values with their leading white space;
    at most ``FIELDS_MOST``, the others go to ``add_surplus``. ``room`` is how many bytes may still come until
    ``holdings`` is asked, ``held`` what it gave; ``crowded`` says that it gave no more and all was forgotten.
    """

    __slots__ = (
        "_body", "_size", "_surplus", "address", "crowded", "held", "raw", "recipients", "room", "sender",
        "since", "username",
    )  # fmt: skip

    def __init__(
        self, username: str, sender: bytes, since: float | None = None, address: str | None = None
    ) -> None:
        self.username = username
        self.since = since
        self.address = address
        self.sender = bare_address(sender)
        self.recipients: list[str] = []
        self.raw: list[tuple[str, bytes]] = []
        self._surplus = 0
        self._size = 0
        self._body: list[bytes] = []
        self.room = FREE
        self.held = 0
        self.crowded = False

    def add_recipient(self, address: bytes) -> None:
        """Note a recipient, as RCPT TO gave it (before alias expansion)."""
        self.recipients.append(bare_address(address))

    def add_header(self, name: str, value: bytes) -> None:
        """Note a header field; ``value`` begins with its leading white space."""
        if len(self.raw) < FIELDS_MOST:
            self.raw.append((name, value))
        else:
            self.add_surplus(name, value)

    def add_surplus(self, name: str, value: bytes) -> None:
        """Count a header field after ``FIELDS_MOST`` of them: such a message has to be refused."""
        self._surplus += 1
        self._size += _size_of(name, value)

    def crowd_out(self) -> None:
        """Forget what came: there is no room for it."""
        self._size = self.size
        self.raw, self._body, self.crowded = [], [], True

    @property
    def fields(self) -> int:
        """Return how many header fields came."""
        return len(self.raw) + self._surplus

    @property
    def size(self) -> int:
        """Return the bytes of header and body that came. Adds them up: ask once."""
        if not self.raw:
            return self._size
        names, values = zip(*self.raw, strict=True)
        return self._size + _size_of("".join(names), b"".join(values), len(names))

    def add_body(self, chunk: bytes) -> None:
        """Note the next piece of the body."""
        self._size += len(chunk)
        self._body.append(chunk)

    def message(self) -> Message:
        """Return the whole message; the pieces are given up, so a body is held once."""
        body, self._body = self._body, []
        headers = [
            _made(Header, (name.encode("utf-8", "surrogateescape"), value)) for name, value in self.raw
        ]
        return Message(tuple(headers), b"".join(body))


def _size_of(name: str, value: bytes, fields: int = 1) -> int:
    return flat_size(name.encode("utf-8", "surrogateescape") + value, fields)


def bare_address(path: bytes) -> str:
    """Return the mailbox of an RFC 5321 path without its angle brackets; the null sender is empty."""
    text = path.decode("utf-8", "backslashreplace").strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    return text
