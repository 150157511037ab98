"""Accounts are walls: which account may use which domain, on values alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from gatepost_core.domain import Claim, WallMode
from gatepost_core.domain.rules import UNREADABLE, plain_name
from gatepost_core.domain.walls import DOMAINS_MOST, NAME_MOST, Wall, Walls, covering, wall
from tests.core.making import credential

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACME, BETA, AGENCY = 1, 2, 3


@dataclass
class Claims:
    """acme has example.test, beta news.example.test below it; agency was granted example.test."""

    names: list[str] = field(default_factory=list[str])
    mode: WallMode = WallMode.ENFORCE

    def claims(self, name: str) -> tuple[Claim, ...]:
        self.names.append(name)
        acme = Claim("example.test", frozenset({ACME}), frozenset({AGENCY}))
        known = {
            "example.test": acme,
            "bounces.example.test": Claim("bounces.example.test", acme.owners, acme.granted),
            "news.example.test": Claim("news.example.test", frozenset({BETA})),
            "gw.test": Claim("gw.test", frozenset(), frozenset({AGENCY})),
            "shared.test": Claim("shared.test", frozenset({ACME, BETA})),
        }
        return tuple(known[one] for one in covering(name) if one in known)

    def walls(self) -> WallMode:
        return self.mode


def may(account_id: int, domain: str) -> bool:
    return Walls(Claims(), ("gw.test", "click.gw.example")).wall(account_id, domain) is None


@pytest.mark.parametrize(
    ("domain", "who"),
    [
        ("example.test", {ACME, AGENCY}),
        ("EXAMPLE.Test.", {ACME, AGENCY}),
        ("a.b.example.test", {ACME, AGENCY}),
        ("bounces.example.test", {ACME, AGENCY}),
        ("x.bounces.example.test", {ACME, AGENCY}),
        ("news.example.test", {BETA}),
        ("x.news.example.test", {BETA}),
        ("notexample.test", {ACME, BETA, AGENCY}),
        ("test", {ACME, BETA, AGENCY}),
        ("nobody.example", {ACME, BETA, AGENCY}),
        ("", {ACME, BETA, AGENCY}),
        ("gw.test", {AGENCY}),
        ("below.gw.test", {AGENCY}),
        ("click.gw.example", set[int]()),
        ("gw.example", {ACME, BETA, AGENCY}),
        ("shared.test", {ACME, BETA}),
    ],
)
def test_a_domain_belongs_to_its_account_with_all_below_and_the_longest_registration_wins(
    domain: str, who: set[int]
) -> None:
    assert {one for one in (ACME, BETA, AGENCY) if may(one, domain)} == who


@pytest.mark.parametrize(
    "domain",
    [
        "\uff45\uff58\uff41\uff4d\uff50\uff4c\uff45.test",  # full width
        "example\u3002test",
        "example\uff0etest",
        "exam\u00adple.test",
        "exa\u200bmple.test",
        "example.test\u200d",
        "\U0001d41e\U0001d431ample.test",
    ],
)
def test_what_a_lenient_reader_takes_for_a_domain_counts_as_that_domain(domain: str) -> None:
    assert plain_name(domain) == "example.test"
    assert not may(BETA, domain)
    assert may(ACME, domain)


def test_letters_that_idna_2008_tells_apart_are_told_apart() -> None:
    assert plain_name("fa\u00df.test") == "xn--fa-hia.test"
    assert plain_name("BÜCHER.test") == "xn--bcher-kva.test"


def test_the_gateways_own_name_is_won_by_a_registration_that_is_as_long() -> None:
    owned = (Claim("gw.test", frozenset({ACME})),)
    assert wall("gw.test", owned, ("gw.test",), ACME) is None
    assert wall("gw.test", owned, ("gw.test",), BETA) == Wall("gw.test")
    assert wall("mx.gw.test", owned, ("mx.gw.test",), ACME) == Wall("mx.gw.test", gateways=True)


def test_an_envelope_sender_without_a_domain_is_of_the_gateways_own() -> None:
    """Postfix gives it that one."""
    walls = Walls(Claims(), ("gw.test", ""))
    refused = walls.envelope(credential(account_id=ACME), "root")
    assert refused is not None
    assert "Sender address <root> is of the gateway's own domain" in refused.text
    assert walls.envelope(credential(account_id=AGENCY), "root") is None
    assert Walls(Claims(), ("", "")).envelope(credential(account_id=ACME), "root") is None


def test_the_null_sender_passes_unasked() -> None:
    claims = Claims()
    assert Walls(claims, ("gw.test",)).envelope(credential(account_id=BETA), "") is None
    assert claims.names == []


@pytest.mark.parametrize("field_name", ["From", "Sender"])
def test_every_address_of_every_field_counts(field_name: str) -> None:
    walls = Walls(Claims())
    addresses = ["a@nobody.test", UNREADABLE, "b@beta.test", "boss@Sub.Example.TEST"]
    refused = walls.headers(credential(account_id=BETA), [("From", ["c@free.test"]), (field_name, addresses)])
    assert refused is not None
    assert str(refused) == (
        f"550 5.7.1 {field_name} header address <boss@Sub.Example.TEST> is of a domain that another account "
        "registered; credential gp1 may not use it"
    )
    assert walls.headers(credential(account_id=ACME), [(field_name, addresses)]) is None


def test_the_reply_does_not_say_whose_the_domain_is() -> None:
    refused = Walls(Claims()).envelope(credential(account_id=BETA), "a@example.test")
    assert refused is not None
    assert "acme" not in f"{refused} {refused.reason}"


def test_a_setting_wins_over_what_the_store_says() -> None:
    for stored in WallMode:
        assert Walls(Claims(mode=stored)).mode() is stored
        for mode in WallMode:
            assert Walls(Claims(mode=stored), mode=mode).mode() is mode


def test_a_name_of_a_hundred_labels_is_asked_about_once_and_has_so_many_names_above() -> None:
    claims = Claims()
    name = ".".join(["x"] * 100 + ["example", "test"])
    assert Walls(claims).wall(BETA, name) is not None
    assert claims.names == [name]
    assert len(covering(name)) == 102


@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_of_a_name_that_is_longer_than_any_the_end_counts(size: int) -> None:
    name = "x." * size + "example.test"
    names = covering(name)
    assert names[-2:] == ["example.test", "test"]
    assert len(names) <= NAME_MOST // 2 + 1
    assert max(map(len, names)) <= NAME_MOST
    assert covering("x" * size + ".example.test")[0] == "example.test"


def test_a_long_text_that_no_domain_can_be_is_not_normalised() -> None:
    assert plain_name("\u0344\u0345" * 100_000 + ".example.test") == ""


def test_look_ups_of_a_message_are_bounded() -> None:
    claims = Claims()
    authors = [f"a@d{number}.test" for number in range(100_000)]
    refused = Walls(claims).headers(credential(account_id=ACME), [("From", authors)])
    assert refused is not None
    assert f"more than {DOMAINS_MOST} domains" in refused.text
    assert len(claims.names) == DOMAINS_MOST


def test_a_domain_that_recurs_is_asked_about_once() -> None:
    claims = Claims()
    authors = [f"a{number}@Example.test" for number in range(1_000)]
    assert (
        Walls(claims).headers(credential(account_id=ACME), [("From", authors), ("Sender", authors)]) is None
    )
    assert claims.names == ["example.test"]


def test_no_name_longer_than_any_is_asked_about() -> None:
    """What is asked about is kept."""
    claims = Claims()
    assert Walls(claims).wall(BETA, "x." * 8_000 + "example.test") == Wall("example.test")
    assert Walls(claims).wall(BETA, "x" * 8_000) is None
    assert max(map(len, claims.names)) <= NAME_MOST
