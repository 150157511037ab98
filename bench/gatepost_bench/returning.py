"""``python -m gatepost_bench.returning``: reports that ``gatepost-bounces`` takes in a second.

Bounces of 100 messages, as a Postfix writes them, each with the returned message of 4 kB, over LMTP by plain
sockets: ten sessions at once, one report a connection as lmtp(8) sends where there are few. All is on disk
before 250. The sessions are of this process, whose CPU is not the daemon's and takes from the same cores.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import click

from gatepost_bench import accounting
from gatepost_bench.mail import private_stack
from gatepost_core.domain import ids
from gatepost_core.keys import Keyring
from gatepost_core.keys.tokens import BounceTokens, Origin
from gatepost_stack.provision import BOUNCE_DOMAIN
from gatepost_stack.stack import Stack

_SESSIONS = 10
_MESSAGES = 100
_RETURNED = Path(__file__).parent / "text-4kb.eml"
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Taken:
    """``rate``: reports a second; ``cpu_ms``: milliseconds of the daemon's CPU for each."""

    rate: float
    cpu_ms: float


@click.command()
@click.option("--reports", default=5_000, show_default=True, help="Reports in all.")
@click.option("--per-connection", default=1, show_default=True, help="Reports of one connection.")
def main(reports: int, per_connection: int) -> None:
    """Measure how many reports the intake takes in a second."""
    one = measure(reports, per_connection)
    click.echo(f"{one.rate:,.0f} reports/s, {one.cpu_ms:.2f} ms of CPU each")


def measure(reports: int = 5_000, per_connection: int = 1) -> Taken:
    """Send reports to a daemon of its own. Raises RuntimeError for any but the expected reply."""
    with private_stack(milter=True, extra=[]) as stack:
        addresses = _addresses(stack)
        path = stack.settings.bounces.listen.removeprefix("unix:")
        _run(path, addresses, 20 * _SESSIONS, per_connection)
        roots = {"bounces": stack.supervisor.pid("bounces")}
        before, began = accounting.cpu_seconds(roots), time.monotonic()
        _run(path, addresses, reports, per_connection)
        seconds, after = time.monotonic() - began, accounting.cpu_seconds(roots)
    return Taken(reports / seconds, (after["bounces"] - before["bounces"]) / reports * 1000)


def report(recipient: str, number: int, returned: bytes) -> bytes:
    """Return a bounce that a Postfix would send, with CR LF."""
    head = (
        f"From: MAILER-DAEMON@mx.example.org (Mail Delivery System)\nTo: {recipient}\n"
        "Subject: Undelivered Mail Returned to Sender\nDate: Sat, 28 Nov 2026 05:00:00 +0000\n"
        f"Message-Id: <{number}@mx.example.org>\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"
        'Content-Type: multipart/report; report-type=delivery-status;\n\tboundary="4XyZ.1/mx"\n\n'
        "This is a MIME-encapsulated message.\n\n--4XyZ.1/mx\nContent-Description: Notification\n"
        "Content-Type: text/plain; charset=us-ascii\n\nThis is the mail system at host mx.example.org.\n\n"
        f"<r{number}@example.org>: host in.example.org[192.0.2.1] said: 550 5.1.1\n"
        f"    <r{number}@example.org>: User unknown (in reply to RCPT TO command)\n\n"
        "--4XyZ.1/mx\nContent-Description: Delivery report\nContent-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns; mx.example.org\nX-Postfix-Queue-ID: 4XyZ\n"
        "Arrival-Date: Sat, 28 Nov 2026 04:59:59 +0000 (UTC)\n\n"
        f"Final-Recipient: rfc822; r{number}@example.org\nOriginal-Recipient: rfc822;r{number}@example.org\n"
        "Action: failed\nStatus: 5.1.1\nRemote-MTA: dns; in.example.org\n"
        f"Diagnostic-Code: smtp; 550 5.1.1 <r{number}@example.org>: User unknown\n\n"
        "--4XyZ.1/mx\nContent-Description: Undelivered Message\nContent-Type: message/rfc822\n\n"
    )
    return head.replace("\n", "\r\n").encode() + returned + b"\r\n--4XyZ.1/mx--\r\n"


def _addresses(stack: Stack) -> list[str]:
    """Return the bounce addresses of as many messages, accepted now."""
    tokens = BounceTokens(Keyring.load(stack.settings.keys.directory))
    now = time.time_ns() // 1_000_000
    return [
        f"{tokens.issue(Origin(BOUNCE_DOMAIN, 1, ids.new(now)))}@{BOUNCE_DOMAIN}" for _ in range(_MESSAGES)
    ]


def _run(path: str, addresses: list[str], reports: int, per_connection: int) -> None:
    returned = _RETURNED.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    each = [_sent(addresses[number % _MESSAGES], number, returned) for number in range(reports)]
    numbers, failures = count(0, per_connection), list[Exception]()

    def session() -> None:
        try:
            while (first := next(numbers)) < reports:
                _connection(path, each[first : first + per_connection])
        except (OSError, RuntimeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=session) for _ in range(_SESSIONS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if failures:
        raise RuntimeError(f"the load ended early: {failures[0]}") from failures[0]


def _sent(recipient: str, number: int, returned: bytes) -> tuple[bytes, bytes]:
    """Return a report as it goes over the wire: the command that names its recipient, and its content."""
    content = report(recipient, number, returned).replace(b"\r\n.", b"\r\n..")
    return f"RCPT TO:<{recipient}>\r\n".encode(), content + b".\r\n"


def _connection(path: str, reports: list[tuple[bytes, bytes]]) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SECONDS)
        connection.connect(path)
        replies = _codes(connection)
        _expect(replies, b"220")
        connection.sendall(b"LHLO bench.example.test\r\n")
        _expect(replies, b"250")
        for recipient, content in reports:
            # As lmtp(8) does: all commands at once (RFC 2920).
            connection.sendall(b"MAIL FROM:<>\r\n" + recipient + b"DATA\r\n")
            for code in (b"250", b"250", b"354"):
                _expect(replies, code)
            connection.sendall(content)
            _expect(replies, b"250")
        connection.sendall(b"QUIT\r\n")
        _expect(replies, b"221")


def _expect(replies: Iterator[bytes], code: bytes) -> None:
    reply = next(replies)
    if not reply.startswith(code):
        raise RuntimeError(f"expected {code.decode()}, got {reply!r}")


def _codes(connection: socket.socket) -> Iterator[bytes]:
    """Yield the last line of each reply."""
    kept = b""
    while True:
        while b"\n" not in kept:
            piece = connection.recv(4096)
            if not piece:
                raise RuntimeError("the daemon hung up")
            kept += piece
        line, _, kept = kept.partition(b"\n")
        if line[3:4] != b"-":
            yield line


if __name__ == "__main__":
    main()
