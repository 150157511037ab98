"""A message as libmilter hands it over, and what is to become of it: plain values.

Header values are kept raw: with their leading space (SMFIP_HDR_LEADSPC), folded with LF, bytes
beyond ASCII as they came. The body has the CRLF line ends of RFC 5321 section 2.3.8. Nothing here fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gatepost_core.domain.features import FeatureValues
from gatepost_milter.editing.headers import Header

__all__ = ["Header", "HeaderEdit", "Message", "Plan", "apply_header_edits", "render", "size_change"]


@dataclass(frozen=True, slots=True)
class Message:
    """The header fields in their order and the body (bytes, CRLF line ends)."""

    headers: tuple[Header, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class HeaderEdit:
    """One change of a header field, as libmilter's smfi_chgheader counts.

    ``index`` is the field's place among those of the same name in the original message, from 1;
    0 adds a field at the end. ``value`` None deletes; otherwise it has its leading space.
    """

    name: bytes
    index: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to change, and why the rest is not.

    ``body`` None means that the body stays, ``sender`` None that the envelope sender does. ``top`` are fields
    to put above all others one after another, so that the last stands first. ``skipped`` maps a feature to
    its reason in words;
    a feature may be in both when it acted in one part and not in another. ``seconds`` is wall
    time by step. ``notes`` are for the log alone.
    """

    header_edits: tuple[HeaderEdit, ...] = ()
    body: bytes | None = None
    top: tuple[Header, ...] = ()
    applied: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: tuple[str, ...] = ()
    features: FeatureValues = field(default_factory=dict[str, "bool | str | tuple[str, ...]"])
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: tuple[str, ...] = ()
    sender: str | None = None


def apply_header_edits(headers: tuple[Header, ...], edits: tuple[HeaderEdit, ...]) -> tuple[Header, ...]:
    """Return the header fields as the MTA has them after ``edits``, done one after another."""
    result: list[Header | None] = list(headers)
    places: dict[bytes, list[int]] = {}
    for place, header in enumerate(headers):
        places.setdefault(header.name.lower(), []).append(place)
    for edit in edits:
        own = places.setdefault(edit.name.lower(), [])
        if edit.index == 0 or edit.index > len(own):
            if edit.value is not None:
                own.append(len(result))
                result.append(Header(edit.name, edit.value))
        elif edit.value is None:
            result[own.pop(edit.index - 1)] = None
        else:
            place = own[edit.index - 1]
            result[place] = Header((result[place] or edit).name, edit.value)
    return tuple(header for header in result if header is not None)


def size_change(message: Message, plan: Plan) -> int:
    """Return by how many bytes ``plan`` makes the message longer, line ends counted as on the wire."""
    change = 0 if plan.body is None else len(plan.body) - len(message.body)
    if plan.header_edits:
        after = apply_header_edits(message.headers, plan.header_edits)
        change += _header_size(after) - _header_size(message.headers)
    return change + _header_size(plan.top)


def _header_size(headers: tuple[Header, ...]) -> int:
    return sum(len(header.name) + len(header.value) + 3 + header.value.count(b"\n") for header in headers)


def render(message: Message, plan: Plan) -> bytes:
    """Return the whole message as it is after ``plan``, with CRLF line ends throughout."""
    headers = (*reversed(plan.top), *apply_header_edits(message.headers, plan.header_edits))
    lines = [header.name + b":" + header.value.replace(b"\n", b"\r\n") + b"\r\n" for header in headers]
    return b"".join(lines) + b"\r\n" + (message.body if plan.body is None else plan.body)
