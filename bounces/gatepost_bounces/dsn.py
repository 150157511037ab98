"""Delivery status notifications (RFC 3464; internationalised ones, RFC 6533). Pure."""

from __future__ import annotations

import re
from email.message import Message
from typing import Final

from gatepost_bounces import mime, saying
from gatepost_bounces.told import RECIPIENTS_MOST, Told, address, line
from gatepost_core.domain.failures import classify, permanent

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", re.ASCII)
_CODE = re.compile(r"\s*([2-5][0-9]{2})\b", re.ASCII)
# RFC 6533 section 3: utf-8-addr-xtext and utf-8-addr-unitext.
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}", re.ASCII)
_TYPES: Final = {"failed": "bounced", "delayed": "deferred", "delivered": "delivered"}
# Told for the sender's information only: the message went on to where nobody reports from.
INFORMATION: Final = frozenset(("relayed", "expanded"))
_REPORTER_MOST = 255


def read(mail: mime.Mail) -> list[Told] | None:
    """Return what a report tells of each recipient; None where the message is no report, or tells of nobody.

    An empty list: all of it is information.
    """
    text = mail.part("text/x-delivery-status")
    if text is None:
        return None
    found = mime.blocks(text)
    # Some hosts leave the blank line out between the message's fields and the first recipient's.
    whole = [one for one in found if "action" in one or "final-recipient" in one][:RECIPIENTS_MOST]
    reporter = next((_named(one, "reporting-mta") for one in found if "reporting-mta" in one), "")
    told = [one for fields in whole if (one := _recipient(fields, reporter, mail)) is not None]
    return told if told or any(_action(fields) in INFORMATION for fields in whole) else None


def _recipient(fields: Message, reporter: str, mail: mime.Mail) -> Told | None:
    action = _action(fields)
    stated = _STATUS.search(mime.value(fields, "status"))
    status = stated[0] if stated is not None else ""
    if action in INFORMATION:
        return None
    kind = _TYPES.get(action) or ("bounced" if status[:1] == "5" else "deferred" if status[:1] == "4" else "")
    if not kind:
        return None
    final = address(_typed(mime.value(fields, "final-recipient")))
    recipient = address(_typed(mime.value(fields, "original-recipient"))) or final
    reply = line(_typed(mime.value(fields, "diagnostic-code")))
    if not reply:  # then what it says for people is all that there is
        reply = line(saying.near(saying.text_of(mail), final or recipient))
    detail = {"source": "dsn", "status": status, "reply": reply, "reporter": reporter}
    if final and final.lower() != recipient.lower():
        detail["final_recipient"] = final
    relay = _named(fields, "remote-mta")
    if relay:
        detail["relay"] = relay
    if kind == "bounced":
        code = _CODE.match(reply)
        said = (status, code[1] if code is not None else "", reply)
        return Told(kind, recipient, detail | {"class": classify(*said).value, "permanent": permanent(*said)})
    return Told(kind, recipient, detail)


def _action(fields: Message) -> str:
    return mime.value(fields, "action").strip().lower().partition(" ")[0]


def _typed(text: str) -> str:
    """Return what follows the type of an address or diagnostic: ``rfc822; bob@example.org``."""
    kind, semicolon, rest = text.partition(";")
    text = rest.strip() if semicolon else kind.strip()
    return _ESCAPED.sub(_character, text) if kind.strip().lower() == "utf-8" else text


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else "?"


def _named(fields: Message, name: str) -> str:
    return line(_typed(mime.value(fields, name)), _REPORTER_MOST)
