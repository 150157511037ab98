"""The signatures that a message's author made (RFC 6376): noticed, and taken out when our edits break them.

A signature that no longer fits says nothing (section 6.1), yet receivers report it, and some count it
against the sender. So where a credential has signed mail edited, those signatures go that the edits break,
each by what it covers; one that still holds stays. Never fails: what cannot be read covers everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message, Plan, new_headers

NAME = b"dkim-signature"
# On record under this name when a signature went: it is the credential's option that allows it.
OPTION = "edit_signed"
_SPACE = re.compile(rb"[ \t\r\n]+")


def is_signed(headers: Iterable[Header]) -> bool:
    """Say whether the message carries a signature of its author's."""
    return any(header.name.lower() == NAME for header in headers)


def without_broken(message: Message, plan: Plan) -> Plan:
    """Return ``plan`` with the deletion of those signatures that its edits break."""
    touched = set[bytes]() if plan.headers is None else plan.headers.touched()
    own = [header for header in message.headers if header.name.lower() == NAME]
    broken = [one for one in own if _breaks(one.value, touched, plan.body is not None)]
    if not broken:
        return plan
    note = f"{len(broken)} DKIM signature(s) of the author's removed: the edits break them"
    return replace(
        plan,
        headers=new_headers(message, plan).without(frozenset(broken).__contains__),
        applied=(*plan.applied, OPTION),
        notes=(*plan.notes, note),
    )


def _breaks(value: bytes, touched: set[bytes], body: bool) -> bool:
    covered = _covered(value)
    return body or not covered or not covered.isdisjoint(touched)


def _covered(value: bytes) -> set[bytes]:
    """Return the names in a signature's h= tag in lower case; empty if it cannot be read."""
    for tag in _SPACE.sub(b"", value).split(b";"):
        name, equals, names = tag.partition(b"=")
        if equals and name == b"h":
            return set(names.lower().split(b":"))
    return set()
