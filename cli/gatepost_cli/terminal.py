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

from gatepost_cli.table import FACTS, Table, clean, wrapped

# A column of prose that is narrower than this reads badly.
_PROSE_LEAST = 28
# SIMPLE_HEAD has a blank before, between and after columns, and pads each with one on either side.
_BETWEEN = 3
_LABEL_GAP = 2
_INDENT = 4


def show(shown: Table, console: Console | None = None) -> None:
    """Print ``shown`` within the console's width."""
    console = console or Console()
    names = list(shown.columns)
    rows = [[clean(cell) for cell in row] for row in shown.rows]
    kept = _kept(shown, names, rows, console.width)
    if kept is None and shown.flow:
        _flow(console, names, rows)
    elif kept is None:
        _blocks(console, shown, names, rows)
    else:
        _table(console, shown, names, rows, kept)


def _kept(shown: Table, names: Sequence[str], rows: list[list[str]], width: int) -> list[int] | None:
    """Return the places of the columns that fit, or None when too many would have to go."""
    kept = list(range(len(names)))
    needed = [_needed(shown, names, rows, place) for place in kept]
    for name in ("", *shown.drop):
        kept = [place for place in kept if names[place] != name]
        if sum(needed[place] + _BETWEEN for place in kept) < width:
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


def _flow(console: Console, names: Sequence[str], rows: list[list[str]]) -> None:
    """Print the cells of a row one after another; lines after its first are indented."""
    for number, row in enumerate((list(names), *rows)):
        lines, room = [""], console.width
        for cell in filter(None, row):
            needed = cell_len(cell) + (_LABEL_GAP if lines[-1].strip() else 0)
            if lines[-1].strip() and needed > room:
                lines.append(" " * _INDENT)
                room, needed = console.width - _INDENT, cell_len(cell)
            lines[-1] += " " * (needed - cell_len(cell)) + cell
            room -= needed
        for line in lines:
            console.print(Text(line, "bold" if number == 0 else ""), soft_wrap=True, highlight=False)


def _blocks(console: Console, shown: Table, names: Sequence[str], rows: list[list[str]]) -> None:
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
                text = (
                    "\n".join(wrapped(value, console.width - label - _LABEL_GAP, 0))
                    if name in shown.prose
                    else value
                )
                text = text.replace("\n", "\n" + " " * (label + _LABEL_GAP))
                console.print(Text.assemble((name, "cyan"), gap, text), soft_wrap=True, highlight=False)
        console.print()
