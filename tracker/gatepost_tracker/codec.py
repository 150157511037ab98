"""HTTP/1.1 (RFC 9112) as far as a tracker needs it: bytes to requests, responses to bytes. Sans-I/O.

httptools (llhttp, Node's parser) reads; here stand the bounds: bytes of the request line, of the header,
of the body, fields, requests in one piece. What is beyond them, or is no HTTP, is a ``Refused``, after which
the connection has to end.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

import httptools

TARGET_MOST = 8_192
HEADER_MOST = 16_384
FIELDS_MOST = 64
BODY_MOST = 4_096
PIPELINED_MOST = 32
# The parser keeps a field until it ends, and tells nothing of extensions of chunks: all that came counts.
_PIECE = 4_096
_WHOLE_MOST = TARGET_MOST + HEADER_MOST + BODY_MOST + _PIECE
# What is looked at; of all other fields only the number counts.
_WANTED = frozenset(
    b"host user-agent x-forwarded-for purpose sec-purpose x-moz x-purpose if-none-match".split()
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}


_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


# Tuples, here and in site.py: at each request a dataclass that cannot be changed costs twice as much.
class Request(NamedTuple):
    """One request. ``target`` as it was sent; ``fields``: names in lower case, values joined by ", "."""

    method: str
    target: str
    fields: Mapping[str, str] = _NO_FIELDS
    body: bytes = b""
    keep_alive: bool = True


class Refused(NamedTuple):
    """What cannot be answered: the status, and why, for the log."""

    status: int
    reason: str


class Response(NamedTuple):
    """Status, fields beside Content-Length and Connection, and the body."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class _TooMuchError(Exception):
    """A bound is reached."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.refused = Refused(status, reason)


class RequestReader:
    """Reads the requests of one connection."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._found: list[Request | Refused] = []
        self._over = False
        self._clear()

    def _clear(self) -> None:
        self._target: list[bytes] = []
        self._fields: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = self._count = self._in_body = self._come = 0
        self.begun = False

    def feed(self, data: bytes) -> list[Request | Refused]:
        """Return what is complete now. After a ``Refused`` nothing more is read."""
        if self._over:
            return []
        self._found = []
        try:
            for start in range(0, len(data), _PIECE):
                self._piece(data[start : start + _PIECE])
        except httptools.HttpParserUpgrade:
            self._over = True  # answered as what it is, and no other protocol is spoken here
            last = self._found.pop() if self._found else None
            if isinstance(last, Request):
                self._found.append(Request(last.method, last.target, last.fields, last.body, False))
        except httptools.HttpParserError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, _TooMuchError):
                cause = cause.__cause__ or cause.__context__
            refused = cause.refused if cause is not None else Refused(400, "no HTTP request")
            self._found.append(refused)
            self._over = True
        except _TooMuchError as error:
            self._found.append(error.refused)
            self._over = True
        return self._found

    def _piece(self, data: bytes) -> None:
        self._parser.feed_data(data)
        self._come += len(data)
        if self.begun and self._come > _WHOLE_MOST:
            raise _TooMuchError(431, "the header is too large")

    # What httptools calls.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._clear()
        self.begun = True
        if len(self._found) >= PIPELINED_MOST:
            raise _TooMuchError(400, "too many requests at once")

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._size += len(url)
        if self._size > TARGET_MOST:
            raise _TooMuchError(414, "the target is too long")
        self._target.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field."""
        self._count += 1
        self._size += len(name) + len(value or b"")
        if self._count > FIELDS_MOST or self._size > HEADER_MOST + TARGET_MOST:
            raise _TooMuchError(431, "the header is too large")
        lower = name.lower()
        if lower not in _WANTED:
            return
        key, text = lower.decode("ascii"), (value or b"").decode("latin-1").strip()
        if key in self._fields:
            if key == "host":
                raise _TooMuchError(400, "two Host fields")
            text = f"{self._fields[key]}, {text}"
        self._fields[key] = text

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._in_body += len(body)
        if self._in_body > BODY_MOST:
            raise _TooMuchError(413, "the body is too large")
        self._body.append(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._found.append(
            Request(
                self._parser.get_method().decode("ascii", "replace"),
                b"".join(self._target).decode("latin-1"),
                self._fields,
                b"".join(self._body),
                self._parser.should_keep_alive(),
            )
        )
        self.begun = False


def render(response: Response, *, head: bool = False, keep_alive: bool = True) -> bytes:
    """Return a response as bytes; ``head``: it answers HEAD. Raises ValueError for what no line takes."""
    status, fields, body = response
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", *map(_line, fields)]
    if status != HTTPStatus.NOT_MODIFIED:
        lines.append(f"Content-Length: {len(body)}")
    lines.append("Connection: keep-alive\r\n\r\n" if keep_alive else "Connection: close\r\n\r\n")
    text = "\r\n".join(lines).encode("ascii")
    return text if head or status == HTTPStatus.NOT_MODIFIED else text + body


def _line(field: tuple[str, str]) -> str:
    name, value = field
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"{name}: {value[:60]!r} is no field's value")
    return f"{name}: {value}"
