"""``gatepost doctor``: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from gatepost_cli.checks import CHECKS, Context, Finding
from gatepost_cli.checks.base import UnreadableError, fault
from gatepost_cli.checks.base import note as finding_note
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import clean, emit, note
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_cli.table import wrapped
from gatepost_cli.values import name_server, resolver_address
from gatepost_core.keys import KeyringError
from gatepost_core.serving.listen import ListenError
from gatepost_core.settings import Settings, SettingsError
from gatepost_core.store import StoreError, StoreUnavailable

_FAULTS_FOUND = 5
_AS_ROOT, _MEND = "run as root", "mend what it names, then run it again"
_NO_POSTFIX = (
    "install Postfix, or name the directory of its main.cf with --postfix-config or postfix.config_directory"
)
_NAMES = click.Choice(list(CHECKS))


@click.command("doctor", help=NOUNS["doctor"].help)
@click.option(
    "--postfix-config",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="Postfix's configuration directory; default: postfix.config_directory.",
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
    session: CliSession,
    postfix_config: Path | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    resolver: tuple[str, int] | None,
    everything: bool,
) -> int:
    """Run the checks; return 5 when one found a fault."""
    settings = session.settings
    directory = postfix_config or settings.postfix.config_directory
    context = Context(settings, directory, session.now, resolver or _name_server(settings))
    names = chosen(settings, only, skip)
    found = list(run(names, context))
    faults = [(name, finding) for name, finding in found if finding.status == "fault"]
    told = [(name, finding) for name, finding in found if everything or finding.status != "good"]
    data = {
        "faults": len(faults),
        "first_fault": faults[0][1].data(faults[0][0]) if faults else None,
        "checks": names,
        "findings": [finding.data(name) for name, finding in found],
    }
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    emit(session, data, report(told, width) if told else "Nothing to mend.")
    note(session, f"{len(names)} checks, {len(found)} findings, {len(faults)} faults.")
    if faults:
        name, first = faults[0]
        note(session, f"The first hop that fails: {name}, {first.looked_at}: {first.found}.")
    return _FAULTS_FOUND if faults else 0


def report(told: Sequence[tuple[str, Finding]], width: int) -> str:
    """Return findings as text: a heading a check, and what was looked at, found, expected, to be done.

    Lines are wrapped between words at ``width``; 0: never.
    """
    lines: list[str] = []
    heading = ""
    for name, finding in told:
        if name != heading:
            lines += [*([""] if lines else []), name]
            heading = name
        said = [f"  {finding.status:<5}  {clean(finding.looked_at)}: {clean(finding.found)}"]
        said += [f"         expected  {clean(finding.expected)}"] if finding.expected else []
        said += [f"         to do     {clean(finding.advice)}"] if finding.advice else []
        for line, indent in zip(said, (9, 19, 19), strict=False):
            lines += wrapped(line, width, indent) if width else [line]
    return "\n".join(lines)


def chosen(settings: Settings, only: tuple[str, ...], skip: tuple[str, ...]) -> list[str]:
    """Return the checks to run, in their order; what --only names is run whatever the settings say.

    Raises SettingsError for a name in ``doctor.skip`` that is none.
    """
    unknown = [name for name in settings.doctor.skip if name not in CHECKS]
    if unknown:
        raise SettingsError(f"doctor.skip: no check {unknown[0]!r}; known are {', '.join(CHECKS)}")
    left_out = {*skip, *(() if only else settings.doctor.skip)}
    return [name for name in CHECKS if (not only or name in only) and name not in left_out]


def run(names: Sequence[str], context: Context) -> Iterator[tuple[str, Finding]]:
    """Run checks. What keeps one from being carried out is a fault of its own.

    Where Postfix's configuration cannot be read, the first check that asks it says so, once for all.
    """
    unreadable = ""
    for name in names:
        try:
            for finding in CHECKS[name](context):
                yield name, finding
        except UnreadableError as error:
            where = f"{context.postfix_directory}/main.cf"
            if unreadable:
                told = f"mend what the check {unreadable} finds first"
                yield name, finding_note(where, "not looked at", "Postfix's settings", told)
            else:
                yield name, fault(where, f"cannot be read: {error}", "Postfix's settings", _NO_POSTFIX)
            unreadable = unreadable or name
        except (OSError, StoreError, StoreUnavailable, KeyringError, ListenError, SettingsError) as error:
            advice = _AS_ROOT if os.geteuid() else _MEND
            yield name, fault(name, f"cannot be looked at: {error}", "to be looked at", advice)


def _name_server(settings: Settings) -> tuple[str, int] | None:
    try:
        return name_server(settings.doctor.resolver) if settings.doctor.resolver else None
    except ValueError as error:
        raise SettingsError(f"doctor.resolver: {error}") from error
