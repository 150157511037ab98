"""``gatepost suppression``: who is suppressed, why, and how somebody is entered and lifted by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gatepost_core.domain.suppressing import Reason, Suppression
from gatepost_core.settings import StoreSettings
from gatepost_core.store import accounts, suppressions
from gatepost_core.store.backend import Backend
from gatepost_core.store.opening import open_backend
from gatepost_core.store.suppressions import Put

from .command import Gatepost

BOB = "bob@example.org"


def add(gatepost: Gatepost, address: str, *words: str) -> None:
    result = gatepost("suppression", "add", address, "--account", "acme", *words)
    assert result.code == 0, result.err


def listed(gatepost: Gatepost, *words: str) -> list[str]:
    result = gatepost("suppression", "list", "--json", *words)
    assert result.code == 0, result.err
    return [one["address"] for one in result.data]


def backend(gatepost: Gatepost) -> Backend:
    return open_backend(StoreSettings(url=f"sqlite:///{gatepost.folder}/store/directory.db"))


def fill(gatepost: Gatepost, number: int, reason: Reason = Reason.BOUNCE) -> None:
    """Have suppressed r0, r1, … of acme, as their bounces do."""
    now = datetime.now(UTC)
    with backend(gatepost).directory(write=True) as connection:
        acme = accounts.get(connection, "acme").id
        entries = [
            Suppression(acme, f"r{one}@example.org", reason, now, event=f"e{one}", message=f"m{one}")
            for one in range(number)
        ]
        assert suppressions.put(connection, entries, now) == Put(number)


def test_an_address_that_is_entered_is_shown_with_reason_time_and_note(gatepost: Gatepost) -> None:
    add(gatepost, "Bob@Example.ORG", "--note", "asked by phone", "--expires", "90d")
    (shown,) = gatepost("suppression", "show", BOB, "--json").data
    assert shown["address"] == BOB
    assert (shown["account"], shown["scope"], shown["reason"], shown["state"]) == (
        "acme", "account", "manual", "in force",
    )  # fmt: skip
    assert (shown["detail"], shown["event"], shown["removed_at"]) == ("asked by phone", "", None)
    until = datetime.fromisoformat(shown["expires_at"])
    assert timedelta(days=89) < until - datetime.now(UTC) < timedelta(days=91)
    assert "all mail of the account" in gatepost("suppression", "show", BOB).out


def test_a_domain_and_what_is_below_it_are_shown_for_an_address_there(gatepost: Gatepost) -> None:
    add(gatepost, "Example.ORG")
    add(gatepost, "*.example.org")
    shown = gatepost("suppression", "show", "bob@sub.example.org", "--json").data
    assert [one["address"] for one in shown] == ["*.example.org"]
    assert [one["address"] for one in gatepost("suppression", "show", BOB, "--json").data] == ["example.org"]


def test_a_list_is_the_newest_first_and_goes_on_where_it_ended(gatepost: Gatepost) -> None:
    fill(gatepost, 7)
    first = gatepost("suppression", "list", "--json", "--limit", "3").data
    rest = listed(gatepost, "--after", first[-1]["id"])
    found = [one["address"] for one in first] + rest
    assert sorted(found) == sorted(f"r{number}@example.org" for number in range(7))
    assert (first[0]["event"][0], first[0]["message"][0], first[0]["reason"]) == ("e", "m", "bounce")


def test_a_list_can_be_of_one_account_reason_scope_or_recipient(gatepost: Gatepost) -> None:
    fill(gatepost, 2)
    login = gatepost.add_credential()["username"]
    add(gatepost, "example.net", "--credential", login)
    assert gatepost("account", "add", "beta").code == 0
    assert gatepost("suppression", "add", BOB, "--account", "beta").code == 0
    assert listed(gatepost, "--account", "beta") == [BOB]
    assert listed(gatepost, "--reason", "manual") == [BOB, "example.net"]
    assert listed(gatepost, "--scope", "credential") == ["example.net"]
    assert listed(gatepost, "--to", "anna@Example.net") == ["example.net"]
    assert listed(gatepost, "--scope", "account", "--reason", "bounce", "--to", "r1@example.org") == [
        "r1@example.org"
    ]
    assert listed(gatepost, "--until", "1h") == []


def test_one_that_is_lifted_is_kept_and_shown_as_such_only(gatepost: Gatepost) -> None:
    fill(gatepost, 2)
    lifted = gatepost("suppression", "remove", "R0@example.org", "--account", "acme", "--json").data
    assert [one["address"] for one in lifted["removed"]] == ["r0@example.org"]
    assert listed(gatepost) == ["r1@example.org"]
    assert sorted(listed(gatepost, "--removed")) == ["r0@example.org", "r1@example.org"]
    (shown,) = gatepost("suppression", "show", "r0@example.org", "--json").data
    assert (shown["state"], shown["reason"]) == ("removed", "bounce")
    again = gatepost("suppression", "remove", "r0@example.org", "--account", "acme")
    assert (again.code, "has not suppressed 'r0@example.org'" in again.err) == (3, True)
    add(gatepost, "r0@example.org")
    assert sorted(listed(gatepost)) == ["r0@example.org", "r1@example.org"]


def test_lifting_what_counts_for_one_credential_leaves_the_others(gatepost: Gatepost) -> None:
    first, second = (gatepost.add_credential()["username"] for _ in range(2))
    for words in (("--credential", first), ("--credential", second), ()):
        add(gatepost, BOB, *words)
    assert gatepost("suppression", "remove", BOB, "--account", "acme", "--credential", first).code == 0
    left = gatepost("suppression", "list", "--json").data
    assert {one["credential"] for one in left} == {second, ""}
    assert gatepost("suppression", "remove", BOB, "--account", "acme").code == 0
    assert listed(gatepost) == []


def test_what_counts_for_a_tag_is_entered_and_lifted_by_itself(gatepost: Gatepost) -> None:
    login = gatepost.add_credential()["username"]
    for words in (("--credential", login, "--tag", "news"), ("--credential", login, "--tag", "march")):
        add(gatepost, BOB, *words)
    assert gatepost("suppression", "remove", BOB, "--account", "acme", "--tag", "march").code == 0
    (left,) = gatepost("suppression", "list", "--scope", "tag", "--json").data
    assert (left["credential"], left["tag"], left["scope"]) == (login, "news", "tag")


def test_an_account_can_neither_use_nor_lift_what_is_another_ones(gatepost: Gatepost) -> None:
    login = gatepost.add_credential()["username"]
    assert gatepost("account", "add", "beta").code == 0
    refused = gatepost("suppression", "add", BOB, "--account", "beta", "--credential", login)
    assert (refused.code, "belongs to another account than beta" in refused.err) == (2, True), refused.err
    add(gatepost, BOB)
    assert gatepost("suppression", "remove", BOB, "--account", "beta").code == 3
    assert gatepost("suppression", "show", BOB, "--account", "beta").code == 3
    assert listed(gatepost) == [BOB]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "bob", "--account", "acme"), "is no address and no domain; expected something like"),
        (("add", BOB), "Missing option '--account'"),
        (("add", BOB, "--account", "acme", "--note", "x" * 301), "at most 300 characters"),
        (("add", BOB, "--account", "acme", "--expires", "2020-01-01"), "lies in the past"),
        (("add", BOB, "--account", "acme", "--tag", "news"), "name it with --credential"),
        (("list", "--reason", "spam"), "'bounce', 'complaint', 'unsubscribe', 'manual'"),
    ],
)
def test_wrong_words_are_told_what_was_expected(
    gatepost: Gatepost, words: tuple[str, ...], said: str
) -> None:
    refused = gatepost("suppression", *words)
    assert (refused.code, said in " ".join(refused.err.split())) == (2, True), refused.err


@pytest.mark.parametrize("words", [("show", BOB), ("list", "--account", "gone")])
def test_what_is_not_there_is_code_3(gatepost: Gatepost, words: tuple[str, ...]) -> None:
    assert gatepost("suppression", *words).code == 3
