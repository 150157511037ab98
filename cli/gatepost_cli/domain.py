"""``gatepost domain``: sender domains with their DKIM keys and the DNS records to publish."""

from __future__ import annotations

from typing import Any

import click

from gatepost_cli import dns
from gatepost_cli.complete import account_names, domain_names
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, facts, note, stamp
from gatepost_cli.session import Session, json_option, pass_session
from gatepost_core import dkim_keys
from gatepost_core.model import SenderDomain
from gatepost_core.store import domains


@click.group(help=NOUNS["domain"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("add")
@click.argument("name")
@click.option(
    "--account", required=True, metavar="ACCOUNT", shell_complete=account_names, help="The account to own it."
)
@click.option("--click-domain", metavar="HOST", help="Host of rewritten links; default: click.NAME.")
@click.option("--bounce-domain", metavar="HOST", help="Domain of bounces; default: bounces.NAME.")
@json_option
@pass_session
def add(
    session: Session, name: str, account: str, click_domain: str | None, bounce_domain: str | None
) -> None:
    """Register a From domain: make its DKIM keys, show the DNS records to publish."""
    host = domains.checked(name, "sender domain")
    keys = dkim_keys.new_keys(session.keyring, host, session.now)
    with session.directory(write=True) as connection:
        domain = domains.add(
            connection,
            account=account,
            name=host,
            click_domain=click_domain or f"click.{host}",
            bounce_domain=bounce_domain or f"bounces.{host}",
            keys=keys,
            now=session.now,
        )
    _show(session, domain)


@command.command("list")
@click.option("--account", metavar="ACCOUNT", shell_complete=account_names, help="Only this account's.")
@json_option
@pass_session
def list_(session: Session, account: str | None) -> None:
    """Show all sender domains."""
    with session.directory() as connection:
        found = domains.everyone(connection, account)
    columns = ("domain", "account", "click domain", "bounce domain", "created")
    rows = [(d.name, d.account, d.click_domain, d.bounce_domain, stamp(d.created_at) or "") for d in found]
    emit(session, [_data(domain) for domain in found], Table(columns, rows))


@command.command("show")
@click.argument("name", shell_complete=domain_names)
@json_option
@pass_session
def show(session: Session, name: str) -> None:
    """Show a sender domain and the DNS records to publish."""
    with session.directory() as connection:
        domain = domains.get(connection, name)
    _show(session, domain)


@command.command("remove")
@click.argument("name", shell_complete=domain_names)
@json_option
@pass_session
def remove(session: Session, name: str) -> None:
    """Remove a sender domain and its keys for good."""
    with session.directory(write=True) as connection:
        domains.remove(connection, name)
    emit(session, {"removed": name}, f"Sender domain {name} removed.")


def _show(session: Session, domain: SenderDomain) -> None:
    hostname = session.settings.postfix.hostname
    records = dns.records(domain, hostname)
    data = _data(domain) | {
        "dns": [
            {"name": r.name, "type": r.type, "value": r.value, "zone": r.zone, "reason": r.reason}
            for r in records
        ],
        "note": dns.explanation(hostname),
    }
    if not session.as_json:
        emit(session, None, _facts(domain))
        emit(session, None, "")
    rows = [(r.name, r.type, r.data, r.reason) for r in records]
    emit(session, data, Table(("publish", "type", "value", "why"), rows))
    if not hostname:
        note(session, dns.explanation(hostname))


def _facts(domain: SenderDomain) -> Table:
    return facts(
        [
            ("domain", domain.name),
            ("account", domain.account),
            ("click domain", domain.click_domain),
            ("bounce domain", domain.bounce_domain),
            ("DKIM selectors", ", ".join(f"{key.selector} ({key.algorithm})" for key in domain.keys)),
            ("created", stamp(domain.created_at) or ""),
        ]
    )


def _data(domain: SenderDomain) -> dict[str, Any]:
    return {
        "name": domain.name,
        "account": domain.account,
        "click_domain": domain.click_domain,
        "bounce_domain": domain.bounce_domain,
        "selectors": {key.selector: key.algorithm for key in domain.keys},
        "created_at": stamp(domain.created_at),
    }
