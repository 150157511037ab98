"""Log lines: one an event, readable by machines, and nobody can forge one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.serving.log import Fields, Format
from gatepost_core.serving.log.lines import Lines, logfmt

VALUES = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.binary(max_size=20))
SCRIPT = """
from gatepost_core.serving import log
log.configure({form!r}, {level!r}, "sasl")
log.info("login", slot=1, user="a\\nlevel=error forged", ip="127.0.0.1", seconds=0.000123, nothing=None)
log.debug("detail", slot=1)
log.warning("careful", slot=1)
try:
    1 / 0
except ZeroDivisionError as error:
    log.error("failed", exc_info=error, slot=1)
"""


def lines(form: str = "logfmt", level: str = "info", *, journald: bool = False) -> list[str]:
    read, write = os.pipe()
    status = os.fstat(write)
    environ = dict(os.environ)
    if journald:
        environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
    script = SCRIPT.format(form=form, level=level)
    subprocess.run([sys.executable, "-c", script], stderr=write, env=environ, check=True)
    os.close(write)
    with os.fdopen(read, "rb") as file:
        return file.read().decode().splitlines()


@given(st.dictionaries(st.sampled_from(["user", "ip", "reason"]), VALUES))
def test_no_value_breaks_a_line_or_hides_in_it(fields: dict[str, object]) -> None:
    line = logfmt(fields)
    assert not [char for char in line if unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs")]


@given(st.text(), st.text())
def test_different_values_stay_different(one: str, other: str) -> None:
    assert (logfmt({"user": one}) == logfmt({"user": other})) == (one == other)


def test_a_user_name_cannot_forge_a_line() -> None:
    found = lines()
    assert len(found) == 3
    assert 'user="a\\nlevel=error forged"' in found[0]


def test_a_logfmt_line_has_time_level_daemon_and_event_first() -> None:
    names = [part.partition("=")[0] for part in lines()[0].split(" ")[:5]]
    assert names == ["ts", "level", "daemon", "event", "slot"]


def test_a_json_line_holds_the_same_as_logfmt() -> None:
    first, second, third = (json.loads(line) for line in lines("json"))
    assert first["user"] == "a\nlevel=error forged"
    assert (first["level"], first["daemon"], first["event"]) == ("info", "sasl", "login")
    assert second["event"] == "careful"
    assert "ZeroDivisionError" in third["exception"]


def test_levels_below_the_one_set_are_left_out() -> None:
    assert ["detail" in " ".join(lines(level=level)) for level in ("debug", "info")] == [True, False]
    assert len(lines(level="error")) == 1


def test_under_journald_the_time_is_left_to_it_and_the_level_is_its_prefix() -> None:
    found = lines(journald=True)
    assert [line[:3] for line in found] == ["<6>", "<4>", "<3>"]
    assert "ts=" not in found[0]


def gathered(body: str) -> list[str]:
    """What a process writes that does ``body``; each write on a line of its own ends in a bar."""
    script = f"""
import os, sys, time
from gatepost_core.serving import log
written, write = b"", os.write
def noted(fd, data):
    global written
    written += data
    return write(fd, data + b"|\\n")
os.write = noted
log.configure("logfmt", "info", "milter")
{body}
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return run.stderr.splitlines()


def test_lines_of_routine_are_written_together_and_soon() -> None:
    found = gathered(
        "accepted = log.event('accepted')(lambda n: {'number': n})\n"
        "for n in range(30): accepted.soon('info', n)\n"
        "while b'number=29' not in written: time.sleep(0.01)"
    )
    lines = [line for line in found if line != "|"]
    assert [line.rpartition("number=")[2] for line in lines] == [str(n) for n in range(30)]
    assert found.count("|") <= 3


def test_a_line_of_another_kind_comes_after_the_routine_before_it() -> None:
    found = gathered(
        "log.event('accepted')(dict).soon('info')\n"
        "log.event('detail')(dict).soon('debug')\n"
        "log.event('rejected')(dict).now('info')\n"
        "log.event('broken')(lambda: 1 / 0).soon('info')\n"
        "log.warning('careful')\n"
        "log.event('last')(dict).soon('info')\n"
        "log.flush()\n"
        "os._exit(0)"
    )
    events = [line.split("event=")[1].split()[0].strip('"') for line in found if line != "|"]
    assert events == ["accepted", "rejected", "cannot", "careful", "last"]
    assert all(line.startswith("ts=") for line in found if line != "|")


def test_no_piece_of_gathered_lines_is_longer_than_a_pipe_takes_whole() -> None:
    found = gathered(
        "accepted = log.event('accepted')(lambda text: {'text': text})\n"
        "for n in range(60): accepted.soon('info', 'x' * 300)\n"
        "log.flush()"
    )
    sizes, size = [], 0
    for line in found:
        if line == "|":
            sizes.append(size)
            size = 0
        else:
            size += len(line) + 1
    assert len(sizes) >= 5
    assert max(sizes) <= 4096


VALUES_OF_ALL_KINDS: Fields = {
    "pid": 7, "seconds": 0.000123456789, "on": True, "off": False, "nothing": None, "empty": "",
    "raw": b"\xff", "user": 'a\nb="c"\\ \x85\u202e\ud800', "name": "Jürgen", "tab": "\t", "equals": "a=b",
}  # fmt: skip
LOGFMT = (
    'level=warning daemon=sasl event="two words" pid=7 seconds=0.000123457 on=true off=false empty="" '
    r'''raw="b'\\xff'" user="a\nb=\"c\"\\ \x85\u202e\ud800" name="Jürgen" tab="\t" equals="a=b"'''
)
JSON = (
    '"level": "warning", "daemon": "sasl", "event": "two words", "pid": 7, "seconds": 0.000123456789, '
    r""""on": true, "off": false, "empty": "", "raw": "b'\\xff'", """
    r""""user": "a\nb=\"c\"\\ \u0085\u202e\ud800", "name": "J\u00fcrgen", "tab": "\t", "equals": "a=b"}"""
)


@pytest.mark.parametrize(
    ("form", "journald", "start", "rest"),
    [
        ("logfmt", False, "ts=2026-06-22T11:00:00.987Z ", LOGFMT),
        ("logfmt", True, "<4>", LOGFMT),
        ("json", False, '{"ts": "2026-06-22T11:00:00.987Z", ', JSON),
        ("json", True, "<4>{", JSON),
    ],
)
def test_what_reads_the_log_finds_each_value_as_it_ever_was(
    form: Format, journald: bool, start: str, rest: str
) -> None:
    lines = Lines(form, "sasl", journald=journald)
    assert lines.start("warning", 1782126000.9876) == start.encode()
    assert lines.rest("warning", "two words", VALUES_OF_ALL_KINDS) == f"{rest}\n".encode()


def test_a_traceback_is_the_last_field_of_its_line() -> None:
    text = lines()[2]
    assert text.endswith('\\nZeroDivisionError: division by zero"')
    assert ' slot=1 exception="Traceback (most recent call last):\\n  File ' in text


def test_lines_of_routine_that_are_remembered_are_each_their_own() -> None:
    found = gathered(
        "login = log.event('login', usual=8)(lambda user, number: {'user': user, 'number': number})\n"
        "for n in range(3): login.soon('info', 'one', n); login.soon('warning', 'one', 1)\n"
        "log.flush()"
    )
    lines = [line.partition(" ")[2] for line in found if line != "|"]
    made = [f"level=info daemon=milter event=login user=one number={n}" for n in range(3)]
    assert lines[::2] == made
    assert lines[1::2] == ["level=warning daemon=milter event=login user=one number=1"] * 3
