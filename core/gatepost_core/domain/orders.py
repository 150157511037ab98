"""What the other daemons have gatepost-events do, and its answers: one line each, a JSON array (RFC 8259).

| line | meaning |
|---|---|
| ``[1,"credential",name,source,account,[feature…],[sender…],[network…]]`` | make one at a first login |
| ``[1,"ping"]`` | is anybody there? |
| ``[1,answer,text]`` | ``Result`` and, where it is not done, why |

The number is the version. Pure. What cannot be read, or would be kept and then misread, raises OrderError;
its text is for the log of whoever sent it. A line is held to a size, and to a number of brackets (so that
nothing nests deep), before it is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias

from gatepost_core.domain.features import FeatureError, FeatureValues, parse_options, spell_options
from gatepost_core.domain.model import Source
from gatepost_core.domain.rules import normal_address, normal_network
from gatepost_core.domain.rules.values import Rules
from gatepost_core.domain.texts import bounded, quoted, unfit

VERSION: Final = 1
# Fifty senders at their longest, and features; a line that is longer is nobody's of ours.
LINE_MOST: Final = 65_536
NAME_MOST: Final = 255
SENDERS_MOST: Final = 50
# Of a credential's order: itself and three lists. Addresses and labels may have some in their text.
_BRACKETS_MOST = 200
_NETWORKS_MOST = 1_000
_SENDER_LONGEST = 320
_TEXT_MOST = 500
# Whose password somebody else knows: an order brings none.
_SOURCES = {source.value: source for source in (Source.PAM, Source.LDAP)}
_SENDER = re.compile(r"[^\s@*]+@[^\s@*]+|(\*\.)?[^\s@*]+")

_compact = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


class OrderError(ValueError):
    """A line is no order, or no answer; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class CredentialOrder:
    """Make a credential of this name, whose password ``source`` (PAM or LDAP) knows."""

    username: str
    source: Source
    account: str
    features: FeatureValues
    rules: Rules


@dataclass(frozen=True, slots=True)
class Ping:
    """Say whether anybody is there."""


Order: TypeAlias = CredentialOrder | Ping


class Result(Enum):
    """What became of an order.

    ``MADE`` now, ``KNOWN``: of that name there was one already, which stays as it is. ``HERE``: to a ping.
    ``REFUSED``: it will not be done, however often it is sent; ``UNAVAILABLE``: it cannot be done now.
    """

    MADE = "made"
    KNOWN = "known"
    HERE = "here"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class Answer(NamedTuple):
    """What became of an order, and why if it was not done."""

    result: Result
    text: str = ""


class Lines:
    """Takes bytes as they arrive, in any pieces, and returns the lines that are complete."""

    def __init__(self, most: int = LINE_MOST) -> None:
        self._most = most
        self._rest = bytearray()

    def lines(self, data: bytes) -> list[bytes]:
        """Return the complete lines, without their ends. Raises OrderError for a long one, and keeps none."""
        first, *more = data.split(b"\n")
        self._rest += first
        found = []
        for piece in more:
            self._check()
            found.append(bytes(self._rest))
            self._rest[:] = piece
        self._check()
        return found

    def _check(self) -> None:
        if len(self._rest) > self._most:
            self._rest.clear()
            raise OrderError(f"a line of more than {self._most} bytes")


def is_sender(text: str) -> bool:
    """Say whether a text can be a sender of a credential: an address, a domain, or ``*.`` and a domain."""
    return len(text) <= _SENDER_LONGEST and not unfit(text) and _SENDER.fullmatch(text) is not None


def write_order(order: Order) -> bytes:
    """Return an order as a line. Raises OrderError for one that would not be read."""
    if isinstance(order, Ping):
        return _line([VERSION, "ping"])
    line = _line(
        [
            VERSION,
            "credential",
            order.username,
            order.source.value,
            order.account,
            spell_options(order.features),
            order.rules.senders,
            order.rules.networks,
        ]
    )
    read_order(line)
    return line


