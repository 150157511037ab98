"""Where a credential may log in from: CIDR blocks, IPv4 mapped into IPv6 included."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain.rules import network_allowed, normal_network


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ((), "198.51.100.7", True),
        ((), "", True),
        (("192.0.2.0/24",), "192.0.2.255", True),
        (("192.0.2.0/24",), "192.0.3.0", False),
        (("192.0.2.0/24",), "::ffff:192.0.2.7", True),
        (("192.0.2.0/24", "2001:db8::/32"), "2001:db8::1", True),
        (("2001:db8::/32",), "2001:db9::1", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("0.0.0.0/0",), "2001:db8::1", False),
        (("192.0.2.0/24",), "", False),
        (("192.0.2.0/24",), "unknown", False),
    ],
)
def test_an_address_is_in_a_network_or_not(networks: tuple[str, ...], address: str, allowed: bool) -> None:
    assert network_allowed(networks, address) is allowed


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        (" 2001:DB8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ],
)
def test_a_network_is_kept_in_its_usual_form(text: str, kept: str) -> None:
    assert normal_network(text) == kept


@pytest.mark.parametrize("text", ["", "192.0.2.7/24", "192.0.2.0/33", "example.test", "10.0.0.0-10.0.0.9"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normal_network(text)


@given(st.ip_addresses(), st.text(max_size=40))
def test_an_address_is_in_its_own_network_and_no_text_raises(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, text: str
) -> None:
    assert network_allowed((normal_network(str(address)),), str(address))
    assert network_allowed(("192.0.2.0/24",), text) in (True, False)
