"""What lists of messages and of events have in common: options, and saying where to go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from gatepost_cli import values
from gatepost_cli.output import note, on_terminal, remark, stamp
from gatepost_cli.session import CliSession
from gatepost_core.domain import ids, shown
from gatepost_core.store.paging import Walk

LIMIT_MOST = 100_000
_F = TypeVar("_F", bound=Callable[..., Any])

since_option = click.option(
    "--since",
    metavar="TIME",
    callback=values.moment,
    help="Not before 2027-01-31, 2027-01-31T18:00 (UTC unless it says otherwise), or 90m, 24h, 7d ago.",
)
until_option = click.option("--until", metavar="TIME", callback=values.moment, help="Before that time.")
limit_option = click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, LIMIT_MOST),
    default=20,
    show_default=True,
    help="How many, newest first.",
)


def _cursor(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str:
    if text is None:
        return ""
    try:
        return ids.from_bytes(ids.to_bytes(text))
    except ValueError as error:
        raise click.BadParameter(
            f"{shown(text)} is no CURSOR; expected what a list said that it goes on with, or the id of its "
            "last line"
        ) from error


after_option = click.option(
    "--after",
    metavar="CURSOR",
    callback=_cursor,
    help="Go on where a list ended: with what it said, or with the id of its last line.",
)


def tell(session: CliSession, walk: Walk[Any]) -> None:
    """Say where a list that was printed goes on, if it does."""
    if walk.stopped:
        reached = datetime.fromtimestamp(int.from_bytes(ids.to_bytes(walk.cursor)[:6], "big") / 1000, UTC)
        text = f"Searched back to {stamp(reached)}, which took its time. Go on with --after {walk.cursor}"
        remark(session, text, after=walk.cursor)
    elif walk.cursor and on_terminal(session):
        note(session, f"There may be more: --after {walk.cursor}")
