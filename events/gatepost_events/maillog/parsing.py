r"""What the text of a line says. Pure.

Each pattern is held against the whole text from its beginning, and each text has one reading: an address is
a quoted string, or has no angle brackets (RFC 5321 section 4.1.2; Postfix's ``info_log_addr_form = quoted``),
and what hosts, customers and DNS wrote stands in fields that end before theirs, or is the last field. So
nobody's address, Message-ID or reply can look like another field, and a line that does not fit says nothing.
Formats are those of Postfix 3.5 to 3.10: src/global/log_adhoc.c, src/qmgr, src/cleanup/cleanup_milter.c,
src/smtpd/smtpd.c, src/pickup/pickup.c, src/bounce, src/postsuper/postsuper.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from gatepost_events.maillog.entries import (
    Active,
    Came,
    Entry,
    Expired,
    Held,
    Notice,
    Outcome,
    Refused,
    Released,
    Removed,
)

# What a queue id is: six hexadecimal digits or more; or, with enable_long_queue_ids, letters without vowels.
_LONG = "0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z"
QUEUE_ID: Final = rf"(?:[0-9A-F]{{6,20}}|[{_LONG}]{{11,30}})"
# An address as Postfix writes it; a quoted local part ends at its quote. Nothing of it is tried twice.
_ADDRESS = r'<((?:"(?:[^"\\]|\\.)*+"|[^<>"])*+)>'
_HOST = r"[^\s,;<>()]{1,400}"
_OUTCOME = re.compile(
    rf"({QUEUE_ID}): to={_ADDRESS}, (?:orig_to={_ADDRESS}, )?relay=({_HOST}), (?:conn_use=\d+, )?"
    r"delay=([\d.]+), delays=([\d.]+/[\d.]+/[\d.]+/[\d.]+), dsn=([245]\.\d{1,3}\.\d{1,3}), "
    r"status=([A-Za-z-]+) \((.*)\)",
    re.DOTALL,
)
_ACTIVE = re.compile(rf"({QUEUE_ID}): from={_ADDRESS}, size=\d+, nrcpt=(\d+) \(queue active\)")
_EXPIRED = re.compile(rf"({QUEUE_ID}): from={_ADDRESS}, status=(?:force-)?expired, returned to sender")
_REMOVED = re.compile(rf"({QUEUE_ID}): removed(?: \([a-z ]*\))?")
_CLIENT = re.compile(
    rf"({QUEUE_ID}): client=({_HOST})(?:, orig_queue_id=({QUEUE_ID}))?(?:, orig_client={_HOST})?"
    r"(?:, (sasl_method)=.*)?",
    re.DOTALL,
)
_PICKUP = re.compile(rf"({QUEUE_ID}): uid=\d+ from={_ADDRESS}(?: orig_id=({QUEUE_ID}))?")
_ENDED = re.compile(
    rf"({QUEUE_ID}): (milter-)?(reject|discard|hold): "
    r"(END-OF-MESSAGE|header|body|content|mime-error|RCPT|DATA|MAIL) (.*)",
    re.DOTALL,
)
_NOTICE = re.compile(
    rf"({QUEUE_ID}): (?:sender|postmaster) (?:non-delivery|delay|delivery status) notification: "
    rf"({QUEUE_ID})"
)
_BY_HAND = re.compile(rf"({QUEUE_ID}): (removed|placed on hold|released from hold)")
_REASON_MOST: Final = 500


def parse(program: str, text: str) -> Entry | None:
    """Return what a line of a program of Postfix's says; None for what does not matter, or does not fit."""
    read = _READ.get(program)
    return read(text) if read is not None else None


def _outcome(text: str) -> Entry | None:
    found = _OUTCOME.fullmatch(text)
    if found is None:
        return None
    number, to, original, relay, delay, delays, status, result, said = found.groups()
    return Outcome(number, to, original or "", relay, delay, delays, status, result.lower(), said)


def _queue(text: str) -> Entry | None:
    # The usual ones are told by their ends before any pattern is tried.
    if text.endswith("(queue active)"):
        found = _ACTIVE.fullmatch(text)
        return Active(found[1], int(found[3][:9])) if found is not None else None
    found = _REMOVED.fullmatch(text)
    if found is not None:
        return Removed(found[1], by_hand=False)
    found = _EXPIRED.fullmatch(text)
    return Expired(found[1]) if found is not None else _outcome(text)


def _came(text: str) -> Entry | None:
    found = _CLIENT.fullmatch(text)
    if found is not None:
        return Came(found[1], found[2], found[3] or "", login=found[4] is not None)
    return _ended(text)


def _picked_up(text: str) -> Entry | None:
    found = _PICKUP.fullmatch(text)
    return Came(found[1], "", found[3] or "", login=False) if found is not None else None


def _ended(text: str) -> Entry | None:
    """What cleanup(8) or smtpd(8) did to a message by an order of a milter's or a table's."""
    if ": message-id=" in text[:40]:
        return None
    found = _ENDED.fullmatch(text)
    if found is None:
        return None
    number, _, what, where, rest = found.groups()
    if what == "hold":
        return Held(number, f"{where} {rest}"[:_REASON_MOST])
    if where in ("RCPT", "MAIL", "DATA"):
        return None  # one recipient's, or before there was a message
    return Refused(number, rest[:_REASON_MOST], discarded=what == "discard")


def _notice(text: str) -> Entry | None:
    found = _NOTICE.fullmatch(text)
    return Notice(found[1], found[2]) if found is not None else None


def _by_hand(text: str) -> Entry | None:
    found = _BY_HAND.fullmatch(text)
    if found is None:
        return None
    number, what = found.groups()
    if what == "removed":
        return Removed(number, by_hand=True)
    return Held(number, "by postsuper") if what == "placed on hold" else Released(number)


_AGENTS: Final = ("smtp", "lmtp", "local", "virtual", "pipe", "error", "retry", "discard")
_READ: Mapping[str, Callable[[str], Entry | None]] = {
    **dict.fromkeys(_AGENTS, _outcome),
    "qmgr": _queue,
    "oqmgr": _queue,
    "smtpd": _came,
    "pickup": _picked_up,
    "cleanup": _ended,
    "bounce": _notice,
    "postsuper": _by_hand,
}
PROGRAMS: Final = frozenset(_READ)
