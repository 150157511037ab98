"""The documentation is complete: whatever can be set, run or switched on is described."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from gatepost_cli.checks import CHECKS
from gatepost_cli.docs import DIRECTORY, commands, pages
from gatepost_cli.main import main
from gatepost_core.domain import CATALOGUE
from gatepost_core.settings import fields, is_secret, variable

ROOT = Path(__file__).parents[1]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert ROOT / "docs" == DIRECTORY
    assert page(name) == pages()[name], "run 'python -m gatepost_cli.docs'"


def test_every_command_and_each_of_its_options_is_described() -> None:
    text = page("cli.md")
    for words, command in commands(main):
        section = text.partition(f"\n## gatepost {words}\n")[2].partition("\n## ")[0]
        assert section, words
        for option in command.params:
            if isinstance(option, click.Option):
                assert f"`{option.opts[0]}" in section, f"{words} {option.opts[0]}"


def test_every_setting_is_described() -> None:
    text, sample = page("settings.md"), page("gatepost.toml")
    for name, info in fields():
        assert f"| `{name}` |" in text
        assert f"`{variable(name)}`" in text
        assert (info.description or "").replace("|", "\\|") in text
        assert f"\n# Variable: {variable(name)}\n" in sample
        assert not is_secret(info) or f"{variable(name)}_FILE" in sample


def test_every_feature_is_described() -> None:
    text = page("features.md")
    for feature in CATALOGUE.values():
        assert f"| `{feature.name}` |" in text
        assert not feature.header or f"`X-Gatepost-{feature.header}`" in text


def test_every_check_of_doctor_is_described() -> None:
    names = {word.strip("` ") for line in page("doctor.md").splitlines() for word in line.split("|")[1:2]}
    described = {name.strip("` ") for names_of_row in names for name in names_of_row.split(",")}
    assert set(CHECKS) <= described


def test_a_file_that_quirks_names_is_there() -> None:
    """``core/…/store/reader.py`` begins at the package; without a root, at the one named before it."""
    for line in page("quirks.md").splitlines():
        folder = ROOT
        for root, rest in re.findall(r"`(?:([a-z]+)/…/)?([a-z][a-z_/]*\.(?:py|yml))`", line):
            if root:
                folder = ROOT / root
            places = [ROOT / rest, folder / f"gatepost_{folder.name}" / rest]
            if folder.name == "ansible":
                places = [*folder.rglob(rest)]
            assert any(path.exists() for path in places), rest


def test_a_file_that_the_architecture_names_is_there() -> None:
    for root, rest in re.findall(r"`(?:([a-z]+)/…/)?([a-z_/]+\.py)`", page("architecture.md")):
        if root:
            assert (ROOT / root / f"gatepost_{root}" / rest).exists(), f"{root}/…/{rest}"
        elif not rest.endswith("__init__.py"):  # named where it must not be
            assert (ROOT / rest).exists() or any(ROOT.glob(f"*/gatepost_*/**/{rest}")), rest


def test_the_pages_are_written_by_the_command_that_they_name(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, gatepost_cli.docs as docs\n"
        "docs.DIRECTORY = pathlib.Path(sys.argv[1])\n"
        "docs.write()\n"
    )
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GATEPOST_")}
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, env=clean | {"COLUMNS": "40"})
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == pages()
