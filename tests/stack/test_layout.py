"""A stack's files are where Postfix can reach them, and nothing else is ever removed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gatepost_stack import layout


def test_below_a_directory_for_root_only_the_runtime_files_are_elsewhere(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    places = layout.plan(tmp_path / "var")
    try:
        assert places.temporary
        assert places.runtime.name.startswith("gatepost-")
        assert places.delivered.is_relative_to(tmp_path)
    finally:
        places.close()
    assert not places.runtime.exists()


def test_socket_names_that_are_too_long_for_the_kernel_move_the_runtime_files(tmp_path: Path) -> None:
    places = layout.plan(tmp_path / ("long" * 20) / "var")
    try:
        assert places.temporary
    finally:
        places.close()


def test_the_next_start_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    killed = layout.plan(tmp_path)
    killed.prepare()
    (killed.delivered / "new" / "old").touch()
    places = layout.plan(tmp_path)
    try:
        places.prepare()
        assert killed.runtime == places.runtime or not killed.runtime.exists()
        assert not list((places.delivered / "new").iterdir())
    finally:
        places.close()


def test_delivered_mail_is_for_whoever_started_the_stack_alone(tmp_path: Path) -> None:
    places = layout.plan(tmp_path)
    try:
        places.prepare()
        folders = [places.delivered, *places.delivered.iterdir()]
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    finally:
        places.close()


@pytest.mark.parametrize("name", ["precious", "gatepost-precious"])
def test_a_directory_that_is_not_a_stacks_own_is_never_removed(tmp_path: Path, name: str) -> None:
    precious = tmp_path / name
    precious.mkdir()
    var = tmp_path / "var"
    var.mkdir()
    (var / "runtime").write_text(f"{precious}\n")
    layout.plan(var).close()
    assert precious.exists()
