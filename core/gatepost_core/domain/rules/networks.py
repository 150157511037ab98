"""Networks to log in from."""

from __future__ import annotations

import ipaddress

from gatepost_core.domain.memo import memo


def network_allowed(networks: tuple[str, ...], address: str) -> bool:
    """Say whether an IP address is in one of the CIDR blocks; no block at all means any address.

    An IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2) counts as IPv4. An address that cannot
    be read is in no block.
    """
    if not networks:
        return True
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip in _network(network) for network in networks)


def normal_network(text: str) -> str:
    """Return a CIDR block, or a single address, in its usual form. Raises ValueError for another text.

    Bits below the prefix must be zero: ``192.0.2.7/24`` could mean the block or the host.
    """
    network = ipaddress.ip_network(text.strip())
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is not None and network.prefixlen >= 96:
        return str(ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}"))
    return str(network)


def within(inner: str, outer: str) -> bool:
    """Say whether a network lies in another, both as ``normal_network`` returns them."""
    one, other = _network(inner), _network(outer)
    if isinstance(one, ipaddress.IPv4Network) and isinstance(other, ipaddress.IPv4Network):
        return one.subnet_of(other)
    if isinstance(one, ipaddress.IPv6Network) and isinstance(other, ipaddress.IPv6Network):
        return one.subnet_of(other)
    return False


@memo(4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text)
