"""A message as libmilter hands it over, and what is to become of it: plain values.

Header values are kept raw: with their leading space (SMFIP_HDR_LEADSPC), folded with LF, bytes
beyond ASCII as they came. The body has the CRLF line ends of RFC 5321 section 2.3.8. Nothing here fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gatepost_core.features import FeatureValues
from gatepost_core.options import Options
from gatepost_milter.css.calculator import Compute, at_once
from gatepost_milter.css.weight import Allowance


class Header(NamedTuple):
    """One header field. ``value`` is raw, its leading space included."""

    name: bytes
    value: bytes


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


class ClickRewriter(Protocol):
    """Makes the click domain's prefix of one URL."""

    def __call__(self, scheme: str, authority: str, path_and_query: str) -> str | None:
        """Return ``https://click.domain/TOKEN``, to stand for ``scheme://authority``; None: leave it."""
        ...


class ImageHost(Protocol):
    """Keeps an image for good."""

    def __call__(self, data: bytes, content_type: str) -> str:
        """Return the image's address, which needs no escaping in HTML or CSS. Raises OSError, QuotaError."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What the surgery needs to know beside the message.

    ``features``: the credential's values for every feature. ``click``, ``opens``: None when the From domain
    has no click domain. ``pixel``: the address of a 1x1 image. ``host`` keeps images, none larger than
    ``image_size_limit`` bytes. ``unsubscribe``: the address for RFC 8058, made for the one recipient.
    ``bounce_sender``: the envelope sender for trackbounces. ``feedback``: Feedback-ID after its first field.
    What is missing is None or empty; for ``unsubscribe`` and ``trackbounces``, ``missing`` has the reason.
    ``edit_size_limit``: a message of more bytes is not edited, for what it would cost.
    ``queue_size_limit``: bytes that a message may have after edits, because Postfix refuses a larger
    one for good. 0 is no limit. ``allowance``: the steps that the message's style sheets may take, over all
    parts and attempts; without one each attempt has its own. ``calculate``: who calculates them.
    """

    features: FeatureValues
    click: ClickRewriter | None = None
    edit_size_limit: int = 0
    queue_size_limit: int = 0
    opens: ClickRewriter | None = None
    pixel: str = ""
    host: ImageHost | None = None
    image_size_limit: int = 5_000_000
    unsubscribe: str = ""
    bounce_sender: str = ""
    feedback: str = ""
    missing: Mapping[str, str] = field(default_factory=dict[str, str])
    options: Options = field(default_factory=Options)
    allowance: Allowance | None = None
    calculate: Compute = at_once


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
