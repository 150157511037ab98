"""What is said to the helper, what it answers, and what it makes of Postfix's commands."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gatepost_core.serving.asking import NoAnswer
from gatepost_events.holding import helper, verbs
from gatepost_events.holding.own_queue import Helper
from gatepost_events.holding.queue import HoldQueue
from gatepost_events.holding.verbs import Answer, Order, Result, Verb


@pytest.mark.parametrize(
    ("line", "order"),
    [
        (b"release 4jc55B3rFXzLKxN", Order(Verb.RELEASE, "4jc55B3rFXzLKxN")),
        (b"drop 0123456789", Order(Verb.DROP, "0123456789")),
        (b"ping", Order(Verb.PING)),
        (b"where", Order(Verb.WHERE)),
    ],
)
def test_orders_are_read_as_they_are_written(line: bytes, order: Order) -> None:
    assert verbs.read_order(line) == order
    assert verbs.write_order(order) == line + b"\n"


def test_an_answer_is_one_line_of_ascii_whatever_postfix_said() -> None:
    line = verbs.write_answer(Answer(Result.FAILED, "a\nb\0 ü" + "x" * 10_000))
    assert line.count(b"\n") == 1
    assert len(line) < verbs.ANSWER_MOST
    assert verbs.read_answer(line.rstrip()).result is Result.FAILED


def answering(line: bytes) -> Callable[[socket.socket], None]:
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(100)
            connection.sendall(line)

    return serve


@pytest.mark.parametrize("line", [b"sure\n", b"\n", b"\xff\n", b"x" * 5_000, b""])
def test_an_answer_that_is_not_understood_is_none(tmp_path: object, line: bytes) -> None:
    path = f"{tmp_path}/s"
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=answering(line), args=(listener,))
        thread.start()
        with pytest.raises(NoAnswer):
            Helper(f"unix:{path}")(Order(Verb.RELEASE, "4jc55B3rFXzLKxN"))
        thread.join()


def test_whoever_says_nothing_is_not_waited_for() -> None:
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"release 4jc55B3rFXz")
        with pytest.raises(TimeoutError):
            helper.serve(here, lambda order: pytest.fail(str(order)), seconds=0.05)


def test_a_check_before_an_upgrade_looks_for_postfix_s_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert helper.main(["--check"]) == 0
    assert capsys.readouterr().out == "gatepost-hold: the configuration is good\n"
    monkeypatch.setattr(helper, "PATH", "/nowhere")
    assert helper.main(["--check"]) == 0  # the role installs Postfix after the daemons
    assert "postcat, postsuper, postqueue, postconf: not in /nowhere" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("why", "result"), [("No such file or directory", Result.ABSENT), ("Permission denied", Result.FAILED)]
)
def test_a_queue_file_that_cannot_be_read_is_a_fault_and_no_absence(
    tmp_path: Path, why: str, result: Result
) -> None:
    postcat = tmp_path / "postcat"
    postcat.write_text(
        f"#!/bin/sh\necho 'postcat: fatal: open queue file 4jc55B3rFXzLKxN: {why}' >&2\nexit 1\n"
    )
    postcat.chmod(0o755)
    answer = HoldQueue(programs=str(tmp_path)).carry_out(Order(Verb.RELEASE, "4jc55B3rFXzLKxN"))
    assert answer.result is result


def programs(folder: Path, **texts: str) -> HoldQueue:
    """Return a queue whose commands are these scripts."""
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return HoldQueue(programs=f"{folder}:/usr/bin:/bin")


def test_of_a_message_with_very_many_recipients_only_the_beginning_is_read(tmp_path: Path) -> None:
    queue = programs(
        tmp_path,
        postcat="""
        echo '*** ENVELOPE RECORDS hold/4jc55B3rFXzLKxN ***'
        echo 'named_attribute: sasl_username=gpx'
        exec yes 'recipient: somebody@example.net'""",
        postsuper="echo 'postsuper: 4jc55B3rFXzLKxN: removed' >&2",
    )
    answer = queue.carry_out(Order(Verb.DROP, "4jc55B3rFXzLKxN"))
    assert answer == Answer(Result.DONE)


def test_a_command_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost_events.holding.queue._SECONDS", 0.05)
    queue = programs(tmp_path, postcat="exec sleep 60")
    answer = queue.carry_out(Order(Verb.DROP, "4jc55B3rFXzLKxN"))
    assert answer == Answer(Result.FAILED, "postcat did not end within 0.05 s")


def test_it_says_which_queue_it_looks_at(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/var/spool/elsewhere")
    queue = programs(tmp_path, postconf=f"echo {tmp_path}/link")
    assert queue.carry_out(Order(Verb.WHERE)) == Answer(Result.DONE, "/var/spool/elsewhere")
    broken = programs(tmp_path, postconf="echo 'postconf: fatal: no main.cf' >&2; exit 1")
    answer = broken.carry_out(Order(Verb.WHERE))
    assert answer == Answer(Result.FAILED, "postconf ended with status 1: postconf: fatal: no main.cf")
