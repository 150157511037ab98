"""A small SMTP client (RFC 5321, RFC 3207, RFC 4954) of which each step can be told from the others.

A reply that is not the one wanted raises ``Refused``; a peer that hangs up, says something else than
SMTP or nothing in time raises OSError (ssl.SSLError is one), with what was waited for in its text.
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

_LINE = 4096
_LINES = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """A code and the texts of a reply's lines."""

    code: int
    lines: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.code} {' '.join(self.lines)}"


class Refused(Exception):  # noqa: N818 - what the server did
    """The server's reply was not the one wanted; the text is its reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Client:
    """One session. Use as a context manager; ``connect`` makes it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def encrypt(self, context: ssl.SSLContext, hostname: str) -> bytes:
        """Make the TLS handshake; return the server's certificate, DER. Raises OSError."""
        if self._rest:
            raise OSError("the server spoke before the handshake")
        # server_hostname must not be an address with brackets, nor empty.
        encrypted = context.wrap_socket(self._connection, server_hostname=hostname or None)
        self._connection = encrypted
        return encrypted.getpeercert(binary_form=True) or b""

    def greeting(self) -> Reply:
        """Return the banner. Raises Refused, OSError."""
        return self._expected(self._reply("the greeting"), 220)

    def hello(self, name: str) -> dict[str, str]:
        """Say EHLO; return the extensions in upper case with their parameters. Raises Refused, OSError."""
        reply = self.command(f"EHLO {name}")
        words = [line.split(" ", 1) for line in reply.lines[1:]]
        return {word[0].upper(): word[1] if len(word) > 1 else "" for word in words}

    def plain(self, username: str, password: str) -> Reply:
        """Log in by AUTH PLAIN (RFC 4616). Raises Refused, OSError."""
        response = base64.b64encode(f"\0{username}\0{password}".encode()).decode("ascii")
        return self.command(f"AUTH PLAIN {response}", 235)

    def command(self, line: str, code: int = 250) -> Reply:
        """Send a command; return its reply, which has to have ``code``. Raises Refused, OSError."""
        self._connection.sendall(line.encode() + b"\r\n")
        return self._expected(self._reply(f"the reply to {line.split(' ', 1)[0]}"), code)

    def content(self, lines: Sequence[bytes]) -> Reply:
        """Send a message's lines after DATA, dots doubled; return the reply. Raises Refused, OSError."""
        stuffed = b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)
        self._connection.sendall(stuffed + b".\r\n")
        return self._expected(self._reply("the reply to the message"), 250)

    def _expected(self, reply: Reply, code: int) -> Reply:
        if reply.code != code:
            raise Refused(reply)
        return reply

    def _reply(self, what: str) -> Reply:
        texts: list[str] = []
        while len(texts) < _LINES:
            line = self._line(what)
            texts.append(line[4:])
            if not line[:3].isdecimal() or line[3:4] not in ("", " ", "-"):
                raise OSError(f"waiting for {what}, it said {line[:60]!r}, which is no SMTP")
            if line[3:4] != "-":
                return Reply(int(line[:3]), tuple(texts))
        raise OSError(f"{what} does not end")

    def _line(self, what: str) -> str:
        while b"\n" not in self._rest:
            try:
                data = self._connection.recv(_LINE)
            except TimeoutError as error:
                raise TimeoutError(f"waiting for {what}, nothing came in time") from error
            if not data or len(self._rest) > _LINE:
                raise OSError(f"waiting for {what}, it hung up" if not data else f"{what} is too long")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "backslashreplace")


def connect(host: str, port: int, timeout: float, *, proxied: bool = False) -> Client:
    """Connect to a port; nothing is said yet. Raises OSError.

    ``proxied``: say first whose connection it is, as a load balancer does; it is this host's own.
    """
    connection = socket.create_connection((host, port), timeout=timeout)
    if proxied:
        connection.sendall(_own_header(connection))
    return Client(connection)


def _own_header(connection: socket.socket) -> bytes:
    """Return the header of the PROXY protocol, version 1 (HAProxy's proxy-protocol.txt, section 2.1)."""
    (source, source_port, *_), (to, to_port, *_) = connection.getsockname(), connection.getpeername()
    family = "TCP6" if connection.family == socket.AF_INET6 else "TCP4"
    return f"PROXY {family} {source} {to} {source_port} {to_port}\r\n".encode()