def read_order(line: bytes) -> Order:
    """Return the order that a line, without its end, holds. Raises OrderError."""
    match _values(line):
        case ["ping"]:
            return Ping()
        case [
            "credential",
            str(name),
            str(source),
            str(account),
            list(features),
            list(senders),
            list(networks),
        ]:
            return CredentialOrder(
                _name(name, "user name"),
                _source(source),
                _name(account, "account"),
                _features(_texts(features)),
                Rules(_senders(_texts(senders)), _networks(_texts(networks))),
            )
        case [str(kind), *_] if kind not in ("ping", "credential"):
            raise OrderError(f"the order {quoted(kind)}, which this release does not know")
    raise OrderError("no order: the values are not those that an order has")


def write_answer(answer: Answer) -> bytes:
    """Return an answer as a line; a long text is cut."""
    return _line([VERSION, answer.result.value, bounded(answer.text, _TEXT_MOST)])


def read_answer(line: bytes) -> Answer:
    """Return the answer that a line, without its end, holds. Raises OrderError."""
    match _values(line):
        case [str(result), str(text)]:
            try:
                return Answer(Result(result), text)
            except ValueError:
                raise OrderError(f"the answer {quoted(result)}, which this release does not know") from None
    raise OrderError("no answer: the values are not those that an answer has")


def _line(values: Sequence[object]) -> bytes:
    line = _compact(values).encode("ascii") + b"\n"
    if len(line) > LINE_MOST:
        raise OrderError(
            f"{len(line)} bytes of senders, features and networks; at most {LINE_MOST} are taken"
        )
    return line


def _values(line: bytes) -> list[Any]:
    """Return what follows the version in a line. Raises OrderError."""
    if len(line) > LINE_MOST or line.count(b"[") + line.count(b"{") > _BRACKETS_MOST:
        raise OrderError(f"a line of {len(line)} bytes, or of too many brackets")
    try:
        values = json.loads(line.decode("utf-8"))
    except ValueError:
        raise OrderError(f"no JSON in UTF-8: {line[:60]!r}") from None
    if not isinstance(values, list) or not values or type(values[0]) is not int:
        raise OrderError(f"no array that begins with a version: {line[:60]!r}")
    if values[0] != VERSION:
        raise OrderError(f"version {str(values[0])[:20]} of this protocol, where {VERSION} is known")
    return values[1:]


def _texts(values: list[Any]) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise OrderError("a list with something that is no text")
    return values


def _name(text: str, what: str) -> str:
    if not text or len(text) > NAME_MOST or unfit(text):
        raise OrderError(
            f"{quoted(text)} is no {what}; expected 1 to {NAME_MOST} characters that can be seen"
        )
    return text


def _source(text: str) -> Source:
    if text not in _SOURCES:
        raise OrderError(f"credentials of {quoted(text)} are not made by order; expected pam or ldap")
    return _SOURCES[text]


def _features(texts: list[str]) -> FeatureValues:
    try:
        return parse_options(texts)
    except FeatureError as error:
        raise OrderError(bounded(str(error), _TEXT_MOST)) from error


def _senders(texts: list[str]) -> tuple[str, ...]:
    if len(texts) > SENDERS_MOST:
        raise OrderError(f"{len(texts)} senders; at most {SENDERS_MOST}")
    for text in texts:
        if not is_sender(text):
            raise OrderError(f"{quoted(text)} cannot be used as a sender")
    return tuple(normal_address(text) for text in texts)


def _networks(texts: list[str]) -> tuple[str, ...]:
    if len(texts) > _NETWORKS_MOST:
        raise OrderError(f"{len(texts)} networks; at most {_NETWORKS_MOST}")
    try:
        return tuple(normal_network(text) for text in texts)
    except ValueError as error:
        raise OrderError(f"a network that cannot be used: {bounded(str(error), _TEXT_MOST)}") from error
