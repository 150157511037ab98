"""Which names may be registered beside those of other accounts, on values alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatepost_core.domain import Grant, SenderDomain
from gatepost_core.domain.walls.registering import Registry, public_suffix

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNTS = {"acme": 1, "beta": 2}


def registration(account: str, name: str, click: str = "", bounce: str = "", to: str = "") -> SenderDomain:
    grants = (Grant(ACCOUNTS[to], to),) if to else ()
    click, bounce = click or f"click.{name}", bounce or f"bounces.{name}"
    return SenderDomain(1, ACCOUNTS[account], account, name, click, bounce, NOW, grants=grants)


ACME = registration("acme", "acme.test", "go.acme.example", "b.acme.test")


@pytest.mark.parametrize(
    ("new", "clash"),
    [
        (registration("beta", "beta.test"), ""),
        (registration("acme", "go.acme.example"), ""),
        (registration("acme", "second.test", "go.acme.example", "b.acme.test"), ""),
        # A sender domain above or below another account's: the longest registration wins.
        (registration("beta", "news.acme.test"), ""),
        (registration("beta", "beta.test", "acme.test"), "click domain acme.test lies in acme.test"),
        (registration("beta", "beta.test", "x.acme.test"), "click domain x.acme.test lies in acme.test"),
        (
            registration("beta", "beta.test", "", "bounce.acme.test"),
            "bounce domain bounce.acme.test lies in acme.test",
        ),
        (
            registration("beta", "beta.test", "go.acme.example"),
            "click domain go.acme.example is the click domain go.acme.example of acme.test",
        ),
        (
            registration("beta", "beta.test", "x.go.acme.example"),
            "click domain x.go.acme.example lies below the click domain",
        ),
        (
            registration("beta", "beta.test", "acme.example"),
            "click domain acme.example covers the click domain go.acme.example",
        ),
        (registration("beta", "b.acme.test"), "sender domain b.acme.test is the bounce domain b.acme.test"),
        (registration("beta", "x.b.acme.test"), "sender domain x.b.acme.test lies below the bounce domain"),
        (
            registration("beta", "acme.example"),
            "covers the click domain go.acme.example of acme.test, which account acme registered",
        ),
    ],
)
def test_another_accounts_click_and_bounce_domains_cannot_be_taken(new: SenderDomain, clash: str) -> None:
    found = Registry([ACME]).clashes(new)
    assert bool(found) == bool(clash)
    assert not clash or any(clash in one for one in found), found


def test_a_domain_above_another_accounts_takes_nothing_that_lies_in_that_one() -> None:
    below = registration("beta", "news.acme.test")
    above = registration("acme", "acme.test")
    assert Registry([below]).clashes(above) == []
    assert Registry([above]).clashes(below) == []
    astray = registration("beta", "beta.test", "go.acme.test")
    [clash] = Registry([astray]).clashes(above)
    assert clash.startswith("sender domain acme.test covers the click domain go.acme.test of beta.test")


def test_a_grant_lifts_what_stands_between_two_accounts() -> None:
    shared = registration("acme", "acme.test", to="beta")
    guest = registration("beta", "beta.test", "go.acme.test")
    assert Registry([shared]).clashes(guest) == []
    assert Registry([shared, guest]).clashes(shared) == []


def test_what_clashes_in_an_old_store_is_named_on_both_sides() -> None:
    one = registration("acme", "acme.test", "click.gw.example")
    two = registration("beta", "beta.test", "click.gw.example")
    registry = Registry([one, two])
    assert [len(registry.clashes(domain)) for domain in (one, two)] == [1, 1]


@pytest.mark.parametrize(
    "name", ["com", "co.uk", "github.io", "xn--55qx5d.cn", "kobe.jp", "foo.ck", "myshopify.com", "test"]
)
def test_a_name_under_which_different_people_register_is_a_public_suffix(name: str) -> None:
    assert public_suffix(name)


@pytest.mark.parametrize("name", ["example.com", "example.co.uk", "me.github.io", "www.ck", "corp.internal"])
def test_a_name_that_somebody_owns_is_none(name: str) -> None:
    assert not public_suffix(name)
