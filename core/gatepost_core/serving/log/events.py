"""The ways to the log: ``info`` and its like for what is rare, ``event`` for a daemon's line a request."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVarTuple

from gatepost_core.domain.memo import memo
from gatepost_core.serving.log.gatherer import Gatherer
from gatepost_core.serving.log.lines import Fields, Format, Level, Lines, trace
from gatepost_core.serving.log.stderr import StandardError

Values = TypeVarTuple("Values")
_RANK: dict[Level, int] = {"debug": 0, "info": 1, "warning": 2, "error": 3}


class _Configured:
    """What ``configure`` has set."""

    least = _RANK["info"]
    lines = Lines()


def configure(format: Format = "logfmt", level: Level = "info", daemon: str = "") -> None:
    """Set how this process and its future children log: ``daemon`` is a field of every line."""
    _Configured.least = _RANK[level]
    _Configured.lines = Lines(format, daemon, journald=_under_journald())
    _gathered.begin()


def now(level: Level, event: str, *, exc_info: BaseException | None = None, **fields: object) -> None:
    """Log an event of a level; the traceback of ``exc_info`` is its last field."""
    if exc_info is not None:
        fields["exception"] = trace(exc_info)
    if _RANK[level] >= _Configured.least:
        _gathered.write(_line(time.time(), level, event, fields))


debug = partial(now, "debug")
info = partial(now, "info")
warning = partial(now, "warning")
error = partial(now, "error")


class Event(Generic[*Values]):
    """A kind of line that comes with each request; ``fields`` says what is in it.

    ``usual`` is how many lines of routine are remembered, where the same values come again and again.
    """

    def __init__(self, name: str, fields: Callable[[*Values], Fields], usual: int = 0) -> None:
        self._name = name
        self._fields = fields
        self._usual = memo(usual)(self._rest) if usual else self._rest

    def now(self, level: Level, *values: *Values) -> None:
        """Log it at once."""
        if _RANK[level] >= _Configured.least:
            _gathered.write(_line(time.time(), level, self._name, self._fields(*values)))

    def soon(self, level: Level, *values: *Values) -> None:
        """Log it as routine, within a twentieth of a second, with the time of now.

        The values are kept until then: no message.
        """
        if _RANK[level] >= _Configured.least:
            _gathered.add((self._made, (time.time(), level, values)))

    def _made(self, at: float, level: Level, values: tuple[*Values]) -> bytes:
        lines = _Configured.lines
        try:
            return lines.start(level, at) + self._usual(lines, level, values)
        except Exception as error:  # noqa: BLE001 - the lines of others wait behind it
            return _line(at, "error", "cannot log", {"line": self._name, "error": repr(error)})

    def _rest(self, lines: Lines, level: Level, values: tuple[*Values]) -> bytes:
        return lines.rest(level, self._name, self._fields(*values))


def event(name: str, *, usual: int = 0) -> Callable[[Callable[[*Values], Fields]], Event[*Values]]:
    """Make an event out of the function that returns its fields."""
    return lambda fields: Event(name, fields, usual)


def _line(at: float, level: Level, event: str, fields: Fields) -> bytes:
    lines = _Configured.lines
    return lines.start(level, at) + lines.rest(level, event, fields)


def flush() -> None:
    """Write the lines that wait: before a process ends."""
    _gathered.flush()


def _dropped(count: int) -> bytes:
    """Return the line that says how many were dropped because nobody read them."""
    return _line(time.time(), "warning", "log lines dropped: nobody read them", {"lines": count})


def _under_journald() -> bool:
    """Say whether standard error is journald's stream (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


_standard_error = StandardError(_dropped)
os.register_at_fork(after_in_child=_standard_error.begin)
_gathered = Gatherer(_standard_error)
