"""Log lines on standard error: logfmt or JSON, one line an event.

A daemon calls ``configure`` once, before it forks. Every value is escaped, so a client cannot
forge a line with a line break in a user name. Under journald, which stamps each line itself, the
time is left out and the level is given as sd-daemon(3)'s ``<N>`` prefix. Nobody waits for the log
(``stderr``): lines that are not read are kept, up to a bound; beyond it they are dropped, and a line says
how many.

Lines of routine (``soon``: what went well, at each request) are gathered for a twentieth of a second and then
made and written together, with the time at which they came: making one between two requests costs several
times as much. A line of another kind first writes those that wait, so a process' lines keep their order; a
process that is killed takes a twentieth of a second of routine along.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeAlias, cast

# structlog loads rich, when it finds it, for a renderer that no daemon uses: 8 MB in each of them.
_WITHOUT_RICH = "rich" not in sys.modules
if _WITHOUT_RICH:
    sys.modules["rich"] = None  # type: ignore[assignment]  # import's own way to say: not there
import structlog  # noqa: E402 - see above
from structlog.typing import FilteringBoundLogger  # noqa: E402

from gatepost_core.serving.stderr import WHOLE, StandardError  # noqa: E402

if _WITHOUT_RICH:
    del sys.modules["rich"]

Format = Literal["logfmt", "json"]
Level = Literal["debug", "info", "warning", "error"]
EventDict = MutableMapping[str, Any]
P = ParamSpec("P")

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
_GATHER_SECONDS = 0.05
# Beyond this whoever has one more line writes them all.
_GATHER_MOST = 5_000
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def configure(format: Format = "logfmt", level: Level = "info", daemon: str = "") -> None:
    """Set how this process and its future children log: ``daemon`` is a field of every line."""
    _Direct.process = os.getpid()
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
        _put(_Direct.renderer.start(level, time.time()) + _Direct.renderer.rest(level, event, fields))


def soon(level: Level, event: str, fields: Callable[P, EventDict], *args: P.args, **kwargs: P.kwargs) -> None:
    """Log one event of routine, within a twentieth of a second: ``fields`` is called then, with the rest.

    What it is called with is kept until then: no message.
    """
    if _LEVELS[level] >= _Direct.least:
        _gathered.add((time.time(), level, _made, (level, event, fields, args, kwargs)))


def _made(level: Level, event: str, fields: Callable[..., EventDict], args: Any, kwargs: Any) -> bytes:
    try:
        return _Direct.renderer.rest(level, event, fields(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 - the lines of others wait behind it
        return _Direct.renderer.rest("error", "cannot log", {"line": event, "error": repr(error)})


@dataclass(frozen=True, slots=True)
class Prepared:
    """A line without its time, for ``write``: for one that comes again and again with the same fields."""

    level: Level
    rest: bytes


def prepared(level: Level, event: str, **fields: object) -> Prepared:
    """Return a line to be written, once or often. ``fields`` as for ``line``, but no ``exc_info``."""
    return Prepared(level, _Direct.renderer.rest(level, event, fields))


def write(one: Prepared, *, routine: bool = False) -> None:
    """Log a line that has been prepared, with the time of now; one of ``routine`` as ``soon`` does."""
    if _LEVELS[one.level] >= _Direct.least:
        if routine:
            _gathered.add((time.time(), one.level, bytes, (one.rest,)))
        else:
            _put(_Direct.renderer.start(one.level, time.time()) + one.rest)


def flush() -> None:
    """Write the lines that wait: before a process ends."""
    _gathered.write()


def _put(line: bytes) -> None:
    """Write one line, after those that wait."""
    _gathered.write()
    _out(line)


def _out(lines: bytes) -> None:
    if not _standard_error.write(lines):
        _gathered.write_later()


def _dropped(count: int) -> bytes:
    """Return the line that says how many were dropped because nobody read them."""
    start = _Direct.renderer.start("warning", time.time())
    return start + _Direct.renderer.rest("warning", "log lines dropped: nobody read them", {"lines": count})


_standard_error = StandardError(_dropped)
os.register_at_fork(after_in_child=_standard_error.begin)


# When a line came, its level, and what makes the rest out of what.
_Gathered: TypeAlias = tuple[float, Level, Callable[..., bytes], tuple[Any, ...]]


class _Gatherer:
    """Lines that wait to be written."""

    def __init__(self) -> None:
        self._waiting: deque[_Gathered] = deque()
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._due = False
        self._thread: threading.Thread | None = None

    def add(self, line: _Gathered) -> None:
        """Have a line written soon."""
        self._waiting.append(line)
        if not self._due:  # two threads may both see it: then the writer has a turn too many
            self._due = True
            self._wake()
        elif len(self._waiting) > _GATHER_MOST:
            self.write()

    def _wake(self) -> None:
        with self._starting:
            if self._thread is None:  # not before it is needed: a thread does not live through a fork
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
        self._turns.put(None)

    def write_later(self) -> None:
        """Have the thread try again what was not taken. In the parent of a daemon, which forks: no thread."""
        if (self._thread is not None or os.getpid() != _Direct.process) and not self._due:
            self._due = True
            self._wake()

    def _run(self) -> None:
        while True:
            self._turns.get()
            time.sleep(_GATHER_SECONDS)
            self._due = False
            self.write()
            _out(b"")

    def write(self) -> None:
        """Write all that wait, several with one call."""
        with self._writing:
            piece = b""
            for _ in range(len(self._waiting)):
                at, level, make, values = self._waiting.popleft()
                line = _Direct.renderer.start(level, at) + make(*values)
                if piece and len(piece) + len(line) > WHOLE:
                    _out(piece)
                    piece = b""
                piece += line
            if piece:
                _out(piece)


_gathered = _Gatherer()


class _StandardError:
    """Where structlog hands finished lines: one write a line, so that processes do not mix theirs."""

    def __init__(self, *args: object) -> None:
        del args

    def msg(self, line: bytes) -> None:
        _put(line)

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
        return (self.start(method, time.time()) + self.rest(method, event.pop("event", ""), event),), {}

    def start(self, method: str, now: float) -> bytes:
        """Return a line's beginning: its time (RFC 3339, UTC, with milliseconds), or journald's prefix."""
        if self._journald:
            return b"<%d>" % _SEVERITY[method] + (b"" if self._logfmt else b"{")
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

    process = 0  # which configured it: of a daemon, the one that forks
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
