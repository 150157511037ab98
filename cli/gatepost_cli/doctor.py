"""``gatepost doctor``: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from gatepost_cli.checks import CHECKS, Check, Context, Finding
from gatepost_cli.checks.base import fault
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, note
from gatepost_cli.session import Session, json_option, pass_session
from gatepost_core.keyring import KeyringError
from gatepost_core.listen import ListenError
from gatepost_core.store import StoreUnavailable

_FAULTS_FOUND = 5


@click.command("doctor", help=NOUNS["doctor"].help)
@click.option(
    "--postfix-config",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Postfix's configuration directory; default: its own, /etc/postfix.",
)
@click.option("--all", "everything", is_flag=True, help="Show what is good as well.")
@json_option
@pass_session
def command(session: Session, postfix_config: Path | None, everything: bool) -> int:
    """Run every check; return 5 when one found a fault."""
    context = Context(session.settings, postfix_config, session.now)
    found = [(name(check), finding) for check in CHECKS for finding in run(check, context)]
    faults = sum(finding.status == "fault" for _, finding in found)
    shown = [(check, finding) for check, finding in found if everything or finding.status != "good"]
    rows = [
        (finding.status, check, finding.looked_at, finding.found, finding.expected, finding.advice)
        for check, finding in shown
    ]
    data = {"faults": faults, "findings": [finding.data(check) for check, finding in found]}
    columns = ("status", "check", "looked at", "found", "expected", "what to do")
    emit(session, data, Table(columns, rows) if rows else "Nothing to mend.")
    note(session, f"{len(CHECKS)} checks, {len(found)} findings, {faults} faults.")
    return _FAULTS_FOUND if faults else 0


def run(check: Check, context: Context) -> Iterator[Finding]:
    """Run one check. What keeps it from being carried out is a fault of its own."""
    try:
        yield from check(context)
    except (OSError, StoreUnavailable, KeyringError, ListenError) as error:
        yield fault(name(check), f"cannot be looked at: {error}", "to be looked at", "run as root")


def name(check: Check) -> str:
    """Return a check's name, as it is shown: that of its function, with spaces."""
    return check.__name__.replace("_", " ")
