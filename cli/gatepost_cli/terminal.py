"""Rows of text on a terminal: a table where it fits, fewer columns where that makes it fit, else blocks.

No id, name, time or key is ever broken over two lines, so that each can be copied as a whole; only columns
of prose are wrapped, between words.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from gatepost_cli.table import FACTS, Table, clean

# A column of prose that is narrower than this reads badly.
_PROSE_LEAST = 28
# SIMPLE_HEAD parts columns by a blank, and pads each with one on either side.
_BETWEEN = 3
_LABEL_GAP = 2


def show(shown: Table, console: Console | None = None) -> None:
    """Print ``shown`` within the console's width."""
    console = console or Console()
    names = list(shown.columns)
    rows = [[clean(cell) for cell in row] for row in shown.rows]
    kept = _kept(shown, names, rows, console.width)
    if kept is None:
        _blocks(console, names, rows)
    else:
        _table(console, shown, names, rows, kept)


def _kept(shown: Table, names: Sequence[str], rows: list[list[str]], width: int) -> list[int] | None:
    """Return the places of the columns that fit, or None when too many would have to go."""
    kept = list(range(len(names)))
    needed = [_needed(shown, names, rows, place) for place in kept]
    for name in ("", *shown.drop):
        kept = [place for place in kept if names[place] != name]
        if sum(needed[place] + _BETWEEN for place in kept) <= width:
            return kept
    return None


def _needed(shown: Table, names: Sequence[str], rows: list[list[str]], place: int) -> int:
    """Return how wide a column must be at least."""
    widest = max(cell_len(text) for text in (names[place], *(row[place] for row in rows)))
    if names[place] not in shown.prose:
        return widest
    longest_word = max((cell_len(word) for row in rows for word in row[place].split()), default=0)
    return min(widest, max(_PROSE_LEAST, longest_word))


def _table(
    console: Console, shown: Table, names: Sequence[str], rows: list[list[str]], kept: Sequence[int]
) -> None:
    table = RichTable(box=box.SIMPLE_HEAD)
    for place in kept:
        prose = names[place] in shown.prose
        table.add_column(names[place], no_wrap=not prose, overflow="fold" if prose else "ignore")
    for row in rows:
        table.add_row(*(Text(row[place]) for place in kept))
    console.print(table)


def _blocks(console: Console, names: Sequence[str], rows: list[list[str]]) -> None:
    """Print a line a field; a line that is too long is the terminal's to break, so that it copies whole."""
    label = max(map(cell_len, names), default=0)
    blocks = [list(zip(names, row, strict=True)) for row in rows]
    if tuple(names) == FACTS:  # one thing: its fields are the labels
        blocks = [[(row[0], row[1]) for row in rows]]
        label = max((cell_len(row[0]) for row in rows), default=0)
    for block in blocks:
        for name, value in block:
            if value:
                gap = " " * (label - cell_len(name) + _LABEL_GAP)
                line = Text.assemble((name, "cyan"), gap, value)
                console.print(line, soft_wrap=True, highlight=False)
        console.print()
