"""Answers that programs send (RFC 3834), receipts (RFC 8098), and whatever else is no bounce. Pure."""

from __future__ import annotations

import re

from gatepost_bounces import mime
from gatepost_bounces.told import Told, address, line

_SUBJECT_MOST = 200
# RFC 3834 section 5: a keyword, then comments and parameters.
_WORD = re.compile(r"[a-z-]+", re.ASCII)
_DAEMONS = ("mailer-daemon@", "postmaster@")
# Before RFC 3834, and beside it, in programs that never heard of it.
_MARKS = ("x-autoreply", "x-autorespond", "x-auto-response", "x-autoresponder", "x-mail-autoreply")
_AUTOMATIC = ("auto_reply", "auto-reply")


def automatic(mail: mime.Mail) -> bool:
    """Say whether a program answered in somebody's name; a mail system's own messages are none."""
    sender = address(mail.value("from")).lower()
    if sender.startswith(_DAEMONS) or mail.report:
        return False
    said = _WORD.match(mail.value("auto-submitted").strip().lower())
    if said is not None and said[0] in ("auto-replied", "auto-notified"):
        return True
    return mail.value("precedence").strip().lower() in _AUTOMATIC or any(mail.value(one) for one in _MARKS)


def response(mail: mime.Mail, kind: str) -> Told:
    """Return an answer of a kind: ``auto-reply``, ``receipt``, ``reply`` or ``unread``."""
    return Told("response", "", {"kind": kind, "subject": subject(mail), "from": address(mail.value("from"))})


def subject(mail: mime.Mail) -> str:
    """Return the subject, to be shown."""
    return line(mail.value("subject"), _SUBJECT_MOST)
