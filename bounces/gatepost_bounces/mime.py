"""A message that came back, as its header and parts. Read by the standard library, within bounds set before.

Only the beginning counts: what reports tell comes first, and a returned message of any size after it. The
library's work grows with the depth of parts times lines, with the number of parts, and with the square of a
Content-Type field's length; so a message with more of these than any report has is not read at all. Nothing
here fails but with ``UnreadableError``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, message_from_string, policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from typing import Final

READ_MOST: Final = 128 * 1024
_BOUNDARIES: Final = 20
_DIVIDERS: Final = 2_000
_HEADER_LINES: Final = 1_000
_CONTENT_TYPE: Final = 1_000
PARTS_MOST: Final = 100
_BLOCKS: Final = 200
_VALUE_MOST: Final = 2_000
# The library would read these as messages, header and body; here they are texts of one or more blocks.
_FIELDS = re.compile(rb"(?i)\bmessage/(?:global-)?(delivery-status|disposition-notification|feedback-report)")
_CONTENT = re.compile(rb"(?im)^content-type:[^\n]*(?:\n[ \t][^\n]*)*")
_BLANK = re.compile(r"\n[ \t]*\n")
_ENCODED_MOST: Final = 1_000


class UnreadableError(ValueError):
    """The message cannot be read. The text says why, for people."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is no multipart: its content type (lower case) and its text, transfer encoding undone."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Mail:
    """``kind``: the content type, ``report``: of a multipart/report, what it reports; both lower case."""

    header: Message
    kind: str
    report: str
    parts: tuple[Part, ...]

    def value(self, name: str) -> str:
        """Return the first field of that name, '' where there is none; long ones are cut."""
        return value(self.header, name)

    def part(self, kind: str) -> str | None:
        """Return the text of the first part of a type."""
        return next((part.text for part in self.parts if part.kind == kind), None)


def read(raw: bytes) -> Mail:
    """Return a message as it came, with any line ends. Raises UnreadableError."""
    head = raw[:READ_MOST].replace(b"\r\n", b"\n")
    lowered = head.lower()
    if lowered.count(b"boundary") > _BOUNDARIES:
        raise UnreadableError(f"it has more than {_BOUNDARIES} multiparts in each other")
    if lowered.count(b"\n--") > _DIVIDERS:
        raise UnreadableError(f"it has more than {_DIVIDERS} lines that could divide parts")
    if any(one.end() - one.start() > _CONTENT_TYPE for one in _CONTENT.finditer(head)):
        raise UnreadableError(f"it has a Content-Type of more than {_CONTENT_TYPE} bytes")
    if lowered.partition(b"\n\n")[0].count(b"\n") > _HEADER_LINES:
        raise UnreadableError(f"its header has more than {_HEADER_LINES} lines")
    try:
        message = message_from_bytes(_FIELDS.sub(rb"text/x-\1", head), policy=policy.compat32)
        parts = tuple(_parts(message))
        kind, report = message.get_content_type(), str(message.get_param("report-type", ""))
    except (MessageError, RecursionError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableError(f"it is no message: {error}") from error
    if not message.keys():
        raise UnreadableError("it has no header")
    return Mail(message, kind, report.lower(), parts)


def value(header: Message, name: str) -> str:
    """Return the first field of that name, decoded (RFC 2047); '' where there is none."""
    text = str(header.get(name, ""))[:_VALUE_MOST]
    if "=?" in text:
        with suppress(MessageError, LookupError, ValueError):  # as it stands, then
            text = str(make_header(decode_header(text[:_ENCODED_MOST])))
    return text.encode("utf-8", "replace").decode("utf-8")


def blocks(text: str) -> list[Message]:
    """Return blocks of fields that blank lines divide (RFC 3464 section 2.1), the first ``_BLOCKS``."""
    found = _BLANK.split(text.strip("\n"), maxsplit=_BLOCKS)[:_BLOCKS]
    return [message_from_string(one.lstrip("\n") + "\n\n", policy=policy.compat32) for one in found]


def _parts(message: Message) -> Iterator[Part]:
    """Yield parts that are no multiparts. A returned message is one, of which the header is enough."""
    left = [message]
    for _ in range(PARTS_MOST):
        if not left:
            return
        part = left.pop(0)
        content = part.get_payload()
        kind = part.get_content_type()
        if isinstance(content, list):
            if kind.startswith("message/"):
                yield Part(kind, _header(content[0]) if content else "")
            else:
                left[:0] = [one for one in content if isinstance(one, Message)]
        else:
            yield Part(kind, _text(part))


def _header(message: Message | str) -> str:
    if isinstance(message, str):
        return message
    return "".join(f"{name}: {str(text)[:_VALUE_MOST]}\n" for name, text in message.items())


def _text(part: Message) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content.decode(str(part.get_content_charset("utf-8")), "replace")
    except LookupError:
        return content.decode("utf-8", "replace")
