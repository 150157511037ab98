"""Complaints in the Abuse Reporting Format (RFC 5965, 6650). Pure.

Anybody can write one. It counts only for a message whose bounce address it shows, as the recipient of the
report or in the returned part: that address is signed, and was in the message's Return-Path alone. Or for one
that it returns whole, with a signature of ours that verifies (``proving``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from gatepost_bounces import mime
from gatepost_bounces.told import Told, address, line
from gatepost_core.keys.tokens import Origin

_OURS = re.compile(rb"(?i)\bbounce-[a-z2-7]{40}@([a-z0-9.-]{1,253})", re.ASCII)
_CFBL_ID = re.compile(rb"(?im)^cfbl-feedback-id:[ \t]*(bounce-[a-z2-7]{40})[ \t]*\r?$", re.ASCII)
_CFBL_HOST = re.compile(
    rb"(?im)^cfbl-address:[ \t]*[a-z0-9._-]{1,64}@([a-z0-9.-]{1,253})[ \t]*[;\r\n]", re.ASCII
)
_CANDIDATES: Final = 10
_NOT_SPAM: Final = "not-spam"
Verify = Callable[[str], Origin | None]
# Of a report and the recipient that it names: the message by its signature, and the recipient.
Prove = Callable[[mime.Mail, bytes, str], tuple[Origin, str] | None]


class Complaint(NamedTuple):
    """What is told, and of which message by the report's own proof (None: it has none)."""

    told: Told
    origin: Origin | None


def read(
    mail: mime.Mail, raw: bytes, sent_to: Origin | None, verify: Verify, prove: Prove
) -> Complaint | None:
    """Return a complaint; None where the message is none. ``sent_to``: what its own recipient stands for."""
    text = mail.part("text/x-feedback-report")
    if text is None:
        return None
    fields = mime.blocks(text)[0]
    origin, proof = sent_to, "token"
    if origin is None:
        origin, proof = next((one for one in _origins(raw, verify)), None), "verp"
    kind = line(mime.value(fields, "feedback-type").lower(), 40) or "abuse"
    recipient = address(mime.value(fields, "original-rcpt-to")) or address(
        mime.value(fields, "removal-recipient")
    )
    if origin is None:
        origin, proof = _by_cfbl(raw, verify), "cfbl"
    if origin is None and (proven := prove(mail, raw, recipient)) is not None:
        (origin, recipient), proof = proven, "dkim"
    if kind == _NOT_SPAM:  # somebody took it out of the junk folder
        return Complaint(Told("response", recipient, {"kind": _NOT_SPAM, "subject": ""}), origin)
    detail = {"source": "arf", "feedback_type": kind, "proof": proof if origin is not None else "none"}
    reporter = line(mime.value(fields, "user-agent"), 100)
    return Complaint(Told("complaint", recipient, detail | {"reporter": reporter}), origin)


def _origins(raw: bytes, verify: Verify) -> Iterator[Origin]:
    """Yield what bounce addresses in a report stand for, the first few."""
    for number, found in enumerate(_OURS.finditer(raw, 0, mime.READ_MOST)):
        if number == _CANDIDATES:
            return
        origin = verify(found[0].decode("ascii"))
        if origin is not None:
            yield origin


def _by_cfbl(raw: bytes, verify: Verify) -> Origin | None:
    """Return what the first CFBL-Feedback-ID of a report stands for, at the domain of its CFBL-Address."""
    name, host = _CFBL_ID.search(raw, 0, mime.READ_MOST), _CFBL_HOST.search(raw, 0, mime.READ_MOST)
    if name is None or host is None:
        return None
    return verify(f"{name[1].decode('ascii')}@{host[1].decode('ascii')}")
