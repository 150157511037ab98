"""``gatepost doctor``: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from gatepost_cli.checks import CHECKS, Context, Finding
from gatepost_cli.checks.base import fault
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, note
from gatepost_cli.session import Session, json_option, pass_session
from gatepost_cli.values import name_server, resolver_address
from gatepost_core.keyring import KeyringError
from gatepost_core.listen import ListenError
from gatepost_core.settings import Settings, SettingsError
from gatepost_core.store import StoreError, StoreUnavailable

_FAULTS_FOUND = 5
_NAMES = click.Choice(list(CHECKS))


@click.command("doctor", help=NOUNS["doctor"].help)
@click.option(
    "--postfix-config",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Postfix's configuration directory; default: its own, /etc/postfix.",
)
@click.option(
    "--only", type=_NAMES, multiple=True, metavar="CHECK", help="Run this check; may be given several times."
)
@click.option(
    "--skip",
    type=_NAMES,
    multiple=True,
    metavar="CHECK",
    help="Leave this check out; may be given several times. The setting doctor.skip does it for good.",
)
@click.option(
    "--resolver",
    metavar="IP[:PORT]",
    callback=resolver_address,
    help="The DNS server to ask; default: doctor.resolver, or else this host's.",
)
@click.option("--all", "everything", is_flag=True, help="Show what is good as well.")
@json_option
@pass_session
def command(
    session: Session,
    postfix_config: Path | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    resolver: tuple[str, int] | None,
    everything: bool,
) -> int:
    """Run the checks; return 5 when one found a fault."""
    context = Context(
        session.settings, postfix_config, session.now, resolver or _name_server(session.settings)
    )
    names = chosen(session.settings, only, skip)
    found = [(name, finding) for name in names for finding in run(name, context)]
    faults = [(name, finding) for name, finding in found if finding.status == "fault"]
    rows = [
        (finding.status, name, finding.looked_at, finding.found, finding.expected, finding.advice)
        for name, finding in found
        if everything or finding.status != "good"
    ]
    data = {
        "faults": len(faults),
        "first_fault": faults[0][1].data(faults[0][0]) if faults else None,
        "checks": names,
        "findings": [finding.data(name) for name, finding in found],
    }
    columns = ("status", "check", "looked at", "found", "expected", "what to do")
    emit(session, data, Table(columns, rows) if rows else "Nothing to mend.")
    note(session, f"{len(names)} checks, {len(found)} findings, {len(faults)} faults.")
    if faults:
        name, first = faults[0]
        note(session, f"The first hop that fails: {name}, {first.looked_at}: {first.found}.")
    return _FAULTS_FOUND if faults else 0


def chosen(settings: Settings, only: tuple[str, ...], skip: tuple[str, ...]) -> list[str]:
    """Return the checks to run, in their order; what --only names is run whatever the settings say.

    Raises SettingsError for a name in ``doctor.skip`` that is none.
    """
    unknown = [name for name in settings.doctor.skip if name not in CHECKS]
    if unknown:
        raise SettingsError(f"doctor.skip: no check {unknown[0]!r}; known are {', '.join(CHECKS)}")
    left_out = {*skip, *(() if only else settings.doctor.skip)}
    return [name for name in CHECKS if (not only or name in only) and name not in left_out]


def run(name: str, context: Context) -> Iterator[Finding]:
    """Run one check. What keeps it from being carried out is a fault of its own."""
    try:
        yield from CHECKS[name](context)
    except (OSError, StoreError, StoreUnavailable, KeyringError, ListenError, SettingsError) as error:
        yield fault(name, f"cannot be looked at: {error}", "to be looked at", "run as root")


def _name_server(settings: Settings) -> tuple[str, int] | None:
    if not settings.doctor.resolver:
        return None
    try:
        return name_server(settings.doctor.resolver)
    except ValueError as error:
        raise SettingsError(f"doctor.resolver: {error}") from error
