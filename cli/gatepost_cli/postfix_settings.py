"""``gatepost postfix-settings``: the main.cf and master.cf parameters to set, and why.

The parameters are ``gatepost_core.postfix``'s; here they are written out, as text with the reasons as
comments, as postconf(1) commands, or as JSON. ``postfix_here`` says what speaks against them on this host
(as text they are printed all the same, with warnings), ``postfix_apply`` sets them.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit, note
from gatepost_cli.postfix_apply import apply, held_against, undo
from gatepost_cli.postfix_here import KEPT, carrier, concerns
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.postfix import Parameter, Service, main_cf, master_cf
from gatepost_core.store import domains

_WIDTH = 100


@click.command("postfix-settings", help=NOUNS["postfix-settings"].help)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "postconf", "json"]),
    default="text",
    show_default=True,
    help="Text as in the files; postconf commands, ready to run; or JSON.",
)
@click.option(
    "--apply",
    "action",
    flag_value="apply",
    help="Set it: shows what changes in main.cf and master.cf, asks, keeps copies, holds it to 'postfix "
    "check', reloads.",
)
@click.option("--undo", "action", flag_value="undo", help="Put back what was there before --apply.")
@click.option("--yes", is_flag=True, help="With --apply or --undo: do not ask.")
@click.option(
    "--force", is_flag=True, help="Go on although this Postfix has other work, or something is missing."
)
@click.option(
    "--keep",
    "kept",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=KEPT,
    show_default=True,
    help="Where --apply keeps copies and what --undo needs.",
)
@json_option
@pass_session
def command(session: CliSession, form: str, action: str | None, yes: bool, force: bool, kept: Path) -> None:
    """Print what Postfix has to be told, or tell it."""
    if action == "undo":
        undo(session, kept, yes=yes)
        return
    session.as_json = session.as_json or form == "json"
    main = main_cf(session.settings, _bounce_domains(session))
    master = master_cf(session.settings)
    if action == "apply":
        apply(session, kept, main, master, force=force, yes=yes)
        return
    if not session.as_json:
        found = concerns(session.settings, carrier(session.settings, kept), main, master)
        held_against(session, found, force=force or form == "text")
    text = "\n".join(as_commands(main, master) if form == "postconf" else as_text(main, master))
    emit(session, _data(main, master), text)


def as_text(main: list[Parameter], master: list[Service]) -> Iterator[str]:
    """Yield the lines of both files, reasons as comments above each parameter and service."""
    yield "# ---- main.cf ----"
    for parameter in main:
        yield from _comment(parameter.reason)
        yield parameter.line
    yield ""
    yield "# ---- master.cf ----"
    for service in master:
        yield from _comment(service.reason)
        for option in service.options:
            yield from _comment(f"{option.name}: {option.reason}")
        yield service.entry


def as_commands(main: list[Parameter], master: list[Service]) -> Iterator[str]:
    """Yield shell commands that set the same (postconf(1) -M and -e).

    Few commands with many words: postconf(1) waits for a main.cf that was written a moment ago. Options
    stand in the entry: ``postconf -P`` takes no value with a space in it. Services come first, so that
    postconf knows names of our own by their use.
    """
    entries = ((f"{one.name}/{one.type}", " ".join(one.entry.split())) for one in master)
    yield _joined("postconf -M", (f"{name}={entry}" for name, entry in entries))
    named = {one.value[1:] for one in main if _added(one)}
    plain = (one for one in main if one.match != "at_least" and not _added(one) and one.name not in named)
    yield _joined("postconf -e", (one.line for one in plain))
    for parameter in main:
        if parameter.match == "at_least":
            yield _at_least(parameter)
        elif _added(parameter):
            # A list that others are in charge of too: what is there stays. In one command with what it names.
            name, value = parameter.name, shlex.quote(parameter.value)
            own = " ".join(shlex.quote(one.line) for one in main if one.name == parameter.value[1:])
            yield f"there=$(postconf -h {name})"
            yield f'case $there in *{value}*) ;; *) there="$there "{value} ;; esac'
            yield f'postconf -e {name}="$there" {own}'.rstrip()


def _at_least(parameter: Parameter) -> str:
    name, wanted = parameter.name, shlex.quote(parameter.value)
    both = f'printf "%s\\n" {wanted} "$(postconf -h {name})"'
    return f'postconf -e {name}="$({both} | sort -V | tail -n 1)"'


def _added(parameter: Parameter) -> bool:
    return parameter.match == "include" and parameter.value.startswith("$")


def _joined(command: str, words: Iterable[str]) -> str:
    return " \\\n  ".join([command, *map(shlex.quote, words)])


def _data(main: list[Parameter], master: list[Service]) -> dict[str, Any]:
    return {
        "main_cf": [asdict(parameter) for parameter in main],
        "master_cf": [_service(service) for service in master],
    }


def _service(service: Service) -> dict[str, Any]:
    return {**asdict(service), "type": service.type, "entry": service.entry}


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2))


def _bounce_domains(session: CliSession) -> list[str]:
    if session.store.revision("directory") is None:
        where = session.store.where("directory")
        note(session, f"{where} does not exist yet, so relay_domains names no bounce domain.")
        return []
    with session.directory() as connection:
        return domains.bounce_domains(connection)
