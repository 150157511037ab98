"""Codec of Postfix's policy delegation protocol (SMTPD_POLICY_README).

A request is ``name=value`` lines and an empty line; the answer is ``action=…`` and an empty line.
Bytes in, requests out; decisions in, bytes out. What breaks the protocol raises ProtocolError, whose
text is for the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from gatepost_core.domain import Decision, Pass

Request: TypeAlias = Mapping[str, str]

# Postfix's lines are at most line_length_limit (2,048) bytes, and some thirty of them make a request.
REQUEST_LIMIT: Final = 100_000
# Those attributes that are of use here, in the order in which smtpd(8) sends them (smtpd_check.c,
# check_policy_service). A pattern that looks for them takes half as long as splitting all lines does. The
# groups are atomic: a request in which one is missing costs no more.
_USED: Final = (
    "protocol_state", "client_address", "server_port", "sender", "recipient", "recipient_count", "queue_id",
    "instance", "size", "sasl_username", "encryption_protocol",
)  # fmt: skip
_USUAL: Final = re.compile(
    "request=smtpd_access_policy\n" + "".join([rf"(?>(?:.*\n)*?{name}=(.*)\n)" for name in _USED])
)
DUNNO: Final = b"action=DUNNO\n\n"
_END = b"\n\n"


class ProtocolError(Exception):
    """The peer does not speak this protocol; the connection cannot go on."""


class Decoder:
    """Takes bytes as they arrive, in any pieces, and returns the requests that are complete."""

    def __init__(self, request_limit: int = REQUEST_LIMIT) -> None:
        self._request_limit = request_limit
        self._rest = b""

    def requests(self, data: bytes) -> list[bytes]:
        """Return the complete requests, without their ends. Raises ProtocolError for a long one."""
        waiting = self._rest + data if self._rest else data
        if len(waiting) <= self._request_limit and waiting.find(_END) == len(waiting) - 2 >= 0:
            self._rest = b""
            return [waiting[:-2]]
        parts = waiting.split(_END)
        if len(waiting) > self._request_limit and max(map(len, parts)) > self._request_limit:
            raise ProtocolError(f"a request of more than {self._request_limit} bytes")
        self._rest = parts.pop()
        return parts


def decode(request: bytes) -> Request:
    """Return a request's attributes, at least those that are of use here. Raises ProtocolError.

    Addresses may hold any bytes; those that are not UTF-8 become U+FFFD, which no rule matches.
    """
    text = request.decode("utf-8", "replace")
    if usual := _USUAL.match(text):
        return dict(zip(_USED, usual.groups(), strict=True))
    try:
        attributes = dict([line.split("=", 1) for line in text.split("\n")])
    except ValueError as error:
        raise ProtocolError("a line without '='") from error
    if attributes.get("request") != "smtpd_access_policy":
        raise ProtocolError(f"request={attributes.get('request', '')[:40]!r}, expected smtpd_access_policy")
    if "protocol_state" not in attributes:
        raise ProtocolError("no protocol_state")
    return attributes


def number(request: Request, name: str) -> int:
    """Return a number of a request; 0 where it says nothing that can be read."""
    text = request.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def encode(decision: Decision) -> bytes:
    """Return the answer. Never OK, which would skip the restrictions that follow; and never a code
    alone, which permits the mail."""
    if isinstance(decision, Pass):
        return f"action=FILTER {decision.route}\n\n".encode("ascii") if decision.route else DUNNO
    text = decision.text.strip() or "Refused"
    return f"action={decision.code} {decision.enhanced} {text}\n\n".encode("ascii", "replace")
