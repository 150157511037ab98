"""Printing: JSON for scripts, tables for people, and columns parted by tabs when piped."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from gatepost_cli.session import Session
from gatepost_cli.table import FACTS, Table, clean
from gatepost_core import moments

__all__ = ["FACTS", "Table", "clean", "emit", "facts", "note", "stamp"]


def emit(session: Session, data: Any, shown: Table | str) -> None:
    """Print ``data`` as JSON when ``--json`` was given, else ``shown``."""
    if session.as_json:
        click.echo(json.dumps(data, ensure_ascii=True, indent=2))
    elif isinstance(shown, str):
        click.echo(shown)
    elif sys.stdout.isatty():
        importlib.import_module("gatepost_cli.terminal").show(shown)  # rich is not quick to load
    else:
        for row in (shown.columns, *shown.rows):
            click.echo("\t".join(clean(cell) for cell in row))


def note(session: Session, text: str) -> None:
    """Say something to a person on standard error, beside what is printed; silent with ``--json``."""
    if not session.as_json:
        click.echo(text, err=True)


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return a table of one thing: a row for each of its fields."""
    return Table(FACTS, list(pairs))


def stamp(time: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the second."""
    return None if time is None else moments.stamp(time)
