"""The manual page: groff finds nothing wrong with it, and it names every command and option."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click

from gatepost_cli.docs import commands
from gatepost_cli.main import main

PAGE = Path(__file__).parents[1] / "docs/gatepost.1"


def test_groff_prints_it_without_a_warning_and_whole() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", str(PAGE)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    shown = " ".join(done.stdout.split())
    for words, command in commands(main):
        assert words in shown
        for option in command.params:
            if isinstance(option, click.Option):
                assert re.search(rf"{re.escape(option.opts[0])}\b", shown), (words, option.opts[0])


def test_each_command_has_a_heading() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("\\-", "-")
    for words, _ in commands(main):
        assert f"\n.SS {words} " in text
