"""A message as libmilter hands it over, and what is to become of it: plain values.

Header values are kept raw: with their leading space (SMFIP_HDR_LEADSPC), folded with LF, bytes
beyond ASCII as they came. The body has the CRLF line ends of RFC 5321 section 2.3.8. Nothing here fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gatepost_core.domain import FeatureValues
from gatepost_milter.editing.headers import Header, Headers, wire_size


@dataclass(frozen=True, slots=True)
class Message:
    """The header fields in their order and the body (bytes, CRLF line ends)."""

    headers: tuple[Header, ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is to change, and why the rest is not.

    ``headers`` None means that the header fields stay, ``body`` None that the body does, ``sender`` None that
    the envelope sender does. ``skipped`` maps a feature to its reason in words; a feature may be in both when
    it acted in one part and not in another. ``seconds`` is wall time by step. ``notes`` are for the log.
    """

    headers: Headers | None = None
    body: bytes | None = None
    applied: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict[str, str])
    features: FeatureValues = field(default_factory=dict[str, "bool | str | tuple[str, ...]"])
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    notes: tuple[str, ...] = ()
    sender: str | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """The message's tags; they are kept with its record."""
        labels = self.features.get("tags", ())
        return labels if isinstance(labels, tuple) else ()

    @property
    def send_at(self) -> datetime | None:
        """When the message asks to be sent, in UTC, which may have passed; None: at once."""
        text = self.features.get("sendat", "")
        return datetime.fromisoformat(text) if isinstance(text, str) and text else None

    @property
    def idempotency_key(self) -> str:
        """The key by which its sender knows it, so that it is queued once; empty if it has none."""
        text = self.features.get("idempotency", "")
        return text if isinstance(text, str) else ""

    @property
    def metadata(self) -> str:
        """The message's metadata in JSON, empty if there are none; they are kept with its record."""
        text = self.features.get("metadata", "")
        return text if isinstance(text, str) else ""


def new_headers(message: Message, plan: Plan) -> Headers:
    """Return the header fields that ``plan`` gives the message, to be edited further."""
    return Headers.of(message.headers) if plan.headers is None else plan.headers


def outcome(message: Message, plan: Plan) -> Message:
    """Return the message as it is after ``plan``."""
    headers = message.headers if plan.headers is None else tuple(plan.headers)
    return Message(headers, message.body if plan.body is None else plan.body)


def message_size(message: Message, plan: Plan | None = None) -> int:
    """Return the bytes of a message on the wire, as it came or as it is after ``plan``."""
    headers = message.headers if plan is None or plan.headers is None else plan.headers
    return wire_size(headers) + 2 + len(message.body if plan is None or plan.body is None else plan.body)


def size_change(message: Message, plan: Plan) -> int:
    """Return by how many bytes ``plan`` makes the message longer on the wire."""
    change = 0 if plan.body is None else len(plan.body) - len(message.body)
    if plan.headers is not None:
        change += wire_size(plan.headers) - wire_size(message.headers)
    return change


def render(message: Message, plan: Plan) -> bytes:
    """Return the whole message as it is after ``plan``, with CRLF line ends throughout."""
    after = outcome(message, plan)
    lines = [header.name + b":" + header.value.replace(b"\n", b"\r\n") + b"\r\n" for header in after.headers]
    return b"".join(lines) + b"\r\n" + after.body
