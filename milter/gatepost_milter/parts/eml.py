"""A message file as Postfix would hand it to the milter: for explaining, not for the daemon.

What cleanup(8) does before milters is done here too: line ends become CRLF, fields of message_drop_headers
go (its default: Bcc, Content-Length, Resent-Bcc, Return-Path), a first line that is no field ends the header.
``missing`` tells the fields that Postfix adds (always_add_missing_headers). Never fails.
"""

from __future__ import annotations

import re

from gatepost_milter.editing.headers import Header

DROPPED = frozenset({b"bcc", b"content-length", b"resent-bcc", b"return-path"})
_ADDED = ("From", "Date", "Message-ID")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)
_LINE_END = re.compile(rb"\r\n|\n")


def read(raw: bytes) -> tuple[tuple[Header, ...], bytes]:
    """Return the header fields and the body (CRLF line ends) of a message file."""
    lines = _LINE_END.split(raw)
    if lines and lines[0].startswith((b"From ", b">From ")):  # an mbox separator
        lines = lines[1:]
    names: list[bytes] = []
    values: list[list[bytes]] = []
    at = 0
    for at, line in enumerate(lines):  # noqa: B007 - where the header ends is used below
        match = _FIELD.fullmatch(line)
        if line.startswith((b" ", b"\t")) and values:
            values[-1].append(line)
        elif match:
            names.append(match[1])
            values.append([match[2]])
        else:
            break
    else:
        at = len(lines)
    rest = lines[at + 1 :] if at < len(lines) and not lines[at] else lines[at:]
    body = b"\r\n".join(rest)
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    headers = [Header(name, b"\n".join(value)) for name, value in zip(names, values, strict=True)]
    return tuple(header for header in headers if header.name.lower() not in DROPPED), body


def missing(headers: tuple[Header, ...]) -> list[str]:
    """Return the fields that Postfix would add, with values that are not known before."""
    names = {header.name.lower().decode("latin-1") for header in headers}
    return [name for name in _ADDED if name.lower() not in names]
