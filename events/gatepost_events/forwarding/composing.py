"""What a report becomes that is forwarded: the same message, in the words of whom it goes to. Pure.

It stays the report that the host wrote (RFC 3464), so that programs read it as ever, with its Message-ID, by
which one that was sent twice is told. The bounce address, which its reader has never seen, becomes his own,
in To and in the returned part. A field of ours stands on top, by which what comes back of it is told.
"""

from __future__ import annotations

import re
from typing import Final

# No X-Gatepost- field: such fields are removed from what clients send, and this one has to stay.
FIELD: Final = "Gatepost-Report"
# As much of a report is looked at as its readers look at.
_LOOKED_AT: Final = 128 * 1024
_LOOP: Final = re.compile(rb"(?im)^[ \t>]*" + FIELD.encode() + rb"[ \t]*:")
# So often a bounce address is put right: real reports name it two or three times.
_REPLACED_MOST: Final = 50
_FOLDED: Final = re.compile(rb"\r\n(?![ \t])")
_NO: Final = re.compile(rb"[ \t\r\n]*no[ \t\r\n]*(?:[;(]|$)", re.IGNORECASE)


def forwarded_before(raw: bytes) -> bool:
    """Say whether a message is, or returns, a report that was forwarded already."""
    return _LOOP.search(raw[:_LOOKED_AT]) is not None


def compose(raw: bytes, number: str, message: str, address: str, recipient: str) -> bytes:
    """Return a report for its recipient, lines ending in CR LF.

    ``number`` is the report's own id, ``message`` that of the message it is about, ``address`` the bounce
    address that it was sent to.
    """
    whole = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if address:
        own = recipient.encode("utf-8", "replace")
        pattern = re.compile(re.escape(address.encode("utf-8", "replace")), re.IGNORECASE)
        whole = pattern.sub(lambda _: own, whole, count=_REPLACED_MOST)
    head, blank, body = whole.partition(b"\r\n\r\n")
    fields = [one for one in _FOLDED.split(head) if one]
    named = [(one.partition(b":")[0].strip().lower(), one) for one in fields]
    kept = [one for name, one in named if name not in (b"to", b"cc", b"bcc", b"return-path")]
    automatic = [one.partition(b":")[2] for name, one in named if name == b"auto-submitted"]
    if not automatic or _NO.match(automatic[0]):
        kept = [one for one in kept if one.partition(b":")[0].strip().lower() != b"auto-submitted"]
        kept.append(b"Auto-Submitted: auto-generated")
    kept.append(b"To: <" + recipient.encode("utf-8", "replace") + b">")
    top = f"{FIELD}: {number}; message={message}".encode("ascii")
    return b"\r\n".join([top, *kept]) + (blank or b"\r\n\r\n") + body
