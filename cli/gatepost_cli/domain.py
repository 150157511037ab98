"""``gatepost domain``: sender domains with their DKIM keys and the DNS records to publish."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from gatepost_cli import domain_walls
from gatepost_cli.complete import account_names, domain_names
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, facts, note, stamp
from gatepost_cli.session import CliSession, confirmed, json_option, pass_session
from gatepost_cli.values import resolver_address, span
from gatepost_core.domain import DkimKey, SenderDomain
from gatepost_core.keys import dkim_keys
from gatepost_core.service.showing import dns_records as dns
from gatepost_core.service.views import domain_data
from gatepost_core.store import domains
from gatepost_core.store.claims import click_hosts

if TYPE_CHECKING:
    from gatepost_cli.dnscheck import Finding

FAULTS = 5
_RETIRED = (
    "{host} is retired: links in mail that was sent still lead there, so keep its DNS record; it is no other "
    "account's unless you give it up ('gatepost domain forget-links {host}')."
)


@click.group(cls=Group, help=NOUNS["domain"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("add")
@click.argument("name")
@click.option(
    "--account", required=True, metavar="ACCOUNT", shell_complete=account_names, help="The account to own it."
)
@click.option("--click-domain", metavar="HOST", help="Host of rewritten links; default: click.NAME.")
@click.option("--bounce-domain", metavar="HOST", help="Domain of bounces; default: bounces.NAME.")
@click.option(
    "--gateway-name",
    is_flag=True,
    help="Let the account have a name of the gateway's own (its host's, everybody's click domain).",
)
@json_option
@pass_session
def add(
    session: CliSession,
    name: str,
    account: str,
    click_domain: str | None,
    bounce_domain: str | None,
    gateway_name: bool,
) -> None:
    """Register a From domain: make its DKIM keys, show the DNS records to publish.

    It then belongs to that account, with all names below it: no other account's credentials may send from it.
    """
    host = domains.checked(name, "sender domain")
    click_domain, bounce_domain = click_domain or f"click.{host}", bounce_domain or f"bounces.{host}"
    if not gateway_name:
        domain_walls.check_own(session.settings, [host, click_domain, bounce_domain])
    keys = dkim_keys.new_keys(session.keyring, host, session.now)
    with session.changing() as work:
        domain = domains.add(
            work.connection,
            account=account,
            name=host,
            click_domain=click_domain,
            bounce_domain=bounce_domain,
            keys=keys,
            now=work.now,
        )
        work.note("domain.add", domain.name, account, None, domain_data(domain))
    _show(session, domain)
    if not session.as_json:
        click.echo("\nThe same as lines of a zone file:")
        click.echo(_zone(session, domain))


@command.command("list")
@click.option("--account", metavar="ACCOUNT", shell_complete=account_names, help="Only this account's.")
@json_option
@pass_session
def list_(session: CliSession, account: str | None) -> None:
    """Show all sender domains."""
    with session.directory() as connection:
        found = domains.list_all(connection, account)
    columns = ("domain", "account", "click domain", "bounce domain", "created", "granted to")
    rows = [
        (d.name, d.account, d.click_domain, d.bounce_domain, stamp(d.created_at) or "", _granted(d))
        for d in found
    ]
    shown = Table(columns, rows, drop=("created", "bounce domain", "click domain"))
    emit(session, [domain_data(domain) for domain in found], shown)


@command.command("show")
@click.argument("name", shell_complete=domain_names)
@click.option("--zone", is_flag=True, help="Print the records alone, as lines of a zone file.")
@json_option
@pass_session
def show(session: CliSession, name: str, zone: bool) -> None:
    """Show a sender domain and the DNS records to publish."""
    with session.directory() as connection:
        domain = domains.get(connection, name)
        retired = [one.host for one in click_hosts.retired(connection, domain.account_id)]
    _show(session, domain, retired, zone=zone)


@command.command("rotate")
@click.argument("name", shell_complete=domain_names)
@click.option(
    "--activate-in",
    metavar="TIME",
    default="48h",
    show_default=True,
    callback=span,
    help="When the new keys begin to sign: publish their records before.",
)
@click.option(
    "--keep",
    metavar="TIME",
    default="7d",
    show_default=True,
    callback=span,
    help="How long the old keys stay published after that, for mail that is still on its way.",
)
@json_option
@pass_session
def rotate(session: CliSession, name: str, activate_in: timedelta, keep: timedelta) -> None:
    """Make new DKIM keys, to be published now, that sign from a later time on.

    The old keys sign until then, and stay published until they retire: no message is left without a key.
    Keys that retired before are deleted.
    """
    now = session.now
    activates_at = now + activate_in
    with session.changing() as work:
        before = domains.get(work.connection, name)
        taken = [key.selector for key in before.keys]
        domain = domains.rotate(
            work.connection,
            name,
            keys=dkim_keys.new_keys(session.keyring, before.name, now, taken),
            now=now,
            activates_at=activates_at,
            retires_at=activates_at + keep,
        )
        work.note("domain.rotate", domain.name, domain.account, domain_data(before), domain_data(domain))
    _show(session, domain)
    note(session, f"Publish the new records before {stamp(activates_at)}; 'gatepost domain check' looks.")


@command.command("check")
@click.argument("name", shell_complete=domain_names)
@click.option(
    "--resolver",
    metavar="IP[:PORT]",
    callback=resolver_address,
    help="The DNS server to ask; default: this host's.",
)
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 60),
    default=5.0,
    show_default=True,
    help="How long to wait for an answer.",
)
@json_option
@pass_session
def check(session: CliSession, name: str, resolver: tuple[str, int] | None, timeout: float) -> int:
    """Ask the DNS whether a sender domain's records are in place.

    DKIM keys, SPF, DMARC, click domain, bounce domain: what is found, what is expected, what to do. Exit code
    5 when a record is missing or wrong.
    """
    with session.directory() as connection:
        domain = domains.get(connection, name)
    # dnspython is not quick to load, and only needed here.
    checks = importlib.import_module("gatepost_cli.dnscheck")
    lookup = importlib.import_module("gatepost_cli.dnslookup").Lookup(resolver, timeout)
    findings: list[Finding] = checks.check(domain, session.settings.postfix.hostname, lookup, session.now)
    faults = sum(finding.status not in ("ok", "note") for finding in findings)
    data = {"domain": domain.name, "faults": faults, "findings": [asdict(one) for one in findings]}
    columns = ("status", "name", "type", "what", "found", "expected", "to do")
    rows = [
        (one.status, one.name, one.type, one.what, "; ".join(one.found), one.expected, one.advice)
        for one in findings
    ]
    emit(session, data, Table(columns, rows, prose=("to do",)))
    return FAULTS if faults else 0


@command.command("remove")
@click.argument("name", shell_complete=domain_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def remove(session: CliSession, name: str, yes: bool) -> None:
    """Remove a sender domain and its DKIM keys for good.

    Asks first: the same keys cannot be made again, and new ones need new DNS records.
    """
    with session.directory() as connection:
        domain = domains.get(connection, name)
    if not yes:
        confirmed(session, f"Remove {domain.name} and its {len(domain.keys)} DKIM keys for good?")
    with session.changing() as work:
        domains.remove(work.connection, name, work.now)
        work.note("domain.remove", domain.name, domain.account, domain_data(domain))
    emit(
        session,
        {"removed": name},
        f"Sender domain {name} removed. {_RETIRED.format(host=domain.click_domain)}",
    )


@command.command("set")
@click.argument("name", shell_complete=domain_names)
@click.option("--click-domain", required=True, metavar="HOST", help="Host of rewritten links from now on.")
@json_option
@pass_session
def set_(session: CliSession, name: str, click_domain: str) -> None:
    """Change a domain's click domain.

    The old one is retired: links in mail that was sent still lead there, so its DNS record stays.
    """
    domain_walls.check_own(session.settings, [domains.checked(click_domain, "click domain")])
    with session.changing() as work:
        before = domains.get(work.connection, name)
        after = domains.set_click_domain(work.connection, name, click_domain, work.now)
        work.note("domain.set", after.name, after.account, domain_data(before), domain_data(after))
    text = f"Links of {after.name} lead to {after.click_domain} from now on."
    if before.click_domain != after.click_domain:
        text += f" {_RETIRED.format(host=before.click_domain)}"
    emit(session, domain_data(after), text)


@command.command("forget-links")
@click.argument("host")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def forget_links(session: CliSession, host: str, yes: bool) -> None:
    """Give up a retired click domain: links in sent mail lead nowhere, and any account may have the name."""
    if not yes:
        confirmed(session, f"Give up {host}? Links in mail that was sent will lead nowhere.")
    with session.changing() as work:
        known = click_hosts.forget(work.connection, host)
        work.note("domain.forget-links", known.host, None)
    emit(session, {"forgotten": known.host}, f"{known.host} answers no links any more.")


for _verb in (domain_walls.grant, domain_walls.revoke, domain_walls.walls):
    command.add_command(_verb)


def _show(
    session: CliSession, domain: SenderDomain, retired: Sequence[str] = (), *, zone: bool = False
) -> None:
    """Print a domain and its records; with ``zone``, nothing but their lines for a zone file.

    ``retired``: click domains that its account had.
    """
    hostname = session.settings.postfix.hostname
    states = dkim_keys.key_states(domain.keys, session.now)
    records = dns.records(domain, hostname, session.now)
    data = domain_data(domain) | {
        "keys": [_key(key, states[key.selector]) for key in domain.keys],
        "dns": [
            {"name": r.name, "type": r.type, "value": r.value, "zone": r.zone, "reason": r.reason}
            for r in records
        ],
        "retired_click_domains": list(retired),
        "note": dns.explanation(hostname),
    }
    if not session.as_json and not zone:
        emit(session, None, _facts(domain, states, retired))
        emit(session, None, "")
    if zone and not session.as_json:
        click.echo(_zone(session, domain))
    else:
        rows = [(r.name, r.type, r.data, r.reason) for r in records]
        emit(session, data, Table(("publish", "type", "value", "why"), rows, prose=("why",)))
    if not hostname:
        note(session, dns.explanation(hostname))


def _zone(session: CliSession, domain: SenderDomain) -> str:
    return "\n".join(r.zone for r in dns.records(domain, session.settings.postfix.hostname, session.now))


def _granted(domain: SenderDomain) -> str:
    return ", ".join(one.account for one in domain.grants)


def _facts(domain: SenderDomain, states: Mapping[str, dkim_keys.KeyState], retired: Sequence[str]) -> Table:
    return facts(
        [
            ("domain", domain.name),
            ("account", domain.account),
            ("granted to", _granted(domain) or "nobody"),
            ("click domain", domain.click_domain),
            *(("retired click domain of the account", host) for host in retired),
            ("bounce domain", domain.bounce_domain),
            *((f"DKIM key {key.selector}", _described(key, states[key.selector])) for key in domain.keys),
            ("created", stamp(domain.created_at) or ""),
        ]
    )


def _described(key: DkimKey, state: dkim_keys.KeyState) -> str:
    """Return a key's state in words."""
    times = {
        "pending": f", signs from {stamp(key.activates_at)}",
        "retiring": f", to be published until {stamp(key.retires_at)}",
        "retired": ", its DNS record can be removed",
    }
    return f"{key.algorithm}, {state}{times.get(state, '')}"


def _key(key: DkimKey, state: dkim_keys.KeyState) -> dict[str, str | None]:
    return {
        "selector": key.selector,
        "algorithm": key.algorithm,
        "state": str(state),
        "activates_at": stamp(key.activates_at or key.created_at),
        "retires_at": stamp(key.retires_at),
    }
