"""What became of one message: its recipients and its events, in the order in which they happened."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence

import click

from gatepost_cli.output import clean, stamp
from gatepost_cli.table import wrapped
from gatepost_core.domain.outcomes import ACCEPTED
from gatepost_core.store.events import Event
from gatepost_core.store.messages import Recipient

# What of an event's detail is said, in this order; a report's text may stand beside the log's.
_SAID = ("class", "relay", "reply", "report_reply", "kind", "named", "verdict", "reason", "by", "url")
_RANKS = {type_: rank for rank, type_ in enumerate((ACCEPTED, "held", "released"))}


def ordered(events: Iterable[Event]) -> list[Event]:
    """Return events as they happened; of one moment (many a log knows seconds) as they must have."""
    return sorted(events, key=lambda one: (one.time, _RANKS.get(one.type, len(_RANKS))))


def pairs(recipients: Sequence[Recipient], events: Iterable[Event]) -> list[tuple[str, str]]:
    """Return recipients and events as rows for a program."""
    states = [(f"<{one.address}>", _state(one)) for one in recipients if one.since]
    return states + [(stamp(one.time) or "", line(one)) for one in events]


def show(recipients: Sequence[Recipient], events: Iterable[Event]) -> None:
    """Print both for a person, in lines that fit the terminal where their words allow it."""
    width = shutil.get_terminal_size().columns
    for one in recipients:
        if one.since:
            _print(f"<{one.address}>  {_state(one)}", width, 4)
    click.echo()
    for event in events:
        moment = stamp(event.time) or ""
        _print(f"{moment}  {line(event)}", width, len(moment) + 2)


def line(event: Event) -> str:
    """Return what happened: its type, to whom, and what was said."""
    return " ".join(filter(None, (event.type, event.recipient, _said(event))))


def _said(event: Event) -> str:
    said = list(_parts(event))
    return f"({'; '.join(said)})" if said else ""


def _parts(event: Event) -> Iterator[str]:
    attempt = event.detail.get("attempt", 1)
    if attempt != 1:
        yield f"attempt {attempt}"
    for name in _SAID:
        value = event.detail.get(name)
        if value and value != "none":
            yield str(value)


def _state(one: Recipient) -> str:
    told = f" ({one.failure})" if one.failure else ""
    by = f", told by {' and '.join(one.sources)}" if one.sources else ""
    return f"{one.state}{told} since {stamp(one.since)}{by}"


def _print(text: str, width: int, indent: int) -> None:
    click.echo("\n".join(wrapped(clean(text), width, indent)))
