"""Messages that come back, in the forms that tests need."""

from __future__ import annotations

from gatepost_core.keys import Keyring
from gatepost_core.keys.tokens import BounceTokens, Origin

HOST = "bounces.example.test"


def report(*fields: str, kind: str = "message/delivery-status", head: str = "", extra: str = "") -> bytes:
    """Return a multipart/report with blocks of fields."""
    text = "\n\n".join(fields)
    return (
        "From: MAILER-DAEMON@mx.example.org\nSubject: Undelivered Mail\nAuto-Submitted: auto-replied\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        f"--b\nContent-Type: text/plain\n\nSorry.\n--b\nContent-Type: {kind}\n{head}\n{text}\n{extra}--b--\n"
    ).encode()


def failed(recipient: str, said: str = "smtp; 550 5.1.1 User unknown", status: str = "5.1.1") -> str:
    """Return the fields of a recipient that failed."""
    return f"Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: {status}\nDiagnostic-Code: {said}"


MTA = "Reporting-MTA: dns; mx.example.org"


def complaint(*fields: str, returned: str = "") -> bytes:
    """Return an ARF report."""
    text = "\n".join(("Feedback-Type: abuse", "User-Agent: Loop/1", "Version: 1", *fields))
    return (
        "From: fbl@provider.test\nSubject: Complaint\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nA complaint.\n"
        f"--b\nContent-Type: message/feedback-report\n\n{text}\n"
        f"--b\nContent-Type: message/rfc822\n\n{returned}Subject: News\n\nHello.\n--b--\n"
    ).encode()


def plain(subject: str, body: str, *head: str, sender: str = "MAILER-DAEMON@mx.example.org") -> bytes:
    """Return a text message."""
    lines = (f"From: {sender}", f"Subject: {subject}", *head)
    return ("\n".join(lines) + f"\n\n{body}\n").encode()


class Directory:
    """Knows one bounce domain."""

    def __init__(self, *, forwards: bool = False) -> None:
        self._forwards = {7} if forwards else set[int]()

    def bounce_domain(self, name: str) -> bool:
        return name == HOST

    def forwards(self, credential: int) -> bool:
        return credential in self._forwards


def issued(keyring: Keyring, message: str) -> str:
    """Return the bounce address of a message."""
    return f"{BounceTokens(keyring).issue(Origin(HOST, 7, message))}@{HOST}"
