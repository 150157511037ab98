"""Tables on terminals of 80 and 100 columns: what a person copies from them is whole."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from gatepost_cli.output import Table, clean, facts
from gatepost_cli.terminal import show

from .command import Gatepost

WIDTHS = (80, 100)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=60)
PROSE = st.lists(WORDS, max_size=8).map(" ".join)


def printed(table: Table, width: int) -> str:
    file = io.StringIO()
    show(table, Console(file=file, width=width, color_system=None))
    return file.getvalue()


@given(st.lists(st.tuples(WORDS, WORDS, PROSE), max_size=5), st.sampled_from(WIDTHS))
def test_no_cell_is_ever_broken_and_no_table_wider_than_the_terminal(
    rows: Sequence[tuple[str, str, str]], width: int
) -> None:
    shown = printed(Table(("id", "name", "why"), rows, prose=("why",), drop=("name",)), width)
    for first, second, prose in rows:
        assert clean(first) in shown
        assert "name" not in shown or clean(second) in shown
        assert all(clean(word) in shown for word in prose.split())
    if "─" in shown:  # a table, and no blocks
        assert all(cell_len(line) <= width for line in shown.splitlines())


def test_columns_go_in_the_order_that_the_table_names() -> None:
    row = ("x" * 30, "y" * 30, "z" * 30)
    table = Table(("one", "two", "three"), [row], drop=("three", "two"))
    assert "three" in printed(table, 100).splitlines()[1]
    assert printed(table, 80).split()[:2] == ["one", "two"]
    assert printed(table, 40).split()[:1] == ["one"]


def test_what_fits_in_no_table_is_printed_as_blocks() -> None:
    key = "v=DKIM1; p=" + "A" * 400
    shown = printed(Table(("name", "value"), [("a.example", key), ("b.example", "short")]), 80)
    assert shown.splitlines() == [
        "name   a.example",
        f"value  {key}",
        "",
        "name   b.example",
        "value  short",
        "",
    ]
    fact = printed(facts([("DKIM key", key), ("domain", "a.example")]), 80)
    assert fact.splitlines()[:2] == [f"DKIM key  {key}", "domain    a.example"]


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5), st.sampled_from(WIDTHS))
def test_cells_that_flow_keep_their_order_and_break_between_each_other(
    rows: Sequence[tuple[str, str, str]], width: int
) -> None:
    shown = printed(Table(("first", "second", "third"), rows, flow=True), width)
    at = 0
    for row in rows:
        for cell in row:
            at = shown.index(clean(cell), at) + len(clean(cell))
    assert all(cell_len(line) <= width for line in shown.splitlines())


@pytest.mark.parametrize("width", WIDTHS)
def test_each_list_keeps_names_and_ids_whole_on_a_terminal(gatepost: Gatepost, width: int) -> None:
    user = gatepost.add_credential(
        "--label", "the shop's order confirmations and invoices, both languages",
        "--feature", "trackclicks", "--feature", "trackopens", "--feature", "inlinecss",
    )["username"]  # fmt: skip
    name = "a-rather-long-name-of-a-department.example.test"
    gatepost("domain", "add", name, "--account", "acme")
    assert user in on_terminal(gatepost, width, "credential", "list")
    assert name in on_terminal(gatepost, width, "domain", "list")
    records = on_terminal(gatepost, width, "domain", "show", name)
    zone = gatepost("domain", "show", name, "--zone").out.splitlines()
    assert all(line.partition(" IN ")[0].rstrip(".") in records for line in zone)
    key = next(line for line in zone if "k=rsa" in line).partition('"')[2][:200]
    assert key in records


def on_terminal(gatepost: Gatepost, width: int, *words: str) -> str:
    ours, theirs = pty.openpty()
    environ = os.environ | {"COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(gatepost.config), *words]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed (EIO)
                break
            if not part:
                break
            shown += part
        assert process.wait(60) == 0
    os.close(ours)
    return shown.decode()
