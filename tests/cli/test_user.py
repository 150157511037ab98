"""``gatepost user``: who may sign in to the dashboard."""

from __future__ import annotations

import pytest

from .command import Gatepost


@pytest.fixture
def place(gatepost: Gatepost) -> Gatepost:
    gatepost("account", "add", "shop")
    return gatepost


def test_a_user_is_made_shown_changed_and_removed(place: Gatepost) -> None:
    made = place("user", "add", "Alice@Example.com", "--role", "shop=editor", "--json").data
    assert made["name"] == "alice@example.com"
    assert "/welcome/" in made["link"]
    assert place("user", "list", "--json").data == [{k: v for k, v in made.items() if k != "link"}]
    shown = place("user", "set", "alice@example.com", "--role", "shop=owner", "--disable", "--json").data
    assert (shown["roles"], shown["enabled"]) == ({"shop": "owner"}, False)
    again = place("user", "set", "alice@example.com", "--link", "--json").data
    assert again["link"] != made["link"]
    assert place("user", "sessions", "alice@example.com", "--json").data == []
    place("user", "remove", "alice@example.com", "--yes")
    assert place("user", "list", "--json").data == []
    assert place("user", "show", "alice@example.com").code == 3


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("add", "bob"), 2, "give --role or --operator"),
        (("add", "bob", "--operator", "--role", "shop=owner"), 2, "give one of"),
        (("add", "bob", "--role", "shop=king"), 2, "expected ACCOUNT=ROLE"),
        (("add", "bob", "--role", "shop=none"), 2, "no role that could be taken away"),
        (("add", "bob", "--role", "other=owner"), 3, "no account 'other'"),
        (("add", "b ob", "--operator"), 2, "cannot be used"),
        (("set", "bob"), 2, "nothing to change"),
        (("set", "bob", "--disable"), 3, "no user 'bob'"),
    ],
)
def test_what_cannot_be_is_said_with_what_can(
    place: Gatepost, words: tuple[str, ...], status: int, told: str
) -> None:
    done = place("user", *words, "--json")
    assert done.code == status
    assert told in done.error
