"""``gatepost event export``: events as CSV or JSON lines, piece by piece."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import click

from gatepost_cli.event_view import data_of
from gatepost_cli.session import CliSession
from gatepost_core.store import events
from gatepost_core.store.events import Event

FORMATS: Final = ("csv", "jsonl")
COLUMNS: Final = (
    "id", "time", "type", "message", "recipient", "credential", "account", "tags", "metadata", "detail",
)  # fmt: skip
_AT_ONCE: Final = 500
_ALL: Final = 2**62


def export(session: CliSession, wanted: events.Wanted, form: str, accounts: Mapping[int, str | None]) -> int:
    """Print events, the newest first; return how many. Memory does not grow with their number."""
    number = 0
    with session.journal() as connection:
        pieces = _pieces(events.each(connection, wanted, _ALL), form, accounts)
        for text, count in pieces:
            click.echo(text, nl=False)
            number += count
            _progress(number)
    _progress(number, over=True)
    return number


def _pieces(
    found: Iterable[Event], form: str, accounts: Mapping[int, str | None]
) -> Iterator[tuple[str, int]]:
    out = io.StringIO()
    writer = csv.writer(out)
    if form == "csv":
        writer.writerow(COLUMNS)
    count = 0
    for event in found:
        data = data_of(event, accounts)
        if form == "csv":
            writer.writerow([_cell(data[name]) for name in COLUMNS])
        else:
            out.write(json.dumps(data, ensure_ascii=False) + "\n")
        count += 1
        if count == _AT_ONCE:
            yield out.getvalue(), count
            out.seek(0)
            out.truncate()
            count = 0
    yield out.getvalue(), count


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _progress(number: int, *, over: bool = False) -> None:
    """Say how far it is, where a person waits for it and does not see the events themselves."""
    if sys.stderr.isatty() and not sys.stdout.isatty():
        click.echo(f"\r{number:,} events" + ("\n" if over else ""), nl=False, err=True)
