"""Standard error that is not read: nobody waits for it, and what was dropped is counted and told."""

from __future__ import annotations

import os
import pty
import socket
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost_core.serving.log.stderr import WAITING_MOST

# Writes far more than is read, says on standard output that it is through, then a line for each byte it gets.
SCRIPT = """
import os, sys
from gatepost_core.serving import log
log.configure("logfmt", "info", "sasl")
for number in range(10_000):
    log.info("refused", number=number, text="x" * 100)
os.write(1, b"through\\n")
while os.read(0, 1):
    log.info("and on")
    os.write(1, b"on\\n")
"""
FORKING = SCRIPT.replace(
    'os.write(1, b"through',
    """
child = os.fork()
if child == 0:
    log.info("child")
    os._exit(0)
os.waitpid(child, 0)
os.write(1, b"through""",
)


class Writer:
    """A process that logs to a descriptor which nobody may read; ended at the end."""

    def __init__(self, stderr: int, script: str = SCRIPT) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=pipe, stdout=pipe, stderr=stderr
        )

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()

    def said(self) -> bytes:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"x")
        self.process.stdin.flush()
        assert self.said() == b"on\n"


def ends(kind: str) -> tuple[int, int]:
    """Return a descriptor to read, without waiting, and one to write."""
    if kind == "pipe":
        read, write = os.pipe()
    else:
        one, other = socket.socketpair()
        read, write = one.detach(), other.detach()
    os.set_blocking(read, False)
    return read, write


def arrived(read: int) -> bytes:
    """Return what has been written so far."""
    text = b""
    with suppress(BlockingIOError):
        while piece := os.read(read, 65_536):
            text += piece
    return text


def whole(text: bytes) -> tuple[list[int], int]:
    """Return the numbers of the lines that arrived, and how many are said to have been dropped."""
    numbers, dropped = [], 0
    for line in text.splitlines():
        fields = dict(part.partition(b"=")[::2] for part in line.split(b" "))
        if b"number" in fields:
            assert fields[b"text"] == b"x" * 100, line
            numbers.append(int(fields[b"number"]))
        dropped += int(fields.get(b"lines", b"0"))
    return numbers, dropped


@pytest.mark.timeout(60)
@pytest.mark.parametrize("script", [SCRIPT, FORKING], ids=["alone", "forking"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_log_that_is_not_read_stops_nobody_and_what_was_dropped_is_told(kind: str, script: str) -> None:
    read, write = ends(kind)
    text = b""
    with Writer(write, script) as writer:
        assert writer.said() == b"through\n"
        for _ in range(100):
            text += arrived(read)
            writer.go_on()
            if b"dropped" in text:
                break
        text += arrived(read)
    os.close(read)
    os.close(write)
    numbers, dropped = whole(text)
    assert numbers == list(range(len(numbers)))  # in order, each once, also where a child was forked
    assert dropped > 0
    assert len(numbers) + dropped == 10_000
    assert len(numbers) * 100 >= WAITING_MOST / 2
    assert text.rstrip().endswith(b'event="and on"')


@pytest.mark.timeout(60)
def test_a_terminal_that_is_stopped_stops_nobody() -> None:
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)  # what Ctrl-S does
    with Writer(slave) as writer:
        assert writer.said() == b"through\n"
    os.close(slave)
    os.close(master)


def test_a_pipe_that_others_write_to_as_well_stays_as_it_was() -> None:
    read, write = ends("pipe")
    with Writer(write) as writer:
        assert writer.said() == b"through\n"
        assert os.get_blocking(write)
    os.close(read)
    os.close(write)


def test_lines_in_a_file_are_all_there(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file, Writer(file.fileno()) as writer:
        assert writer.said() == b"through\n"
    numbers, dropped = whole((tmp_path / "log").read_bytes())
    assert (numbers, dropped) == (list(range(10_000)), 0)
