"""Whom a proxy names as its client, by the PROXY protocol; by X-Forwarded-For: ``serving.proxies``. Sans-I/O.

The PROXY protocol is HAProxy's, versions 1 and 2
(https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1_MOST, _V2_HEAD, _V2_MOST = 107, 16, 536


class ProxyError(ValueError):
    """A connection does not begin as its proxy should have it."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a PROXY header said: the client ('' for a check of the proxy's own); how many bytes it took."""

    client: str
    size: int


def read(data: bytes) -> Begun | None:
    """Return what a connection's first bytes say, None while more are needed. Raises ProxyError."""
    if data.startswith(_SIGNATURE[: len(data)]) and len(data) < len(_SIGNATURE):
        return None
    if data.startswith(_SIGNATURE):
        return _version_2(data)
    if data.startswith(b"PROXY "[: len(data)]):
        return _version_1(data)
    raise ProxyError("no PROXY header")


def _version_1(data: bytes) -> Begun | None:
    line, end, _ = data[:_V1_MOST].partition(b"\r\n")
    if not end:
        if len(data) >= _V1_MOST:
            raise ProxyError("a PROXY line without an end")
        return None
    words = line.decode("ascii", "replace").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return Begun("", len(line) + 2)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ProxyError("a PROXY line of another form")
    return Begun(_address(words[2]), len(line) + 2)


def _version_2(data: bytes) -> Begun | None:
    if len(data) < _V2_HEAD:
        return None
    kind, family, size = data[12], data[13] >> 4, int.from_bytes(data[14:16], "big")
    if kind not in (0x20, 0x21) or size > _V2_MOST:
        raise ProxyError("a PROXY header of another version, or too long")
    if len(data) < _V2_HEAD + size:
        return None
    length = {1: 4, 2: 16}.get(family, 0)
    if kind == 0x20 or not length:  # LOCAL, or no internet address
        return Begun("", _V2_HEAD + size)
    if size < 2 * length + 4:
        raise ProxyError("a PROXY header that ends too early")
    return Begun(str(ipaddress.ip_address(data[_V2_HEAD : _V2_HEAD + length])), _V2_HEAD + size)


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ProxyError("a PROXY line without an address") from None
