"""How a line of the log reads: pure functions, from a level, an event and its fields to bytes.

Every value is escaped, so a client cannot forge a line with a line break in a user name. Under journald,
which stamps each line itself, the time is left out and the level is given as sd-daemon(3)'s ``<N>`` prefix.
"""

from __future__ import annotations

import json
import re
import time
import traceback
from collections.abc import Mapping
from typing import Literal, TypeAlias

Format = Literal["logfmt", "json"]
Level = Literal["debug", "info", "warning", "error"]
Fields: TypeAlias = Mapping[str, object]

# RFC 5424 section 6.2.1: severities, for journald's prefix.
_SEVERITY: dict[Level, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3}
# A bare logfmt value; anything else is put in quotes.
_BARE = re.compile(r"[!#-<>-\[\]-~]+")
# Control characters (C0, DEL, C1), line separators, bidirectional overrides, lone surrogates.
_UNSAFE = re.compile(
    '[\\\\"\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]'
)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Lines:
    """Makes a line in two pieces: its start, which holds the time, and all that follows."""

    def __init__(self, form: Format = "logfmt", daemon: str = "", *, journald: bool = False) -> None:
        self._journald = journald
        self._logfmt = form == "logfmt"
        self._origin = {"daemon": daemon} if daemon else {}
        # The text of the latest second: strftime costs more than the rest of a line.
        self._second, self._text = -1, ""

    def start(self, level: Level, now: float) -> bytes:
        """Return a line's beginning: its time (RFC 3339, UTC, with milliseconds), or journald's prefix."""
        if self._journald:
            return b"<%d>" % _SEVERITY[level] + (b"" if self._logfmt else b"{")
        whole = int(now)
        if whole != self._second:
            # The text first: another thread may look at the second between the two.
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
            self._second = whole
        stamp = f"{self._text}.{int((now - whole) * 1000):03d}Z"
        return (f"ts={stamp} " if self._logfmt else f'{{"ts": "{stamp}", ').encode("ascii")

    def rest(self, level: Level, event: str, fields: Fields) -> bytes:
        """Return all that follows, with the line's end."""
        every = {"level": level, **self._origin, "event": event, **fields}
        text = logfmt(every) if self._logfmt else _json(every)[1:]
        return f"{text}\n".encode("utf-8", "backslashreplace")


def trace(error: BaseException) -> str:
    """Return an exception as Python would show it, as one value."""
    return "".join(traceback.format_exception(error)).removesuffix("\n")


def logfmt(fields: Fields) -> str:
    """Return ``name=value`` pairs in their order, without a line end; a value of None is left out."""
    bare = _BARE.fullmatch
    return " ".join(
        [
            f"{name}={value}"
            if (value.__class__ is str and bare(value)) or value.__class__ is int
            else f"{name}={_value(value)}"
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


def _json(fields: Fields) -> str:
    """Return one JSON object in ASCII; what JSON has no type for is given as text."""
    return json.dumps({name: value for name, value in fields.items() if value is not None}, default=str)
