"""The load: SMTP sessions that each send many messages, in a process of its own.

Plain sockets and prepared bytes, so that the client costs little beside the server.
Run as ``python -m gatepost_bench.load``; it reads one JSON line of ``Order`` from standard
input and writes one of ``Outcome``. Any reply that is not the expected one ends it with
that reply on standard error.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Order:
    """What to send: ``sessions`` at once, ``messages`` in all, ``per_connection`` on each connection.

    Without a message file each of the ``messages`` is only a connection, a login and QUIT.
    """

    port: int
    ca_file: str
    message_file: str
    messages: int
    sessions: int
    per_connection: int
    username: str = ""
    password: str = ""


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
    message = _on_the_wire(order.message_file)
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
                for _ in range(share if message else 0):
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


def _on_the_wire(name: str) -> bytes:
    """Return a message file's content as DATA carries it (RFC 5321 section 4.5.2); nothing without a file."""
    if not name:
        return b""
    content = Path(name).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return content.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def main() -> None:
    """Carry out the order on standard input."""
    order = Order(**json.loads(sys.stdin.readline()))
    try:
        outcome = run(order)
    except (OSError, Refused) as error:
        sys.exit(f"load: {error}")
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
