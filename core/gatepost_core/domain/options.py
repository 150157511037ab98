"""What a credential wants beside features: who may override them, signed mail, header fields.

Header fields are checked when they are set, so that nothing here can break a message or forge its trace:
names and values by RFC 5322 section 2.2, no structural, trace or signature field. Raises ``OptionsError``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Overrides = Literal["allowed", "ignored"]
UnsubscribeScope = Literal["credential", "tag"]

# In place of a route's name: the way that all mail takes.
NO_ROUTE = "none"

_NAME = re.compile(r"[!-9;-~]{1,76}")
_VALUE_MOST = 800
_FIELDS_MOST = 50
# What makes a message what it is, says where it came from, or signs it; overrides are removed anyway.
_RESERVED = frozenset(
    (
        "from",
        "sender",
        "to",
        "cc",
        "bcc",
        "date",
        "subject",
        "message-id",
        "mime-version",
        "received",
        "return-path",
        "delivered-to",
        "dkim-signature",
        "domainkey-signature",
        "authentication-results",
        "received-spf",
    )
)
_RESERVED_PREFIXES = ("content-", "resent-", "arc-", "x-gatepost", "x-smtpeter")


class OptionsError(ValueError):
    """A header field cannot be added or dropped; the text names it and says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """``overrides`` ``ignored``: header overrides are removed unread. ``edit_signed``: mail that carries its
    author's DKIM signature is edited like other mail. ``header_drop`` names fields to remove, ``header_add``
    holds (name, value) of fields to add; what has the name already stays unless it is dropped.
    ``unsubscribe_scope``: whether who unsubscribes gets no more of its mail, or none with the tags of that
    message. ``transactional``: mail that its recipient asked for, which only bounces and complaints suppress.
    ``route``: the way out by its name; '' for its account's, ``NO_ROUTE`` for none whatever the account has.
    """

    overrides: Overrides = "allowed"
    edit_signed: bool = False
    header_add: tuple[tuple[str, str], ...] = ()
    header_drop: tuple[str, ...] = ()
    unsubscribe_scope: UnsubscribeScope = "credential"
    transactional: bool = False
    route: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what is at its default is left out."""
        values: dict[str, Any] = {
            "overrides": self.overrides,
            "edit_signed": self.edit_signed,
            "header_add": [list(field) for field in self.header_add],
            "header_drop": list(self.header_drop),
            "unsubscribe_scope": self.unsubscribe_scope,
            "transactional": self.transactional,
            "route": self.route,
        }
        default = Options()
        return {name: value for name, value in values.items() if value and value != getattr(default, name)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Options:
        """Return the options that ``to_json`` wrote; names of a newer release are left out."""
        return cls(
            overrides="ignored" if values.get("overrides") == "ignored" else "allowed",
            edit_signed=bool(values.get("edit_signed", False)),
            header_add=tuple((name, value) for name, value in values.get("header_add", ())),
            header_drop=tuple(values.get("header_drop", ())),
            unsubscribe_scope="tag" if values.get("unsubscribe_scope") == "tag" else "credential",
            transactional=bool(values.get("transactional", False)),
            route=str(values.get("route", "")),
        )


def header_name(text: str) -> str:
    """Return the name of a header field that may be added or dropped. Raises OptionsError."""
    name = text.strip()
    if not _NAME.fullmatch(name):
        raise OptionsError(f"{text!r} is no header field's name; expected something like X-Campaign")
    lowered = name.lower()
    if lowered in _RESERVED or lowered.replace("_", "-").startswith(_RESERVED_PREFIXES):
        raise OptionsError(f"{name} is a field that mail and its trace depend on; it is left alone")
    return name


def header_field(text: str) -> tuple[str, str]:
    """Return name and value of ``Name: value``. Raises OptionsError."""
    name, colon, value = text.partition(":")
    if not colon:
        raise OptionsError(f"{text!r} is no header field; expected 'Name: value'")
    value = value.strip()
    if not value or len(value) > _VALUE_MOST or not value.isprintable():
        raise OptionsError(f"{name.strip()}: the value has to be 1 to {_VALUE_MOST} characters on one line")
    return header_name(name), value


def header_fields(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the fields of several ``Name: value``. Raises OptionsError."""
    fields = tuple(dict.fromkeys(header_field(text) for text in texts))
    if len(fields) > _FIELDS_MOST:
        raise OptionsError(f"{len(fields)} header fields; at most {_FIELDS_MOST} can be added")
    return fields


def header_names(texts: Iterable[str]) -> tuple[str, ...]:
    """Return names of fields to drop, each once whatever its case. Raises OptionsError."""
    names = tuple({(name := header_name(text)).lower(): name for text in texts}.values())
    if len(names) > _FIELDS_MOST:
        raise OptionsError(f"{len(names)} header fields; at most {_FIELDS_MOST} can be dropped")
    return names
