"""The load: SMTP sessions that each send many messages, in a process of its own.

Plain sockets and prepared bytes, so that the client costs little beside the server.
Run as ``python -m gatepost_bench.load``; it reads one JSON line of ``Order`` from standard
input and writes one of ``Outcome``. Any reply that is not the expected one ends it with
that reply on standard error.
"""

from __future__ import annotations

import base64
import itertools
import json
import secrets
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from gatepost_bench.letters import Mailing


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: ``sessions`` at once, ``messages`` in all, ``per_connection`` on each connection.

    Either the content of ``message_file`` or letters of ``mailing``; without both each of the ``messages``
    is only a connection, a login and QUIT.
    """

    port: int
    ca_file: str
    message_file: str
    messages: int
    sessions: int
    per_connection: int
    username: str = ""
    password: str = ""
    mailing: Mailing | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many messages were accepted, in how many seconds."""

    accepted: int
    seconds: float


class Refused(Exception):  # noqa: N818 - what happened, not a mistake of ours
    """The server gave another reply than the one expected."""


class Connection:
    """One SMTP connection over STARTTLS, logged in when there is a user name."""

    def __init__(self, order: Order, context: ssl.SSLContext) -> None:
        plain = socket.create_connection(("127.0.0.1", order.port), timeout=60)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket: socket.socket = plain
        self._expect(b"220")
        self._command(b"EHLO bench.example.test", b"250")
        self._command(b"STARTTLS", b"220")
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._command(b"EHLO bench.example.test", b"250")
        if order.username:
            secret = f"\0{order.username}\0{order.password}".encode()
            self._command(b"AUTH PLAIN " + base64.b64encode(secret), b"235")

    def send(self, message: bytes) -> None:
        """Send one message: envelope and DATA in one write (RFC 2920), then the content."""
        self._socket.sendall(b"MAIL FROM:<news@example.test>\r\nRCPT TO:<reader@example.org>\r\nDATA\r\n")
        self._expect(b"354", replies=3)
        self._socket.sendall(message)
        self._expect(b"250")

    def close(self) -> None:
        """Say QUIT."""
        self._command(b"QUIT", b"221")
        self._socket.close()

    def _command(self, line: bytes, expected: bytes) -> None:
        self._socket.sendall(line + b"\r\n")
        self._expect(expected)

    def _expect(self, code: bytes, replies: int = 1) -> None:
        received = b""
        while True:
            chunk = self._socket.recv(65536)
            received += chunk
            lines = received.split(b"\r\n")
            finished = [line for line in lines[:-1] if line[3:4] != b"-"]
            if finished and (finished[-1][:1] in b"45" or not chunk):
                raise Refused(finished[-1].decode("ascii", "replace"))
            if not chunk:
                raise Refused("connection closed")
            if len(finished) >= replies:
                if not finished[-1].startswith(code):
                    raise Refused(finished[-1].decode("ascii", "replace"))
                return


def run(order: Order) -> Outcome:
    """Send everything. Raises Refused."""
    messages = _messages(order)
    context = ssl.create_default_context(cafile=order.ca_file)
    lock, left, failures = threading.Lock(), [order.messages], list[BaseException]()

    def take() -> int:
        with lock:
            share = min(order.per_connection, left[0])
            left[0] -= share
            return share

    def session() -> None:
        try:
            while share := take():
                connection = Connection(order, context)
                for message in itertools.islice(messages, share):
                    connection.send(message)
                connection.close()
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            failures.append(error)

    began = time.monotonic()
    threads = [threading.Thread(target=session) for _ in range(order.sessions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return Outcome(order.messages, time.monotonic() - began)


def _messages(order: Order) -> Iterator[bytes]:
    """Return what to send, one message after another without end; nothing where an order has none."""
    if order.mailing is not None:
        # From another number on in each run: nothing that was seen before comes again.
        # Not a generator, which two threads could not use at a time.
        numbers = itertools.count(secrets.randbelow(1 << 28))
        return map(_on_the_wire, map(order.mailing.letter, numbers))
    if order.message_file:
        return itertools.repeat(_on_the_wire(Path(order.message_file).read_bytes()))
    return iter(())


def _on_the_wire(content: bytes) -> bytes:
    """Return a message as DATA carries it (RFC 5321 section 4.5.2)."""
    content = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def _read(line: str) -> Order:
    words = json.loads(line)
    if words.get("mailing"):
        words["mailing"] = Mailing(**words["mailing"])
    return Order(**words)


def main() -> None:
    """Carry out the order on standard input."""
    order = _read(sys.stdin.readline())
    try:
        outcome = run(order)
    except (OSError, Refused) as error:
        sys.exit(f"load: {error}")
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
