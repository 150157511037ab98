"""Click domains that were changed: links in sent mail still lead there, and nobody else gets the name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gatepost_core.domain import Conflict, NotFound
from gatepost_core.settings import StoreSettings
from gatepost_core.store import accounts, domains, migrate
from gatepost_core.store.claims import click_hosts
from gatepost_core.store.sqlite.engine import open_engine

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    settings = StoreSettings(url=f"sqlite:///{tmp_path}/store/directory.db")
    migrate.upgrade(settings)
    engine = open_engine(migrate.url_of(settings, "directory"))
    with engine.begin() as opened:
        for account in ("acme", "globex"):
            accounts.add(opened, account, NOW)
        add(opened, "acme", "example.test")
        yield opened
    engine.dispose()


def add(connection: Connection, account: str, name: str, click: str = "") -> None:
    click = click or f"click.{name}"
    domains.add(
        connection,
        account=account,
        name=name,
        click_domain=click,
        bounce_domain=f"bounces.{name}",
        keys=[],
        now=NOW,
    )


def test_a_changed_click_domain_is_still_answered_for_its_account(connection: Connection) -> None:
    assert domains.set_click_domain(connection, "example.test", "go.example.test", NOW).click_domain == (
        "go.example.test"
    )
    known = None
    for host, retired in (("CLICK.example.test", NOW), ("go.example.test", None)):
        known = click_hosts.find(connection, host)
        assert known is not None
        assert (known.account, known.retired_at) == ("acme", retired)
    assert known is not None
    assert domains.get(connection, "example.test").click_domain == "go.example.test"
    assert [one.host for one in click_hosts.retired(connection, known.account_id)] == ["click.example.test"]


def test_a_retired_host_is_nobody_elses_until_it_is_given_up(connection: Connection) -> None:
    domains.remove(connection, "example.test", NOW)
    with pytest.raises(Conflict, match=r"was a click domain of account 'acme'.*domain forget-links click"):
        add(connection, "globex", "example.test")
    with pytest.raises(Conflict, match="was a click domain"):
        add(connection, "globex", "other.test", "click.example.test")
    with pytest.raises(Conflict, match="was a click domain"):
        add(connection, "globex", "click.example.test")
    add(connection, "globex", "other.test")
    with pytest.raises(Conflict, match="was a click domain"):
        domains.set_click_domain(connection, "other.test", "click.example.test", NOW)
    click_hosts.forget(connection, "click.example.test")
    add(connection, "globex", "example.test")
    known = click_hosts.find(connection, "click.example.test")
    assert known is not None
    assert (known.account, known.retired_at) == ("globex", None)


def test_its_own_account_takes_a_retired_host_again(connection: Connection) -> None:
    for host in ("go.example.test", "click.example.test"):
        domains.set_click_domain(connection, "example.test", host, NOW)
    for host, retired in (("click.example.test", None), ("go.example.test", NOW)):
        known = click_hosts.find(connection, host)
        assert known is not None
        assert known.retired_at == retired


def test_a_host_of_two_domains_stays_while_one_has_it(connection: Connection) -> None:
    add(connection, "acme", "example.org", "click.example.test")
    domains.remove(connection, "example.test", NOW)
    known = click_hosts.find(connection, "click.example.test")
    assert known is not None
    assert known.retired_at is None


def test_another_accounts_names_are_no_new_click_domain(connection: Connection) -> None:
    add(connection, "globex", "other.test")
    for host in ("click.example.test", "x.example.test", "click.other.test.example.test"):
        with pytest.raises(Conflict):
            domains.set_click_domain(connection, "other.test", host, NOW)
    assert domains.get(connection, "other.test").click_domain == "click.other.test"


def test_only_a_retired_host_is_given_up(connection: Connection) -> None:
    with pytest.raises(Conflict, match="is the click domain of a sender domain"):
        click_hosts.forget(connection, "click.example.test")
    with pytest.raises(NotFound, match="answers no links"):
        click_hosts.forget(connection, "nowhere.test")
