"""Log lines on standard error: logfmt or JSON, one line an event.

A daemon calls ``configure`` once, before it forks. Every value is escaped, so a client cannot
forge a line with a line break in a user name. Under journald, which stamps each line itself, the
time is left out and the level is given as sd-daemon(3)'s ``<N>`` prefix. A line that cannot be
written (a full disk, a closed pipe) is dropped: a log must not stop mail.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, cast

# structlog loads rich, when it finds it, for a renderer that no daemon uses: 8 MB in each of them.
_WITHOUT_RICH = "rich" not in sys.modules
if _WITHOUT_RICH:
    sys.modules["rich"] = None  # type: ignore[assignment]  # import's own way to say: not there
import structlog  # noqa: E402 - see above
from structlog.typing import FilteringBoundLogger  # noqa: E402

if _WITHOUT_RICH:
    del sys.modules["rich"]

Format = Literal["logfmt", "json"]
Level = Literal["debug", "info", "warning", "error"]
EventDict = MutableMapping[str, Any]

_LEVELS: dict[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
# RFC 5424 section 6.2.1: severities, for journald's prefix.
_SEVERITY = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
# A bare logfmt value; anything else is put in quotes.
_BARE = re.compile(r"[!#-<>-\[\]-~]+")
# Control characters (C0, DEL, C1), line separators, bidirectional overrides, lone surrogates.
_UNSAFE = re.compile(
    '[\\\\"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]'
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def configure(format: Format = "logfmt", level: Level = "info", daemon: str = "") -> None:
    """Set how this process and its future children log: ``daemon`` is a field of every line."""
    _Direct.least, _Direct.renderer = _LEVELS[level], _Renderer(format, daemon, _under_journald())
    structlog.configure(
        processors=[_Direct.renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )


def get_logger(**fields: object) -> FilteringBoundLogger:
    """Return a logger; ``fields`` stand in each of its lines. Call it after ``configure``."""
    return cast(FilteringBoundLogger, structlog.get_logger().bind(**fields))


def line(level: Level, event: str, **fields: object) -> None:
    """Log one event as ``get_logger`` would, at a third of the cost: for a daemon's line a request."""
    if _LEVELS[level] >= _Direct.least:
        renderer = _Direct.renderer
        try:  # noqa: SIM105 - suppress costs three calls, at each request
            os.write(2, renderer.start(level) + renderer.rest(level, event, fields))
        except OSError:  # see the module's text
            pass


@dataclass(frozen=True, slots=True)
class Prepared:
    """A line without its time, for ``write``: for one that comes again and again with the same fields."""

    level: Level
    rest: bytes


def prepared(level: Level, event: str, **fields: object) -> Prepared:
    """Return a line to be written, once or often. ``fields`` as for ``line``, but no ``exc_info``."""
    return Prepared(level, _Direct.renderer.rest(level, event, fields))


def write(one: Prepared) -> None:
    """Log a line that has been prepared, with the time of now."""
    if _LEVELS[one.level] >= _Direct.least:
        try:  # noqa: SIM105 - see line
            os.write(2, _Direct.renderer.start(one.level) + one.rest)
        except OSError:
            pass


class _StandardError:
    """Where structlog hands finished lines: one write a line, so that processes do not mix theirs."""

    def __init__(self, *args: object) -> None:
        del args

    def msg(self, line: bytes) -> None:
        with suppress(OSError):
            os.write(2, line)

    debug = info = warning = error = critical = msg


def _under_journald() -> bool:
    """Say whether standard error is journald's stream (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        status = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class _Renderer:
    """structlog's last processor, which makes a line out of an event and its fields: a start and a rest."""

    def __init__(self, form: Format, daemon: str, journald: bool) -> None:
        self._journald = journald
        self._logfmt = form == "logfmt"
        self._origin = {"daemon": daemon} if daemon else {}
        # The text of the latest second: strftime costs more than the rest of a line.
        self._second, self._text = -1, ""

    def __call__(self, logger: object, method: str, event: EventDict) -> tuple[tuple[bytes], dict[str, Any]]:
        """Return what structlog's logger is called with."""
        if "exc_info" in event:
            event = structlog.processors.format_exc_info(logger, method, event)
        return (self.start(method) + self.rest(method, event.pop("event", ""), event),), {}

    def start(self, method: str) -> bytes:
        """Return a line's beginning: its time (RFC 3339, UTC, with milliseconds), or journald's prefix."""
        if self._journald:
            return b"<%d>" % _SEVERITY[method] + (b"" if self._logfmt else b"{")
        now = time.time()
        whole = int(now)
        if whole != self._second:
            # The text first: another thread may look at the second between the two.
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
            self._second = whole
        stamp = f"{self._text}.{int((now - whole) * 1000):03d}Z"
        return (f"ts={stamp} " if self._logfmt else f'{{"ts": "{stamp}", ').encode("ascii")

    def rest(self, method: str, event: object, fields: EventDict) -> bytes:
        """Return all that follows, with the line's end."""
        fields = {"level": method, **self._origin, "event": event, **fields}
        text = logfmt(fields) if self._logfmt else _json(fields)[1:]
        return f"{text}\n".encode("utf-8", "backslashreplace")


class _Direct:
    """What ``configure`` has set, for ``line`` and ``write``."""

    least = logging.INFO
    renderer = _Renderer("logfmt", "", journald=False)


def logfmt(fields: EventDict) -> str:
    """Return ``name=value`` pairs in their order, without a line end; a value of None is left out."""
    bare = _BARE.fullmatch
    return " ".join(
        [
            f"{name}={value}" if value.__class__ is str and bare(value) else f"{name}={_value(value)}"
            for name, value in fields.items()
            if value is not None
        ]
    )


def _value(value: object) -> str:
    if isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if _BARE.fullmatch(text):
        return text
    return f'"{_UNSAFE.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    return _ESCAPES.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}")


def _json(fields: EventDict) -> str:
    """Return one JSON object in ASCII; what JSON has no type for is given as text."""
    return json.dumps({name: value for name, value in fields.items() if value is not None}, default=str)
