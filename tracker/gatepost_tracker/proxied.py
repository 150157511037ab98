"""Who asked: the peer, or whom a proxy names, by X-Forwarded-For or the PROXY protocol. Sans-I/O.

The PROXY protocol is HAProxy's, versions 1 and 2
(https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from gatepost_core.domain.memo import Recent

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1_MOST, _V2_HEAD, _V2_MOST = 107, 16, 536
_HOPS_MOST = 20
_REMEMBERED = 1_000


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


class Proxies:
    """Whose X-Forwarded-For counts. A peer without an address is at a UNIX socket, where only ours may be."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: tuple[_Network, ...] = tuple(map(ipaddress.ip_network, networks))
        self._known: Recent[str, bool] = Recent(_REMEMBERED)

    def client(self, peer: str, forwarded: str) -> str:
        """Return who asked: the last one in the list that is no proxy of ours."""
        client = peer
        for hop in reversed(forwarded.rsplit(",", _HOPS_MOST)[-_HOPS_MOST:] if forwarded else []):
            if not self.trusted(client):
                break
            try:
                client = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                break
        return client

    def trusted(self, peer: str) -> bool:
        """Say whether a peer is a proxy of ours."""
        if not peer:
            return True
        known = self._known.get(peer)
        if known is None:
            known = self._trusted(peer)
            self._known.put(peer, known)
        return known

    def _trusted(self, peer: str) -> bool:
        address = ipaddress.ip_address(peer.partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)
