"""A checkout's scripts before anything is installed: help, refusals, what each part of bootstrap takes."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SCRIPTS = ("bench", "bootstrap", "check", "gatepost", "play", "screenshots", "server", "test", "wheelhouse")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A checkout's scripts and what they read, with no environment."""
    return copied(tmp_path / "checkout")


def copied(root: Path) -> Path:
    root.mkdir(parents=True)
    for name in ("script", "ansible"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    return root


def run(*words: str | Path, within: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*within, *words], capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("name", [name for name in SCRIPTS if name != "gatepost"])
def test_help_needs_nothing_installed(bare: Path, name: str) -> None:
    done = run(bare / "script" / name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"script/{name}" in done.stdout or name in {"play", "check", "bench", "server"}
    assert not (bare / ".venv").exists()


def test_the_command_s_help_needs_no_server(bare: Path) -> None:
    done = run(ROOT / "script/gatepost", "--help")
    assert done.returncode == 0
    assert "credential" in done.stdout
    # Where nothing is installed there is nothing to ask for help.
    assert "script/server does not run" in run(bare / "script/gatepost", "--help").stderr


@pytest.mark.parametrize(
    ("name", "module"), [("server", "gatepost_stack.server"), ("bench", "gatepost_bench.__main__")]
)
def test_the_text_of_help_is_the_command_s_own(name: str, module: str) -> None:
    """To mend it: .venv/bin/python -P -m MODULE --help >script/help/NAME.txt"""
    shown = CliRunner().invoke(
        importlib.import_module(module).main, ["--help"], prog_name=f"script/{name}", terminal_width=78
    )
    assert (ROOT / f"script/help/{name}.txt").read_text(encoding="utf-8") == shown.output


def test_a_blank_in_the_path_is_refused_at_once_with_the_path(tmp_path: Path) -> None:
    root = copied(tmp_path / "my checkout")
    done = run(root / "script/bootstrap")
    assert done.returncode == 1
    assert f"'{root}'" in done.stderr
    assert "blank" in done.stderr
    assert not (root / ".venv").exists()


def test_an_unknown_part_is_named_with_those_that_there_are(bare: Path) -> None:
    done = run(bare / "script/bootstrap", "everything")
    assert done.returncode == 2
    assert "'everything'" in done.stderr
    assert "server" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root")
def test_without_a_network_one_line_says_so(bare: Path) -> None:
    done = run(bare / "script/bootstrap", "play", within=("unshare", "--net"))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "no network?" in lines[-1]
    assert len(lines) == 2  # what was begun, and why it ended


def closure(*groups: str) -> set[str]:
    """Return what script/bootstrap would install for groups."""
    text = (ROOT / "script/bootstrap").read_text(encoding="utf-8")
    function = re.search(r"^closure\(\) \{.*?^\}", text, re.MULTILINE | re.DOTALL)
    assert function
    done = subprocess.run(
        ["bash", "-c", f"{function[0]}\nclosure {' '.join(groups)}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def named(texts: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in texts}


def test_each_part_gets_what_it_needs_and_the_server_no_linter() -> None:
    groups: dict[str, list[str]] = PROJECT["dependency-groups"]
    for group, texts in groups.items():
        assert named(texts) <= closure(group)
    server = closure("server")
    assert named(PROJECT["project"]["dependencies"]) <= server
    for other in set(groups) - {"server"}:
        assert not named(groups[other]) & server, other
    locked = set(re.findall(r"^([a-z0-9._-]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert closure(*groups) == locked
