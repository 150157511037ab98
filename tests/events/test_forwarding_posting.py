"""Giving a report to an SMTP server on a UNIX socket: what counts as given, and what ends a wait."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_events.forwarding.posting import Post

CONTENT = b"Subject: x\r\n\r\n.dot\r\nend\r\n"


class Server:
    """Answers one session; says nothing after a whole message unless it has ``last``."""

    def __init__(self, path: Path, last: bytes) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._last = last
        self.got = b""
        self.whole = threading.Event()
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        session, _ = self._listener.accept()
        self._listener.close()
        with session, session.makefile("rb") as lines:
            session.sendall(b"220 here\r\n")
            data = False
            for line in lines:
                if not data:
                    data = line == b"DATA\r\n"
                    session.sendall(b"354 go on\r\n" if data else b"250 yes\r\n")
                    continue
                if line != b".\r\n":
                    self.got += line
                    continue
                data = False
                self.whole.set()
                if self._last == b"hang up":
                    return
                session.sendall(self._last)
        self.closed.set()


@pytest.fixture(params=[b"250 queued\r\n"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path / "s", request.param)
    yield found
    found.thread.join()


def test_a_message_arrives_as_it_is(server: Server, tmp_path: Path) -> None:
    post = Post(tmp_path / "s")
    post.open()
    assert post.give("alice@example.test", CONTENT)[:] == (250, "queued", False)
    assert server.got == CONTENT.replace(b"\r\n.dot", b"\r\n..dot")
    post.close()


@pytest.mark.parametrize("server", [b"hang up"], indirect=True)
def test_a_session_that_ends_after_the_whole_message_was_given_is_told_apart(
    server: Server, tmp_path: Path
) -> None:
    post = Post(tmp_path / "s")
    post.open()
    reply = post.give("alice@example.test", CONTENT)
    assert (reply.code, reply.unheard) == (0, True)
    assert server.whole.is_set()


@pytest.mark.parametrize("server", [b""], indirect=True)
def test_the_daemon_s_end_ends_the_wait_for_an_answer(server: Server, tmp_path: Path) -> None:
    post = Post(tmp_path / "s")
    post.open()
    replies = []
    giving = threading.Thread(target=lambda: replies.append(post.give("alice@example.test", CONTENT)))
    giving.start()
    assert server.whole.wait(60)
    post.stop()
    giving.join(60)
    assert [(one.code, one.unheard) for one in replies] == [(0, True)]
    with pytest.raises(OSError, match="the daemon ends"):
        post.open()
