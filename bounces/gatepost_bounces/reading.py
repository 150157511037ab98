"""What a message that came back is: complaint, report, answer, bounce in another form, or unread. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost_bounces import answers, arf, dsn, guessing, mime
from gatepost_bounces.told import Told
from gatepost_core.domain import StoreUnavailable
from gatepost_core.keys.tokens import Origin


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message tells, and of which message; ``origin`` is None where nothing proves that.

    ``unread``: why it is not understood, for people; '' where it is. ``report``: a mail system reports what
    became of the message, in whatever form.
    """

    origin: Origin | None
    told: tuple[Told, ...]
    unread: str = ""
    report: bool = False


def nothing(_mail: mime.Mail, _raw: bytes, _recipient: str) -> None:
    """Prove nothing by signatures."""


def read(
    raw: bytes, sent_to: Origin | None, sender: str, verify: arf.Verify, prove: arf.Prove = nothing
) -> Reading:
    """Return what a message tells. Raises StoreUnavailable, and nothing else.

    ``sent_to``: what the address stands for that it was sent to; None for the feedback address. ``sender``:
    its envelope sender, '' for a mail system's own. ``verify``: what a bounce address stands for;
    ``prove``: what a complaint is about that shows none.
    """
    try:
        mail = mime.read(raw)
        return _read(mail, raw, sent_to, sender, (verify, prove))
    except StoreUnavailable:
        raise
    except mime.UnreadableError as error:
        return _unread(sent_to, "", str(error))
    except Exception as error:  # noqa: BLE001 - nothing that somebody wrote may stop the others' mail
        return _unread(sent_to, "", f"{type(error).__name__}: {error}")


def _read(
    mail: mime.Mail, raw: bytes, sent_to: Origin | None, sender: str, proofs: tuple[arf.Verify, arf.Prove]
) -> Reading:
    complaint = arf.read(mail, raw, sent_to, *proofs)
    if complaint is not None:
        why = "" if complaint.origin is not None else "a complaint that proves no message of ours"
        return Reading(complaint.origin, (complaint.told,), why)
    if sent_to is None:
        return Reading(None, (), "no complaint (RFC 5965), at the address that takes nothing else")
    told = dsn.read(mail)
    if told is not None:
        return Reading(sent_to, tuple(told), report=True)
    if mail.part("text/x-disposition-notification") is not None:
        return Reading(sent_to, (answers.response(mail, "receipt"),))
    if answers.automatic(mail):
        return Reading(sent_to, (answers.response(mail, "auto-reply"),))
    guessed = guessing.read(mail, raw)
    if guessed:
        return Reading(sent_to, tuple(guessed), report=True)
    if sender and not mail.value("auto-submitted"):
        return Reading(sent_to, (answers.response(mail, "reply"),))
    return _unread(sent_to, answers.subject(mail), "no form of report that is known")


def _unread(sent_to: Origin | None, subject: str, why: str) -> Reading:
    """Return what nobody understands: shown with its message, where it was sent to one's address."""
    told = (Told("response", "", {"kind": "unread", "subject": subject, "reason": why[:200]}),)
    return Reading(sent_to, told if sent_to is not None else (), why)
