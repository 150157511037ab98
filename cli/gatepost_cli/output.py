"""Printing: JSON for scripts, tables for people, and columns parted by tabs when piped.

Texts that came with a message (a subject, an address) are shown with control characters
escaped: they must not move the terminal's cursor, nor look like another row.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import click

from gatepost_cli.session import Session

# C0, DEL and C1 controls; line separators and bidirectional overrides; halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under column names."""

    columns: Sequence[str]
    rows: Iterable[Sequence[str]]


def emit(session: Session, data: Any, shown: Table | str) -> None:
    """Print ``data`` as JSON when ``--json`` was given, else ``shown``."""
    if session.as_json:
        click.echo(json.dumps(data, ensure_ascii=True, indent=2))
    elif isinstance(shown, str):
        click.echo(shown)
    elif sys.stdout.isatty():
        _rich(shown)
    else:
        for row in (shown.columns, *shown.rows):
            click.echo("\t".join(clean(cell) for cell in row))


def note(session: Session, text: str) -> None:
    """Say something to a person on standard error, beside what is printed; silent with ``--json``."""
    if not session.as_json:
        click.echo(text, err=True)


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return a table of one thing: a row for each of its fields."""
    return Table(("field", "value"), list(pairs))


def clean(text: str) -> str:
    """Return ``text`` with characters escaped that a terminal would act on."""
    return _UNSAFE.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def stamp(time: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the second."""
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rich(shown: Table) -> None:
    """Print a table for a terminal; rich is imported only here, it is not quick to load."""
    tables, consoles, texts = (
        importlib.import_module(f"rich.{name}") for name in ("table", "console", "text")
    )
    table = tables.Table(box=importlib.import_module("rich.box").SIMPLE_HEAD)
    for column in shown.columns:
        table.add_column(column, overflow="fold")
    for row in shown.rows:
        table.add_row(*(texts.Text(clean(cell)) for cell in row))
    consoles.Console().print(table)
