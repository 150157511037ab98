"""``gatepost webhook``: what is made, changed, shown and refused. What is sent: tests/events/webhooks."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from gatepost_core.domain import ids
from gatepost_core.store.webhooks import endpoints
from tests.core.ingest.world import World, accepted, numbered

from .command import Gatepost
from .sent import world

URL = "https://example.com/hook"


def add(gatepost: Gatepost, *words: str, account: str = "acme") -> dict[str, str]:
    made = gatepost("webhook", "add", URL, "--account", account, "--json", *words)
    assert made.code == 0, made.err
    told: dict[str, str] = made.data
    return told


@pytest.fixture
def node(gatepost: Gatepost) -> Iterator[World]:
    node = world(gatepost)
    yield node
    node.restart_writers()


def test_its_secret_is_shown_once_and_kept_sealed(gatepost: Gatepost) -> None:
    made = add(gatepost, "--type", "bounced", "--type", "accepted", "--label", "our shop")
    assert re.fullmatch(r"wh_[a-z2-7]{12}", made["id"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    (listed,) = gatepost("webhook", "list", "--json").data
    shown = gatepost("webhook", "show", made["id"], "--json").data
    assert "secret" not in listed.keys() | shown.keys()
    assert listed["types"] == ["accepted", "bounced"]
    assert (listed["url"], listed["label"], listed["state"]) == (URL, "our shop", "active")
    database = gatepost.folder / "store" / "directory.db"
    with closing(sqlite3.connect(database)) as connection:
        ((sealed,),) = connection.execute("SELECT sealed FROM webhook_secrets").fetchall()
    assert made["secret"].encode() not in database.read_bytes() + sealed
    assert sealed[:1] == b"a"  # the key that opens it


def test_a_person_sees_how_each_fares_and_is_told_to_keep_the_secret(gatepost: Gatepost) -> None:
    made = gatepost("webhook", "add", URL, "--account", "acme")
    assert "whsec_" in made.out
    assert "not shown again" in made.err
    head, row = gatepost("webhook", "list").out.splitlines()
    assert head.split("\t") == ["webhook", "account", "URL", "types", "label", "waiting", "state"]
    assert row.split("\t")[1:] == ["acme", URL, "all", "", "0", "active, nothing sent yet"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("add", "http://example.com/", "--account", "acme"), 2, "unencrypted"),
        (("add", "https://127.0.0.1/", "--account", "acme"), 2, "this host itself"),
        (("add", URL, "--account", "nobody"), 3, "no account 'nobody'"),
        (("add", URL, "--account", "acme", "--type", "sent"), 2, "sent"),
        (("add", URL, "--account", "acme", "--label", "a\x07"), 2, "cannot be used"),
        (("add", URL), 2, "--account"),
        (("show", "wh_nobody"), 3, "no webhook 'wh_nobody'"),
        (("log", "wh_nobody"), 3, "no webhook"),
        (("test", "wh_nobody"), 3, "no webhook"),
        (("rotate", "wh_nobody"), 3, "no webhook"),
        (("remove", "wh_nobody", "--yes"), 3, "no webhook"),
        (("replay", "wh_nobody", "--given-up"), 3, "no webhook"),
        (("replay", "wh_nobody"), 2, "give one of"),
        (("replay", "wh_nobody", "--given-up", "--since", "1h"), 2, "give one of"),
        (("replay", "wh_nobody", "--given-up", "--until", "1h"), 2, "go with --since"),
        (("log", "wh_nobody", "--given-up", "--event", "x"), 2, "not both"),
        (("set", "wh_nobody"), 2, "nothing to change"),
        (("set", "wh_nobody", "--type", "bounced", "--all-types"), 2, "not both"),
    ],
)
def test_what_cannot_be_is_refused_with_what_was_expected(
    gatepost: Gatepost, words: tuple[str, ...], code: int, why: str
) -> None:
    result = gatepost("webhook", *words, "--json")
    assert (result.code, why in result.error) == (code, True), result.err


def test_what_is_set_is_changed_and_nothing_else(gatepost: Gatepost) -> None:
    made = add(gatepost, "--type", "bounced", "--label", "old")
    number = made["id"]

    def after(*words: str) -> tuple[object, ...]:
        told = gatepost("webhook", "set", number, "--json", *words).data
        return tuple(told[name] for name in ("url", "types", "label", "state", "allow_private"))

    assert after("--label", "new") == (URL, ["bounced"], "new", "active", False)
    assert after("--all-types") == (URL, [], "new", "active", False)
    assert after("--disable") == (URL, [], "new", "off", False)
    refused = gatepost("webhook", "set", number, "--url", "http://10.0.0.1/", "--json")
    assert refused.code == 2
    inside: tuple[object, ...] = ("http://10.0.0.1/", [], "new", "off", True)
    assert after("--url", "http://10.0.0.1/", "--allow-private") == inside
    assert gatepost("webhook", "set", number, "--public-only", "--json").code == 2
    assert after("--url", URL, "--public-only", "--enable") == (URL, [], "new", "active", False)


def test_one_that_is_off_is_neither_tested_nor_sent_anything_again(gatepost: Gatepost) -> None:
    number = add(gatepost)["id"]
    gatepost("webhook", "set", number, "--disable")
    assert gatepost("webhook", "show", number, "--json").data["off_reason"] == "by hand"
    for words in (("test", number), ("replay", number, "--given-up")):
        result = gatepost("webhook", *words, "--json")
        assert (result.code, "--enable" in result.error) == (2, True)


def test_a_secret_that_is_changed_twice_leaves_two(gatepost: Gatepost) -> None:
    made = add(gatepost)
    seen = {made["secret"]}
    for _ in range(3):
        changed = gatepost("webhook", "rotate", made["id"], "--json").data
        seen.add(changed["secret"])
        assert [one["expires_at"] is None for one in changed["secrets"]] == [False, True]
    assert len(seen) == 4


def test_an_account_with_a_webhook_is_not_removed_and_it_goes_with_all_that_waits(
    gatepost: Gatepost, node: World
) -> None:
    number = add(gatepost)["id"]
    refused = gatepost("account", "remove", "acme", "--json")
    assert (refused.code, "webhooks" in refused.error) == (1, True)
    record = numbered(1, account_id=1)
    node.write(accepted(record))
    node.take()
    told = gatepost("event", "list", "--json").data[0]
    assert gatepost("webhook", "replay", number, "--event", told["id"], "--json").data["events"] == 1
    assert gatepost("webhook", "show", number, "--json").data["waiting"] == 1
    assert gatepost("webhook", "remove", number, "--json").code == 2  # nobody can be asked
    assert gatepost("webhook", "remove", number, "--yes", "--json").data == {"removed": number}
    with closing(sqlite3.connect(node.journal)) as connection:
        assert connection.execute("SELECT count(*) FROM webhook_outbox").fetchone() == (0,)
    assert gatepost("account", "remove", "acme").code == 0


def test_no_account_is_sent_another_s_events_by_whatever_name_it_has(gatepost: Gatepost, node: World) -> None:
    gatepost("account", "add", "beta")
    number = add(gatepost, account="beta")["id"]
    node.write(accepted(numbered(1, account_id=1)))
    node.take()
    (told,) = gatepost("event", "list", "--json").data
    refused = gatepost("webhook", "replay", number, "--event", told["id"], "--json")
    assert (refused.code, "account 'beta' has no event" in refused.error) == (3, True)
    assert gatepost("webhook", "replay", number, "--since", "2000-01-01", "--json").data["events"] == 0


def test_what_is_sent_again_is_the_oldest_first_and_goes_on_where_it_ended(
    gatepost: Gatepost, node: World
) -> None:
    number = add(gatepost)["id"]
    node.write(*(accepted(numbered(one, account_id=1)) for one in range(5)))
    node.take()
    first = gatepost("webhook", "replay", number, "--since", "2000-01-01", "--limit", "3", "--json").data
    assert first["events"] == 3
    assert len(first["after"]) == ids.LENGTH
    words = ("--since", "2000-01-01", "--after", first["after"], "--json")
    assert gatepost("webhook", "replay", number, *words).data == {"webhook": number, "events": 2, "after": ""}
    assert gatepost("webhook", "show", number, "--json").data["waiting"] == 5
    # What waits already is not put there twice.
    assert gatepost("webhook", "replay", number, "--since", "2000-01-01", "--json").data["events"] == 5
    assert gatepost("webhook", "show", number, "--json").data["waiting"] == 5


def test_an_account_has_fifty_at_the_most(gatepost: Gatepost) -> None:
    for _ in range(endpoints.ENDPOINTS_MOST):
        add(gatepost)
    refused = gatepost("webhook", "add", URL, "--account", "acme", "--json")
    assert (refused.code, "the most" in refused.error) == (1, True)
    assert len(gatepost("webhook", "list", "--account", "acme", "--json").data) == endpoints.ENDPOINTS_MOST


def test_how_one_fares_is_said_in_words(gatepost: Gatepost) -> None:
    made = add(gatepost)
    with closing(sqlite3.connect(gatepost.folder / "store" / "journal.db")) as connection:
        connection.execute(
            "INSERT INTO webhook_endpoints (endpoint, since, failures, failing_since, last_at, last_answer)"
            " VALUES (?, ?, 2, ?, ?, '500 Internal Server Error')",
            (made["id"], *["2026-11-28 12:00:00.000000"] * 3),
        )
        connection.commit()
    row = gatepost("webhook", "list").out.splitlines()[1]
    assert row.endswith("failing since 2026-11-28T12:00:00Z: 500 Internal Server Error")
    (told,) = gatepost("webhook", "list", "--json").data
    assert (told["failures"], told["failing_since"]) == (2, "2026-11-28T12:00:00Z")
