"""What a message that came back tells, as values: the seam between its readers and the intake."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gatepost_core.domain.texts import bounded

# RFC 5321 section 4.5.3.1: 64 bytes, @, 255.
ADDRESS_MOST: Final = 320
TEXT_MOST: Final = 500
# Recipients of one report that count; a hostile one could name thousands.
RECIPIENTS_MOST: Final = 100
_ADDRESS = re.compile(r"[^\s<>@,;:\"]{1,64}@[^\s<>@,;:\"]{1,255}")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that is told, of one recipient, or of a message (``recipient`` is '').

    ``type``: an event's; ``detail``: the event's, but for the name of the kept file.
    """

    type: str
    recipient: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def address(text: str) -> str:
    """Return the first address in a text; '' where there is none, or one that no host can have."""
    found = _ADDRESS.search(text[:1_000])
    return line(found[0], ADDRESS_MOST) if found is not None else ""


def line(text: str, most: int = TEXT_MOST) -> str:
    """Return a text as one line of at most ``most`` characters that any terminal can show."""
    text = _SPACE.sub(" ", text[: 4 * most]).strip()
    if not text.isprintable():
        text = "".join(char if char.isprintable() else "?" for char in text)
    return bounded(text, most)
