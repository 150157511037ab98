"""``gatepost settings``: the values in force and where each came from; the sample file."""

from __future__ import annotations

from typing import Any

import click

from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit
from gatepost_cli.reference import plain, sample, toml
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.settings import Settings, fields, is_secret, tables, variable

_HIDDEN = "***"


@click.command("settings", help=NOUNS["settings"].help)
@click.option("--sample", "as_sample", is_flag=True, help="Print a sample gatepost.toml instead.")
@json_option
@pass_session
def command(session: CliSession, as_sample: bool) -> None:
    """Print settings, or the sample file."""
    if as_sample:
        text = sample()
        emit(session, {"sample": text}, text.rstrip("\n"))
        return
    from gatepost_sasl.backends.build import remarks  # noqa: PLC0415 - for this command alone

    for remark in remarks(session.settings):
        click.echo(f"note: {remark}", err=True)
    effective = values(session.settings)
    rows = [(name, toml(entry["value"]), entry["origin"]) for name, entry in effective.items()]
    emit(session, effective, Table(("setting", "value", "from"), rows, prose=("value",), drop=("from",)))


def values(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return ``{section.field: {value, origin, variable}}``; a secret that is set reads ``***``."""
    effective = {}
    for name, info in fields():
        section, _, field = name.partition(".")
        value = plain(getattr(getattr(settings, section), field))
        effective[name] = {
            "value": _HIDDEN if is_secret(info) and value else value,
            "origin": settings.origin(name),
            "variable": variable(name),
        }
    for table, model, _ in tables():
        for name, one in sorted(getattr(settings, table).items()):
            for field in model.model_fields:
                effective[f"{table}.{name}.{field}"] = {
                    "value": plain(getattr(one, field)),
                    "origin": settings.origin(f"{table}.{name}"),
                    "variable": None,
                }
    return effective
