"""A question to another daemon: answered, or a fault in words within its deadline."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from gatepost_core.serving.asking import NoAnswer, ask
from tests.core.running import PATIENCE, listening

Act = Callable[[socket.socket], object]


@contextmanager
def answering(path: Path, act: Act) -> Iterator[str]:
    """Have somebody accept one connection and do something with it; give the address."""

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
            with client, suppress(OSError):
                client.settimeout(PATIENCE)
                act(client)
                client.recv(1)  # until the one who asks is gone

    listener = listening(path)
    listener.settimeout(PATIENCE)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"unix:{path}"
    finally:
        thread.join()


def soon() -> float:
    return time.monotonic() + PATIENCE


def test_a_line_is_answered_by_a_line(tmp_path: Path) -> None:
    def act(client: socket.socket) -> None:
        assert client.recv(100) == b"who?\n"
        client.sendall(b"it ")
        client.sendall(b"is me\nand more")

    with answering(tmp_path / "s", act) as address:
        assert ask(address, b"who?\n", soon(), 100) == b"it is me"


def test_who_hangs_up_before_he_has_heard_all_may_have_said_why(tmp_path: Path) -> None:
    with answering(tmp_path / "s", lambda client: client.sendall(b"not you\n")) as address:
        assert ask(address, b"x" * 8_000_000, soon(), 100) == b"not you"


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda client: client.shutdown(socket.SHUT_WR), "closed without an answer"),
        (lambda client: client.sendall(b"half") or client.shutdown(socket.SHUT_WR), "closed without"),
        (lambda client: client.sendall(b"x" * 10_000), "more than 1000 bytes"),
    ],
)
def test_who_answers_nothing_whole_has_not_answered(tmp_path: Path, act: Act, words: str) -> None:
    with answering(tmp_path / "s", act) as address, pytest.raises(NoAnswer, match=words):
        ask(address, b"who?\n", soon(), 1000)


def test_who_says_nothing_or_little_by_little_is_not_waited_for_beyond_the_deadline(tmp_path: Path) -> None:
    def drip(client: socket.socket) -> None:
        while not select.select([client], [], [], 0.001)[0]:  # until the one who asks is gone
            client.sendall(b".")

    with (
        answering(tmp_path / "s", lambda _: None) as address,
        pytest.raises(NoAnswer, match="no answer in time"),
    ):
        ask(address, b"", time.monotonic() + 0.05, 1000)
    with answering(tmp_path / "d", drip) as address, pytest.raises(NoAnswer, match="no answer in time"):
        ask(address, b"", time.monotonic() + 0.05, 100_000_000)


def test_where_nobody_listens_that_is_said_at_once(tmp_path: Path) -> None:
    listening(tmp_path / "left").close()
    for name in ("none", "left"):
        with pytest.raises(NoAnswer, match=f"{name}: nobody listens there"):
            ask(f"unix:{tmp_path}/{name}", b"", soon(), 100)
    with pytest.raises(NoAnswer, match="expected a UNIX socket"):
        ask("inet:127.0.0.1:1", b"", soon(), 100)
    with pytest.raises(NoAnswer, match="not an address"):
        ask("nonsense", b"", soon(), 100)
    with pytest.raises(NoAnswer, match="in time"):
        ask(f"unix:{tmp_path}/none", b"", time.monotonic() - 1, 100)
