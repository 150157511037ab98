"""Where webhooks may lead: which URLs can be given, and which addresses are nobody's business. Pure.

A customer names the URL and must not reach through the gateway what he cannot reach himself: its own host,
its network, or what only trusts that. Names are judged by the addresses that are really connected to.
"""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from gatepost_core.domain.errors import StoreError, shown
from gatepost_core.domain.texts import unfit

URL_MOST: Final = 2_000

_V6 = ipaddress.IPv6Network
# RFC 6052 section 2.1: an IPv4 address in the last 32 bits; what it leads to decides.
_NAT64: Final = _V6("64:ff9b::/96")
# RFC 3056: the IPv4 address of the relay's other side in bits 16 to 47.
_SIX_TO_FOUR: Final = _V6("2002::/16")
# RFC 4291 section 2.4: all that is given out as global unicast.
_GLOBAL: Final = _V6("2000::/3")
# Within it, by the IANA's registry of special-purpose addresses: protocols (Teredo, ORCHID, benchmarks and
# others), and documentation.
_SPECIAL: Final = (_V6("2001::/23"), _V6("2001:db8::/32"), _V6("3fff::/20"))
# RFC 7526: where 6to4 relays were.
_RELAYS: Final = ipaddress.IPv4Network("192.88.99.0/24")


def checked(url: str, *, allow_private: bool) -> str:
    """Return a URL that may be given. Raises StoreError that says what is wrong with it."""
    wanted = "expected something like https://example.com/hooks/mail"
    if not url.isascii() or unfit(url) or " " in url or len(url) > URL_MOST:
        raise StoreError(
            f"the URL {shown(url)} cannot be used; {wanted}, at most {URL_MOST} characters of ASCII"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise StoreError(f"the URL {shown(url)} cannot be used ({error}); {wanted}") from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise StoreError(f"the URL {shown(url)} cannot be used; {wanted}")
    if parts.username is not None or parts.password is not None:
        raise StoreError(
            "a user name or password in the URL is not sent; what comes from here shows by its signature"
        )
    if parts.fragment:
        raise StoreError(f"the URL {shown(url)} has a fragment (#...), which is never sent; leave it out")
    if allow_private:
        return url
    if parts.scheme != "https":
        raise StoreError(
            f"{shown(url)} would send events unencrypted; expected https:// (an operator may allow http:// "
            "with --allow-private)"
        )
    why = forbidden(host) if _is_address(host) else ""
    if why:
        raise StoreError(f"{host} is {why}; an operator may allow it with --allow-private")
    return url


def forbidden(address: str) -> str:
    """Return in words why an address is none of the public internet's, '' for one that is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "no address"
    if isinstance(found, ipaddress.IPv4Address):
        return _forbidden_v4(found)
    within = _embedded(found)
    if within is not None:
        why = _forbidden_v4(within)
        return why and f"{why}, as {within} in another form"
    if found.is_multicast:
        return "a multicast address"
    if found not in _GLOBAL or any(found in special for special in _SPECIAL):
        return "no public address"
    return ""


def _forbidden_v4(address: ipaddress.IPv4Address) -> str:
    if address.is_loopback:
        return "an address of this host itself"
    if address.is_multicast:
        return "a multicast address"
    # Also CGNAT (RFC 6598), link-local, documentation and what is reserved.
    if not address.is_global or address in _RELAYS:
        return "no public address"
    return ""


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that one of IPv6 stands for."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return address.sixtofour
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
