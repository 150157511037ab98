"""An entry of a segment, as bytes. Pure.

| offset | bytes | |
|---|---|---|
| 0 | 4 | CRC-32C (RFC 3720 section 12.1) of the segment's id and all that follows |
| 4 | 4 | bytes of the content; 0: no entry, here the segment ends |
| 8 | 1 | version of the content's form |
| 9 | 1 | kind, of the stream's own |
| 10 | 13 | the entry's id, the same however often it is read |
| 23 | 1 | 0 |
| 24 | | content |

Numbers are little-endian. What cannot be read is never skipped: nobody knows how long it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import google_crc32c

_HEAD = struct.Struct("<IIBB13sx")
_CRC = struct.Struct("<I")
HEAD_SIZE: Final = _HEAD.size
ID_SIZE: Final = 13
# Of one entry's content: more than any record or event has; a damaged size is found out by it as well.
CONTENT_MOST: Final = 1 << 20


class Entry(NamedTuple):
    """``id``: 13 bytes; ``version``, ``kind``: 0 to 255; ``content``: 1 to ``CONTENT_MOST`` bytes."""

    id: bytes
    version: int
    kind: int
    content: bytes


class End(Enum):
    """Why no more entries were read."""

    PIECE = "the bytes at hand end in an entry"
    ZERO = "nothing was written from here on"
    DAMAGED = "the checksum is wrong: torn, damaged, or still being written"


@dataclass(frozen=True, slots=True)
class Read:
    """Entries, how many bytes they take, and why they end."""

    entries: list[Entry]
    size: int
    end: End


def check(entries: Iterable[Entry]) -> None:
    """Raise ValueError for an entry that cannot be kept."""
    for entry in entries:
        if len(entry.id) != ID_SIZE or not 0 < len(entry.content) <= CONTENT_MOST:
            raise ValueError(
                f"an entry of {len(entry.content)} bytes with an id of {len(entry.id)}; expected 1 to "
                f"{CONTENT_MOST} and {ID_SIZE}"
            )


def size(one: Entry) -> int:
    """Return the bytes that an entry takes in a segment."""
    return _HEAD.size + len(one.content)


def place(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Return the id of the entry at an offset, and the bytes that it takes; None where none begins.

    Its content need not be in ``data``, and is not checked.
    """
    if len(data) - at < HEAD_SIZE:
        return None
    _, length, _, _, number = _HEAD.unpack_from(data, at)
    return (number, HEAD_SIZE + length) if 0 < length <= CONTENT_MOST else None


def encode(segment: bytes, entries: Iterable[Entry]) -> bytes:
    """Return entries, which ``check`` has passed, as they stand in the segment of that id."""
    seed = google_crc32c.value(segment)
    pieces: list[bytes] = []
    for entry in entries:
        body = _HEAD.pack(0, len(entry.content), entry.version, entry.kind, entry.id)[_CRC.size :]
        crc = google_crc32c.extend(google_crc32c.extend(seed, body), entry.content)
        pieces += (_CRC.pack(crc), body, entry.content)
    return b"".join(pieces)


def decode(segment: bytes, data: bytes, most: int) -> Read:
    """Return the entries, at most ``most``, that ``data`` begins with; ``segment`` is the segment's id.

    Linear in what it reads. Never raises.
    """
    seed = google_crc32c.value(segment)
    entries: list[Entry] = []
    at = 0
    while len(entries) < most:
        if len(data) - at < _HEAD.size:
            # What a segment has too few bytes for was never written.
            return Read(entries, at, End.PIECE)
        crc, size, version, kind, number = _HEAD.unpack(data[at : at + _HEAD.size])
        if not size:
            return Read(entries, at, End.DAMAGED if crc else End.ZERO)
        if size > CONTENT_MOST:
            return Read(entries, at, End.DAMAGED)
        end = at + _HEAD.size + size
        if end > len(data):
            return Read(entries, at, End.PIECE)
        if google_crc32c.extend(seed, data[at + _CRC.size : end]) != crc:
            return Read(entries, at, End.DAMAGED)
        entries.append(Entry(number, version, kind, data[at + _HEAD.size : end]))
        at = end
    return Read(entries, at, End.PIECE)
