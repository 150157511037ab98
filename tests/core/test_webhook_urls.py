"""Where webhooks may lead: public addresses, in whatever form they come."""

from __future__ import annotations

from contextlib import suppress

import pytest

from gatepost_core.store import StoreError
from gatepost_core.store.webhooks.urls import checked, forbidden
from tests.steps import World, assert_linear

# Each of a range that is not the public internet's, or of one that only looks like another.
PRIVATE = [
    "0.0.0.1", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1",
    "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "::8.8.8.8",
    "64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1",
    "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00::1",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "4000::1", "localhost", "",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.32.0.1", "192.0.1.1", "2001:4860:4860::8888",
    "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1", "2a00:1450::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    assert forbidden(address) == ""


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com/", "unencrypted"),
        ("ftp://example.com/", "expected something like"),
        ("example.com/hook", "expected something like"),
        ("https:///hook", "expected something like"),
        ("https://example.com:0/", "expected something like"),
        ("https://example.com:99999/", "Port out of range"),
        ("https://[::1/", "expected something like"),
        ("https://me:secret@example.com/", "user name or password"),
        ("https://example.com/#there", "fragment"),
        ("https://exämple.com/", "of ASCII"),
        ("https://example.com/a b", "of ASCII"),
        ("https://example.com/\r\nHost: other", "of ASCII"),
        ("https://example.com/" + "a" * 2_000, "at most 2000"),
        ("https://127.0.0.1/", "this host itself"),
        ("https://[::ffff:10.0.0.1]/", "another form"),
        ("https://192.168.0.1:8443/hook", "no public address"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_with_what_is_wrong(url: str, why: str) -> None:
    with pytest.raises(StoreError, match=why):
        checked(url, allow_private=False)


@pytest.mark.parametrize("url", ["https://example.com/hook?x=1", "https://1.1.1.1/", "https://a.test:8443"])
def test_a_public_https_url_is_taken_as_it_is(url: str) -> None:
    assert checked(url, allow_private=False) == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://erp/hook", "https://[fd00::1]/"])
def test_an_operator_may_allow_any_address(url: str) -> None:
    assert checked(url, allow_private=True) == url


@pytest.mark.parametrize("unit", ["a", "a.", "/", "@", ":", "[", "%", "#?", "1."])
def test_a_url_costs_its_length_whatever_is_in_it(unit: str) -> None:
    world = World("urllib")
    read = world.load("gatepost_core.store.webhooks.urls").checked

    def act(url: str) -> None:
        with suppress(Exception):
            read(url, allow_private=False)

    assert_linear(world, lambda n: "https://" + unit * (n // len(unit)), act)
