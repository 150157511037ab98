"""A question to another daemon of this host, over its UNIX socket: one line there, one line back.

Blocks, for the threads of a ``Later``. Whatever goes wrong (nobody there, refused, slow, cut off, far too
long) raises NoAnswer within the deadline.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress

from gatepost_core.serving.listen import ListenError, UnixAddress, parse_address

_RECV = 16_384


class NoAnswer(Exception):  # noqa: N818 - a condition that passes, not a mistake
    """There was no answer; the text says from where and why. ``sent``: what was asked may have been heard."""

    def __init__(self, text: str, *, sent: bool = False) -> None:
        super().__init__(text)
        self.sent = sent


def ask(listen: str, line: bytes, until: float, most: int) -> bytes:
    """Send ``line`` to whoever listens at ``listen`` and return the line that answers it, without its end.

    ``until`` is of the monotonic clock; an answer has ``most`` bytes. Raises NoAnswer.
    """
    sent = False
    try:
        address = parse_address(listen)
        if not isinstance(address, UnixAddress):
            raise NoAnswer(f"{listen}: expected a UNIX socket, as unix:/PATH")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            _limit(client, until)
            client.connect(address.path)
            sent = True
            with suppress(BrokenPipeError, ConnectionResetError):  # who hangs up may have said why
                client.sendall(line)
            return _line(client, until, most)
    except (ListenError, OSError, ValueError) as error:
        raise NoAnswer(f"{listen}: {_words(error)}", sent=sent) from error


def _line(client: socket.socket, until: float, most: int) -> bytes:
    data = bytearray()
    while b"\n" not in data[-_RECV:]:
        if len(data) > most:
            raise ValueError(f"an answer of more than {most} bytes")
        _limit(client, until)
        piece = client.recv(_RECV)
        if not piece:
            raise ConnectionResetError
        data += piece
    return bytes(data[: data.index(b"\n")])


def _limit(client: socket.socket, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    client.settimeout(left)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"nobody listens there ({error.strerror})"
    if isinstance(error, ConnectionError):
        return "the connection was closed without an answer"
    return str(error)
