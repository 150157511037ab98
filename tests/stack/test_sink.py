"""The sink keeps what it said 250 to, byte for byte."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost_stack import delivery
from gatepost_stack.daemons import Daemon, Supervisor


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[int]:
    """A sink of its own; its port."""
    for part in ("tmp", "new", "cur", "notify"):
        (tmp_path / part).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "gatepost_stack.sink", str(tmp_path)]
        supervisor = Supervisor(
            [Daemon("sink", command, tmp_path / "sink.log", listener)], tmp_path / "notify"
        )
        try:
            supervisor.start()
            yield listener.getsockname()[1]
        finally:
            supervisor.stop()


def test_a_message_is_there_with_its_envelope_once_it_was_accepted(sink: int, tmp_path: Path) -> None:
    body = b"Subject: x\r\n\r\n.dot\r\nlone\rreturn \xff\xfe\x00 \r\n" + b"y" * 5000 + b"\r\n"
    with smtplib.SMTP("127.0.0.1", sink, timeout=30) as client:
        client.sendmail("a@x.test", ["b@x.test", "c@x.test"], body, mail_options=["body=8bitmime"])
        client.sendmail("", ["d@x.test"], b"\r\n", mail_options=["smtputf8"])
        items = list(delivery.delivered(tmp_path))
    first, second = items
    assert first.sender == "a@x.test"
    assert first.recipients == ("b@x.test", "c@x.test")
    assert first.message == body.replace(b"\r\n", b"\n")
    assert (second.sender, second.recipients) == ("", ("d@x.test",))
    assert not list((tmp_path / "tmp").iterdir())


def test_a_message_that_cannot_be_kept_is_answered_with_4xx(sink: int, tmp_path: Path) -> None:
    (tmp_path / "new").rmdir()
    with smtplib.SMTP("127.0.0.1", sink, timeout=30) as client:
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail("a@x.test", ["b@x.test"], b"x\r\n")
        assert caught.value.smtp_code == 451


def _started(maildir: Path, listener: socket.socket, notify: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gatepost_stack.sink", str(maildir)]
    return subprocess.Popen(
        ["sh", "-c", 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&0', "sh", *command],
        stdin=listener.fileno(),
        stderr=subprocess.PIPE,
        env={**os.environ, "NOTIFY_SOCKET": notify},
    )


def test_signals_in_any_number_end_it_without_a_word(tmp_path: Path) -> None:
    for part in ("tmp", "new", "cur"):
        (tmp_path / part).mkdir()
    address = str(tmp_path / "notify")
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
    ):
        notify.bind(address)
        notify.settimeout(30)
        for _ in range(5):
            process = _started(tmp_path, listener, address)
            assert notify.recv(100).startswith(b"READY=1")
            while process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):  # some hundred at most: more fill asyncio's pipe
                    process.wait(0.001)
            assert (process.returncode, process.communicate()[1]) == (0, b"")
