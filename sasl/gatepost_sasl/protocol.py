"""Codec of the Dovecot authentication protocol, as Postfix speaks it (xsasl_dovecot_server.c).

Lines of tab-separated fields, each ended by LF; major version 1. Bytes in, commands out, and back.
A line that breaks the protocol raises ProtocolError, whose text is for the log; a command that is
not known is left out, as the protocol asks.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from gatepost_core.domain.memo import memo
from gatepost_sasl.peer import Peer

MAJOR: Final = 1
MINOR: Final = 0
# Postfix cuts a client's response at 12,288 bytes; the rest of an AUTH line is short.
LINE_LIMIT: Final = 20_000
_ID_MOST = 2**32 - 1
_DIGITS = 10  # of the largest
# Longer parameters than Postfix ever sends are not kept.
_USUAL = 300


class ProtocolError(Exception):
    """The peer does not speak this protocol; the connection cannot go on."""


@dataclass(slots=True)
class Version:
    """``VERSION <major> <minor>``: the first thing that a client says."""

    major: int
    minor: int


@dataclass(slots=True)
class Auth:
    """``AUTH <id> <mechanism> [<name>[=<value>] …] [resp=<base64>]``: a login begins.

    ``mechanism`` is in upper case. ``response`` is None without ``resp=``, and still base64 with it.
    """

    id: int
    mechanism: str
    peer: Peer
    response: bytes | None = field(default=None, repr=False)


@dataclass(slots=True)
class Cont:
    """``CONT <id> <base64>``: the client's answer to a challenge, still in base64."""

    id: int
    response: bytes = field(repr=False)


@dataclass(slots=True)
class Cancel:
    """``CANCEL <id>``: the client gives up."""

    id: int


Command: TypeAlias = Version | Auth | Cont | Cancel


class Decoder:
    """Takes bytes as they arrive, in any pieces, and returns the commands that are complete."""

    def __init__(self, line_limit: int = LINE_LIMIT) -> None:
        self._line_limit = line_limit
        self._rest = b""

    def lines(self, data: bytes) -> list[bytes]:
        """Return the complete lines, without their LF. Raises ProtocolError for one that is too long."""
        waiting = self._rest + data if self._rest else data
        lines = waiting.split(b"\n")
        if len(waiting) > self._line_limit and max(map(len, lines)) > self._line_limit:
            raise ProtocolError(f"a line of more than {self._line_limit} bytes")
        self._rest = lines.pop()
        return lines


def decode(line: bytes) -> Command | None:
    """Return the command on a line, None for one that is not known. Raises ProtocolError."""
    if line.startswith(b"AUTH\t"):
        return _auth(line)
    fields = line.split(b"\t")
    word = fields[0]
    if word == b"AUTH":
        raise ProtocolError("AUTH without a mechanism")
    if word == b"CONT":
        return Cont(_number("CONT id", fields, 1), b"\t".join(fields[2:]))
    if word == b"VERSION":
        return Version(_number("major version", fields, 1), _number("minor version", fields, 2))
    if word == b"CANCEL":
        return Cancel(_number("CANCEL id", fields, 1))
    return None


def client_of(line: bytes) -> int:
    """Return the process id of ``CPID <pid>``, 0 for another line; policy services are told the same."""
    if not line.startswith(b"CPID\t"):
        return 0
    number = line[5:]
    return int(number) if number.isdigit() and len(number) < _DIGITS else 0


def _auth(line: bytes) -> Auth:
    """Take ``resp=`` for the last parameter, as the protocol has it: what a client sent is in it.

    So no tab in that can bring parameters of the client's own; what follows one is left out.
    """
    head, given, response = line.partition(b"\tresp=")
    if b"\t" in response:
        response = response[: response.index(b"\t")]
    fields = head.split(b"\t", 2)
    if len(fields) < 3:
        raise ProtocolError("AUTH without a mechanism")
    _, number, text = fields
    mechanism, peer = _known_request(text) if len(text) <= _USUAL else _read_request(text)
    usual = number.isdigit() and len(number) < _DIGITS  # without a call
    request = int(number) if usual else _number("AUTH id", fields, 1)
    return Auth(request, mechanism, peer, response if given else None)


def _read_request(text: bytes) -> tuple[str, Peer]:
    """Return the mechanism, and what the parameters after it say of the peer. Raises ProtocolError."""
    mechanism, *parameters = text.decode("ascii", "replace").split("\t")
    if not mechanism:
        raise ProtocolError("AUTH without a mechanism")
    values: dict[str, str] = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        values[name] = value
    peer = Peer(values.get("rip", ""), values.get("lip", ""), values.get("service", ""), "secured" in values)
    return mechanism.upper(), peer


# The same customers log in again and again; the latest are kept.
_known_request = memo(1024)(_read_request)


def _number(what: str, fields: list[bytes], at: int) -> int:
    text = fields[at] if len(fields) > at else b""
    if not text.isdigit() or len(text) > _DIGITS or int(text) > _ID_MOST:
        raise ProtocolError(f"{what} is no number: {text[:20]!r}")
    return int(text)


def decode_response(text: bytes) -> bytes:
    """Return the bytes of a base64 response; ``=`` alone is an empty one (RFC 4954 section 4).

    Raises ValueError for what is not base64.
    """
    if text == b"=":
        return b""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def greeting(mechanisms: Iterable[str], pid: int, connection: int) -> bytes:
    """Return what a server says first. MECH before SPID: Postfix tells a wrong socket by the order."""
    lines = [f"VERSION\t{MAJOR}\t{MINOR}"]
    lines += [f"MECH\t{name}\tplaintext" for name in mechanisms]
    lines += [f"SPID\t{pid}", f"CUID\t{connection}", "DONE"]
    return ("\n".join(lines) + "\n").encode("ascii")


def challenge(request: int, data: bytes) -> bytes:
    """Return ``CONT``. The tab before an empty challenge is needed: Postfix insists on the field."""
    return b"CONT\t%d\t%s\n" % (request, base64.b64encode(data))


def success(request: int, user: str) -> bytes:
    """Return ``OK``. Postfix takes the login's name from ``user=``."""
    return b"OK\t%d\tuser=%s\n" % (request, user.encode("utf-8"))


def failure(request: int, reason: str) -> bytes:
    """Return ``FAIL``. ``reason`` reaches the SMTP client, after Postfix's own words."""
    return b"FAIL\t%d\treason=%s\n" % (request, reason.encode("ascii", "replace"))
