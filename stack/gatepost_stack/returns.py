"""What a next hop sends back of a message: bounces, delays, automatic replies and complaints, as mail.

For recipients at ``bounce.example.test``: ``hard@`` has no mailbox (RFC 3464), ``soft@`` is tried
again later, ``reply@`` is on holiday (RFC 3834), ``complain@`` calls it spam (RFC 5965). Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser
from email.utils import formatdate, make_msgid
from typing import NamedTuple

DOMAIN = "bounce.example.test"
_REPORTER = "mx.bounce.example.test"
_DAEMON = f"MAILER-DAEMON@{_REPORTER}"


class Return(NamedTuple):
    """A message that goes back: its envelope, and its bytes."""

    sender: str
    recipient: str
    content: bytes


def returned(sender: str, recipient: str, message: bytes) -> Return | None:
    """Return what goes back for a recipient of a message; None for one that just takes it, or a bounce."""
    local_part, _, domain = recipient.lower().rpartition("@")
    make = _MAKERS.get(local_part)
    if domain != DOMAIN or make is None or not sender:
        return None
    return make(sender, recipient, BytesHeaderParser().parsebytes(message))


def _hard(sender: str, recipient: str, header: Message) -> Return:
    said = f"550 5.1.1 <{recipient}>: Recipient address rejected: User unknown"
    return _report(sender, recipient, header, ("failed", "5.1.1", said))


def _soft(sender: str, recipient: str, header: Message) -> Return:
    said = "451 4.3.0 Mail server temporarily out of order"
    return _report(sender, recipient, header, ("delayed", "4.3.0", said))


def _report(sender: str, recipient: str, header: Message, fate: tuple[str, str, str]) -> Return:
    action, status, said = fate
    fields = (
        f"Reporting-MTA: dns; {_REPORTER}\n\nFinal-Recipient: rfc822; {recipient}\nAction: {action}\n"
        f"Status: {status}\nDiagnostic-Code: smtp; {said}\n"
    )
    subject = "Undelivered Mail" if action == "failed" else "Delayed Mail"
    text = f"Your message could not be delivered to {recipient} yet:\n{said}\n"
    parts = [
        ("text/plain", text),
        ("message/delivery-status", fields),
        ("text/rfc822-headers", _shown(header)),
    ]
    return Return("", sender, _multipart(subject, sender, "delivery-status", parts))


def _reply(sender: str, recipient: str, header: Message) -> Return:
    message = EmailMessage()
    _head(message, f"Out of office: {header.get('Subject', '')}", sender, recipient)
    message["Auto-Submitted"] = "auto-replied (vacation)"
    message["In-Reply-To"] = str(header.get("Message-ID", ""))
    message.set_content("I am on holiday, and read this when I am back.\n")
    return Return("", sender, message.as_bytes())


def _complain(sender: str, recipient: str, header: Message) -> Return:
    to = f"fbl@{sender.rpartition('@')[2]}"
    fields = (
        f"Feedback-Type: abuse\nUser-Agent: Sink/1\nVersion: 1\nOriginal-Mail-From: <{sender}>\n"
        f"Original-Rcpt-To: <{recipient}>\n"
    )
    shown = f"Return-Path: <{sender}>\n{_shown(header)}"
    parts = [
        ("text/plain", "Somebody marked this message as spam.\n"),
        ("message/feedback-report", fields),
        ("text/rfc822-headers", shown),
    ]
    return Return(f"feedback@{_REPORTER}", to, _multipart("Complaint", to, "feedback-report", parts))


_MAKERS: dict[str, Callable[[str, str, Message], Return]] = {
    "hard": _hard,
    "soft": _soft,
    "reply": _reply,
    "complain": _complain,
}


def _shown(header: Message) -> str:
    return "".join(f"{name}: {value}\n" for name, value in header.items())


def _head(message: EmailMessage, subject: str, to: str, sender: str) -> None:
    message["From"], message["To"], message["Subject"] = sender, to, " ".join(subject.split())
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=_REPORTER)


def _multipart(subject: str, to: str, report: str, parts: list[tuple[str, str]]) -> bytes:
    boundary = "gatepost-sink-report"
    head = (
        f"From: {_DAEMON}\nTo: {to}\nSubject: {subject}\nDate: {formatdate()}\n"
        f"Message-ID: {make_msgid(domain=_REPORTER)}\nAuto-Submitted: auto-generated\nMIME-Version: 1.0\n"
        f'Content-Type: multipart/report; report-type={report}; boundary="{boundary}"\n\n'
    )
    body = "".join(f"--{boundary}\nContent-Type: {kind}\n\n{text}\n" for kind, text in parts)
    return f"{head}{body}--{boundary}--\n".encode("utf-8", "surrogateescape")
