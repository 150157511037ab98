"""How much HTML is read of one message, over all of its parts: found out before any of it is.

Reading and editing takes some microseconds for each tag and ten times that for each conditional comment, with
Python's lock held. Real newsletters have below 60,000 bytes, 1,000 tags and 30 conditional comments, and
mail programs show the first 100,000 bytes. A part for which there is no room left stays as it came
(``TransferError``); a smaller one after it may still be read.
"""

from __future__ import annotations

from gatepost_milter.parts.transfer import TransferError

# The scan takes up to 160 bytes for each byte of hostile text.
BYTES_MOST = 1024 * 1024
# End tags and comments count as well: what is counted is "<".
TAGS_MOST = 100_000
CONDITIONALS_MOST = 10_000
# No transfer encoding makes more of a byte.
_ENCODED_MOST = 3
_BYTES, _TAGS, _CONDITIONALS = "bytes", "tags", "conditional comments"
_CONDITIONAL = "<!--["
# No text has more characters than bytes, so one of these or fewer need not be counted: nearly all mail.
_AMPLE = len(_CONDITIONAL) * CONDITIONALS_MOST


class Room:
    """What is left for the parts of one message. ``size``: bytes of its body, or of all there is to read."""

    def __init__(self, size: int) -> None:
        self._most = {_BYTES: BYTES_MOST, _TAGS: TAGS_MOST, _CONDITIONALS: CONDITIONALS_MOST}
        self._left = self._most.copy()
        self._ample = size <= _AMPLE

    def expect(self, size: int) -> None:
        """Look at the size of a part before its transfer encoding is undone. Raises TransferError."""
        self._hold(_BYTES, size // _ENCODED_MOST)

    def take(self, size: int, text: str) -> None:
        """Take the room for a part of ``size`` bytes (decoded), which mean ``text``. Raises TransferError."""
        if self._ample:
            return
        taken = {_BYTES: size, _TAGS: text.count("<"), _CONDITIONALS: text.count(_CONDITIONAL)}
        for what, number in taken.items():
            self._hold(what, number)
        self._left = {what: left - taken[what] for what, left in self._left.items()}

    def _hold(self, what: str, number: int) -> None:
        if number > self._most[what]:
            raise TransferError(f"has more than {self._most[what]} {what}")
        if number > self._left[what]:
            raise TransferError(f"would make more than {self._most[what]} {what}, with the HTML before it")
