"""Printing: JSON for scripts, tables for people, and columns parted by tabs when piped."""

from __future__ import annotations

import importlib
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import click

from gatepost_cli.session import CliSession
from gatepost_cli.table import FACTS, Table, clean, wrapped
from gatepost_core import domain

__all__ = [
    "FACTS",
    "Table",
    "clean",
    "emit",
    "emit_each",
    "emit_lines",
    "facts",
    "note",
    "on_terminal",
    "remark",
    "stamp",
]

T = TypeVar("T")
Row: TypeAlias = Sequence[str]
_PIECE = 65_536


def emit(session: CliSession, data: Any, shown: Table | str) -> None:
    """Print ``data`` as JSON when ``--json`` was given, else ``shown``."""
    if session.as_json:
        click.echo(json.dumps(data, ensure_ascii=True, indent=2))
    elif isinstance(shown, str):
        click.echo(shown)
    elif sys.stdout.isatty():
        importlib.import_module("gatepost_cli.terminal").show(shown)  # rich is not quick to load
    else:
        _write(_line(cells) for cells in itertools.chain([shown.columns], shown.rows))


def emit_each(
    session: CliSession,
    columns: Sequence[str],
    found: Iterable[T],
    data: Callable[[T], Any],
    row: Callable[[T], Row],
) -> None:
    """Print many things piece by piece, as ``emit`` would print all of them: JSON, or lines for a program.

    What is printed is forgotten, so memory does not grow with their number.
    """
    if session.as_json:
        _write(_array(data(one) for one in found))
    else:
        _write(_line(cells) for cells in itertools.chain([columns], map(row, found)))


def on_terminal(session: CliSession) -> bool:
    """Say whether a person reads what is printed, as a table that needs all of its rows."""
    return not session.as_json and sys.stdout.isatty()


def emit_lines(
    session: CliSession, found: Iterable[T], data: Callable[[T], Any], row: Callable[[T], Row]
) -> None:
    """Print things at once, a line each: an object with ``--json``, else cells parted by tabs.

    On a terminal empty cells are left out.
    """
    if session.as_json:
        lines = [json.dumps(data(one)) + "\n" for one in found]
    elif sys.stdout.isatty():
        lines = ["  ".join(filter(None, map(clean, row(one)))) + "\n" for one in found]
    else:
        lines = [_line(row(one)) for one in found]
    if lines:
        click.echo("".join(lines), nl=False)


def _array(items: Iterable[Any]) -> Iterator[str]:
    """Yield the pieces of one JSON array."""
    before = "["
    for item in items:
        text = json.dumps(item, ensure_ascii=True, indent=2)
        yield f"{before}\n  " + text.replace("\n", "\n  ")
        before = ","
    yield "\n]\n" if before == "," else "[]\n"


def _line(cells: Sequence[str]) -> str:
    return "\t".join(clean(cell) for cell in cells) + "\n"


def _write(pieces: Iterable[str]) -> None:
    """Write pieces, many at a time."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            click.echo("".join(waiting), nl=False)
            waiting, size = [], 0
    click.echo("".join(waiting), nl=False)


def note(session: CliSession, text: str) -> None:
    """Say something to a person on standard error, beside what is printed; silent with ``--json``."""
    if not session.as_json:
        click.echo(text, err=True)


def remark(session: CliSession, text: str, **data: Any) -> None:
    """Say on standard error what a program has to know as well: with ``--json`` as an object of one line."""
    if session.as_json:
        text = json.dumps({"note": text, **data})
    elif sys.stderr.isatty():
        text = "\n".join(wrapped(text, shutil.get_terminal_size().columns, 0))
    click.echo(text, err=True)


def facts(pairs: Iterable[tuple[str, str]]) -> Table:
    """Return a table of one thing: a row for each of its fields."""
    return Table(FACTS, list(pairs))


def stamp(time: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC, to the second."""
    return None if time is None else domain.stamp(time)
