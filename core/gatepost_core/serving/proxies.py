"""Who asked over HTTP: the peer, or whom a proxy in front names by X-Forwarded-For. Sans-I/O."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from gatepost_core.domain.memo import Recent

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_HOPS_MOST = 20
_REMEMBERED = 1_000


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
