"""``gatepost doctor --only walls``: what walls would refuse, before they do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatepost_core.settings import load
from gatepost_core.store.schema import sender_domains
from gatepost_core.store.sqlite.engine import open_engine
from tests.core.ingest.world import RECORD
from tests.core.journals import keep

from .command import Gatepost


@pytest.fixture
def old(gatepost: Gatepost) -> Gatepost:
    """A store of an earlier release: acme and beta each with a domain, walls only report."""
    gatepost("account", "add", "beta")
    gatepost("domain", "add", "acme.test", "--account", "acme")
    gatepost("domain", "add", "beta.test", "--account", "beta")
    gatepost("domain", "walls", "report")
    return gatepost


def findings(gatepost: Gatepost, *words: str) -> list[dict[str, str]]:
    result = gatepost(*words, "doctor", "--only", "walls", "--json")
    assert result.code == 0  # all of it is notes
    found: list[dict[str, str]] = result.data["findings"]
    return found


def told(gatepost: Gatepost, about: str) -> list[str]:
    return [one["found"] for one in findings(gatepost) if one["looked_at"].startswith(about)]


def sent(gatepost: Gatepost, username: str, *records: dict[str, Any]) -> None:
    own = {"created_at": datetime.now(UTC), "credential_id": 1, "username": username}
    kept = [
        replace(RECORD, **{"id": f"{n:021}", "sender": "", "header_from": "", **own, **one})
        for n, one in enumerate(records)
    ]
    keep(load(gatepost.config, environ={}).store.journal, kept)


def test_a_new_store_has_nothing_to_tell(gatepost: Gatepost) -> None:
    [found] = findings(gatepost)
    assert (found["status"], found["found"]) == ("good", "enforced")


def test_that_walls_only_report_is_told_with_the_way_on(old: Gatepost) -> None:
    [found] = findings(old)
    assert found["status"] == "note"
    assert "gatepost domain walls enforce" in found["advice"]
    assert findings(old, "--set", "accounts.walls=enforce")[0]["found"] == "enforced"


def test_who_sent_as_whom_is_told_with_how_often(old: Gatepost) -> None:
    old.add_credential("--label", "shop")
    [credential] = old("credential", "list", "--json").data
    yesterday = datetime.now(UTC) - timedelta(days=1)
    sent(
        old,
        credential["username"],
        {"sender": "a@sub.beta.test", "header_from": "x@acme.test"},
        {"sender": "a@acme.test", "header_from": "x@acme.test, y@Beta.test", "created_at": yesterday},
        {"sender": "a@acme.test", "skipped": {"walls": "would be refused: beta.test is another account's"}},
        {"sender": "a@nobody.test", "header_from": "b@acme.test"},
        {"sender": "a@beta.test", "created_at": yesterday - timedelta(days=30)},
        {"sender": "a@beta.test", "credential_id": 99},
        {"sender": "a@beta.test", "username": "another that had its id before"},
    )
    found = findings(old)[1]
    assert found["looked_at"] == f"credential {credential['username']} of account acme"
    assert found["found"].startswith("sent 3 messages as beta.test of account beta since ")
    assert "'gatepost domain grant beta.test --to acme'" in found["advice"]
    assert len(findings(old)) == 2
    old("domain", "grant", "beta.test", "--to", "acme")
    assert len(findings(old)) == 1


@pytest.mark.parametrize("pattern", ["boss@beta.test", "news.beta.test", "*.beta.test", "bounces.beta.test"])
def test_a_credential_whose_sender_rules_name_anothers_domain_is_told(old: Gatepost, pattern: str) -> None:
    made = old.add_credential("--sender", "acme.test", "--sender", pattern)
    [found] = told(old, f"credential {made['username']}")
    assert found.startswith(f"its sender rule {pattern} names ")
    assert found.endswith("beta.test of account beta")
    old("domain", "walls", "enforce")
    assert told(old, f"credential {made['username']}") == [found]
    below = old.add_credential()
    old("account", "set", "acme", "--sender", pattern)  # for those without senders of their own
    assert told(old, f"credential {below['username']}") == [found]


def test_registrations_that_clash_are_named(old: Gatepost) -> None:
    engine = open_engine(f"sqlite:///{old.folder}/store/directory.db")
    with engine.begin() as connection:  # as an earlier release let it be
        connection.execute(sender_domains.update().values(click_domain="click.gw.test"))
        rows = {"account_id": 1, "bounce_domain": "b.co.uk", "click_domain": "c.co.uk"}
        connection.execute(sender_domains.insert().values(name="co.uk", created_at=datetime.now(UTC), **rows))
    engine.dispose()
    assert told(old, "sender domain acme.test") == [
        "click domain click.gw.test is the click domain click.gw.test of beta.test, "
        "which account beta registered"
    ]
    assert len(told(old, "sender domain beta.test")) == 1
    assert told(old, "sender domain co.uk") == [
        "co.uk is a public suffix: it stands against all who have a name below"
    ]
