"""References of refusals: eight characters that tell one reply to a client from another.

They are read out over the telephone and typed: no I, O, 0 or 1 is in one, and case does not matter. A
reference is made of what was refused, so the same question asked again has the same one.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from dataclasses import replace
from typing import Final, TypeAlias, TypeVar

from gatepost_core.domain.decision import TEXT_MOST, Defer, Reject

Refused: TypeAlias = Reject | Defer
_R = TypeVar("_R", bound=Reject | Defer)
LENGTH: Final = 8
_ALPHABET: Final = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_OURS: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", _ALPHABET)
_WRITTEN: Final = re.compile(rf"(?:^|\bREF\s)([{_ALPHABET.decode()}]{{{LENGTH}}})\)?$")


def reference(*what: str) -> str:
    """Return the reference of what was refused, told apart by these texts: 40 bits of their hash."""
    told = "\0".join(what).encode("utf-8", "replace")
    return b32encode(hashlib.blake2b(told, digest_size=5).digest()).translate(_OURS).decode("ascii")


def referred(refusal: _R, reference: str, most: int = TEXT_MOST) -> _R:
    """Return a refusal whose text ends in its reference; a text that leaves no room for it is shortened.

    ``most``: characters of the text, the reference among them.
    """
    end = f" (ref {reference})"
    room = min(most, TEXT_MOST) - len(end)
    text = refusal.text.strip() or "Refused"
    if len(text) > room:
        text = text[: max(room - 3, 0)] + "..."
    return replace(refusal, text=text + end, reference=reference)


def found(text: str) -> str:
    """Return the reference that somebody typed, or the one that a copied reply ends in; '' for none."""
    written = _WRITTEN.search(text.strip().upper())
    return "" if written is None else written[1]
