"""Places that a rule tells messages by: what people write, what databases say, what a reason names."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import RuleError
from gatepost_core.domain.rules import places
from gatepost_core.domain.rules.places import Admitted, Kind, Place
from tests.core.making import MADE, credential

NL, BR = Place(Kind.COUNTRY, "NL"), Place(Kind.COUNTRY, "BR")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("nl", NL),
        (" country:BR ", BR),
        ("as64500", Place(Kind.NETWORK, "AS64500")),
        ("network:64500", Place(Kind.NETWORK, "AS64500")),
        ("country:Unknown", Place(Kind.COUNTRY, "unknown")),
        ("network:private", Place(Kind.NETWORK, "private")),
    ],
)
def test_a_place_is_read_as_people_write_it_and_written_so_that_it_is_read_again(
    text: str, place: Place
) -> None:
    assert places.read_place(text) == place
    assert places.read_place(place.word) == place


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NLD",
        "unknown",
        "64500",
        "AS0",
        "country:AS1",
        "network:NL",
        "city:Ede",
        "N\u0130",
        "x" * 100_000,
    ],
)
def test_what_is_no_place_is_named_with_what_may_stand_there(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        places.read_place(text)
    assert "is no place; expected something like NL" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("record", "country", "network"),
    [
        ({"country": {"iso_code": "NL"}, "registered_country": {"iso_code": "US"}}, "NL", "unknown"),
        ({"registered_country": {"iso_code": "US"}}, "US", "unknown"),
        ({"country_code": "de", "country": "Germany", "asn": "AS64500"}, "DE", "AS64500"),
        ({"country": "BE"}, "BE", "unknown"),
        ({"autonomous_system_number": 1136}, "unknown", "AS1136"),
        ({"country": {"iso_code": "\U0001f1f3\U0001f1f1"}, "asn": "-1"}, "unknown", "unknown"),
        ({"country": None, "autonomous_system_number": 0}, "unknown", "unknown"),
        (None, "unknown", "unknown"),
        ([1], "unknown", "unknown"),
    ],
)
def test_what_a_database_has_is_a_place_and_never_none_at_all(
    record: Any, country: str, network: str
) -> None:
    address = ipaddress.ip_address("8.8.8.8")
    assert places.named(Kind.COUNTRY, record, address) == country
    assert places.named(Kind.NETWORK, record, address) == network


@pytest.mark.parametrize(
    "text", ["10.1.2.3", "127.0.0.1", "::1", "fd00::1", "fe80::1%eth0", "::ffff:10.0.0.1"]
)
def test_private_addresses_are_one_place(text: str) -> None:
    address = places.normal_address(text)
    assert address is not None
    assert places.named(Kind.COUNTRY, None, address) == "private"


NAMES = st.sampled_from(["country", "iso_code", "country_code", "asn", "autonomous_system_number"])
VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats()
RECORDS = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(RECORDS)
def test_whatever_stands_in_a_database_each_address_is_somewhere(record: Any) -> None:
    for kind in Kind:
        name = places.named(kind, record, ipaddress.ip_address("8.8.8.8"))
        assert name == "unknown" or places.read_place(name) == Place(kind, name)


def test_a_reason_names_what_is_new_and_some_of_what_is_known() -> None:
    assert places.reason(Admitted((BR,), (NL,)), "203.0.113.9") == (
        "new country BR, client 203.0.113.9; it has sent from NL"
    )
    many = tuple(Place(Kind.NETWORK, f"AS{number}") for number in range(1, 101))
    said = places.reason(Admitted((BR, Place(Kind.NETWORK, "AS999")), many), None)
    assert said == (
        "new country BR and new network AS999, client not known; it has sent from AS1, AS2, AS3, AS4, AS5 "
        "and 95 more"
    )
    assert places.reason(Admitted((BR,)), "::1").endswith("; none is known")


def test_only_a_rule_makes_a_message_s_place_matter() -> None:
    assert places.origin_of(credential(), "192.0.2.1") is None


def test_a_credential_that_was_made_anew_has_other_places() -> None:
    first = places.owner_of(credential(created_at=MADE))
    assert first != places.owner_of(credential(created_at=MADE.replace(year=MADE.year + 1)))
    assert first.since == int(MADE.timestamp())


def test_what_was_kept_with_an_event_is_read_again_and_what_is_not_understood_is_left_out() -> None:
    assert places.kept(places.plain((NL, Place(Kind.NETWORK, "AS1")))) == (NL, Place(Kind.NETWORK, "AS1"))
    stranger: list[object] = [None, [], "NL", {"planet": "Mars"}, {"country": None}]
    for strange in stranger:
        assert places.kept(strange) == ()
