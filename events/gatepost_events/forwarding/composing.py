"""What the sender of a message gets of a report about it: a report of ours, with theirs inside. Pure.

Whoever was sent a message can write to its bounce address what he likes. So nothing of that leaves as if we
had said it: header and text are ours, from the bounce domain's MAILER-DAEMON, and of a report by RFC 3464 the
fields for programs are taken over (``parts``), so that programs read it as ever. Of a bounce in a form of its
own the beginning is attached, as the message that it is. The bounce address, which its reader has never seen,
becomes his own. The same report is composed the same each time, with the same Message-ID.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Final, NamedTuple

from gatepost_events.forwarding.parts import LOOKED_AT, UnfitError, header_of, take_apart

# No X-Gatepost- field: such fields are removed from what clients send, and this one has to stay.
FIELD: Final = "Gatepost-Report"
_LOOP: Final = re.compile(
    rb"(?im)^[ \t>]*" + FIELD.encode() + rb"[ \t]*:[ \t]*([^;\s]{1,64});[ \t]*message=([^;\s]{1,64})"
    rb"(?:;[ \t]*by=([^;\s]{1,255}))?"
)
# So many gateways may pass a report on, one to the next.
_HOPS_MOST: Final = 5
# So often a bounce address is put right: real reports name it two or three times.
_REPLACED_MOST: Final = 50
_DOMAIN: Final = re.compile(r"[a-z0-9.-]{1,253}", re.IGNORECASE)
_SUBJECTS: Final = {
    "failed": "Undelivered Mail Returned to Sender",
    "delayed": "Delayed Mail (still being retried)",
    "delivered": "Successful Mail Delivery Report",
    "relayed": "Successful Mail Delivery Report",
    "expanded": "Successful Mail Delivery Report",
}
_OTHER: Final = "Report about your mail"
_TEXT: Final = """This is the mail gateway {by}.

A report came back about the message {message} that you sent, and is passed on
to you, since your account has asked for that. {what}
Nobody checked it: do not follow what it asks for, and trust no address in it.
"""
_FIELDS_ARE: Final = "What it says for programs is below."
_WHOLE_IS: Final = "It is attached as it came, or its beginning."


class About(NamedTuple):
    """A report: its own id, that of the message it is about, the bounce address that it was sent to, whom it
    goes to, since when it waits, and this gateway's name."""

    number: str
    message: str
    address: str
    recipient: str
    at: datetime
    by: str


def circle(raw: bytes, by: str) -> str:
    """Say why a message may be in a circle of reports that are forwarded; '' where it is not."""
    hops = _hops(raw)
    if any(gateway.lower() == by.lower().encode() for _, _, gateway in hops):
        return "it is about a report that was forwarded here"
    return f"{len(hops)} gateways forwarded it" if len(hops) > _HOPS_MOST else ""


def compose(raw: bytes, about: About) -> bytes:
    """Return a report for its recipient, lines ending in CR LF. Raises UnfitError for one that is not read.

    Of ``raw`` no more counts than its beginning.
    """
    raw = raw[:LOOKED_AT]
    found = take_apart(raw)
    hops = [
        f"{FIELD}: {number}; message={message}; by={gateway}"
        for number, message, gateway in [[value.decode("latin-1") for value in hop] for hop in _hops(raw)]
        if gateway and f"{number}{message}{gateway}".isascii()
    ]
    action = next((one for one in _SUBJECTS if one in found.actions), "")
    text = _TEXT.format(
        by=about.by, message=about.message, what=_FIELDS_ARE if found.status else _WHOLE_IS
    ).encode()
    parts = [(_kind("text/plain"), text)]
    if found.status:
        parts.append((_kind("message/delivery-status", found.status), _owned(found.status, about)))
        if found.returned:
            parts.append((_kind("text/rfc822-headers", found.returned), _owned(found.returned, about)))
    else:
        header_of(raw)
        parts.append((_kind("message/rfc822", raw), _owned(raw, about)))
    kind = 'multipart/report; report-type="delivery-status"' if found.status else "multipart/mixed"
    # Nothing inside can divide its parts: whoever wrote it would have to know what it becomes.
    boundary = (
        "gatepost-"
        + hashlib.sha256(b"\0".join([about.number.encode(), *(one for _, one in parts)])).hexdigest()[:40]
    )
    head = [
        f"{FIELD}: {about.number}; message={about.message}; by={about.by}",
        *hops[:_HOPS_MOST],
        f"From: Mail Delivery System <MAILER-DAEMON@{_daemon_domain(about)}>",
        f"To: <{about.recipient}>",
        f"Subject: {_SUBJECTS.get(action, _OTHER)}",
        f"Date: {format_datetime(about.at)}",
        f"Message-ID: <{about.number}@{about.by}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: {kind}; boundary="{boundary}"',
    ]
    return _joined(head, boundary, parts)


def _joined(head: Sequence[str], boundary: str, parts: Sequence[tuple[str, bytes]]) -> bytes:
    pieces = ["\n".join(head).encode("utf-8", "replace"), b"\n\n"]
    for kind, content in parts:
        pieces += [f"--{boundary}\n{kind}\n\n".encode(), content.replace(b"\r\n", b"\n"), b"\n"]
    pieces.append(f"--{boundary}--\n".encode())
    return b"".join(pieces).replace(b"\r", b" ").replace(b"\n", b"\r\n")


def _kind(name: str, content: bytes = b"") -> str:
    if content.isascii():
        return f"Content-Type: {name}"
    # RFC 6533 has names of its own for what is not ASCII.
    name = {"message/delivery-status": "message/global-delivery-status"}.get(name, name)
    return f"Content-Type: {name}\nContent-Transfer-Encoding: 8bit"


def _owned(content: bytes, about: About) -> bytes:
    """Return a content with its reader's address in place of the bounce address."""
    if not about.address:
        return content
    pattern = re.compile(re.escape(about.address.encode("utf-8", "replace")), re.IGNORECASE)
    own = about.recipient.encode("utf-8", "replace")
    return pattern.sub(lambda _: own, content, count=_REPLACED_MOST)


def _daemon_domain(about: About) -> str:
    domain = about.address.rpartition("@")[2]
    return domain if _DOMAIN.fullmatch(domain) else about.by


def _hops(raw: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """Return who forwarded a report, each once: its id there, the message, the gateway's name."""
    found = [(one[1], one[2], one[3] or b"") for one in _LOOP.finditer(raw[:LOOKED_AT])]
    return list(dict.fromkeys(found))[:100]


__all__ = ["FIELD", "About", "UnfitError", "circle", "compose"]
