"""The spool's folder: made when it is missing, refused in words when somebody else could write to it."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gatepost_core.spool import SpoolFolderError, check, stream


def test_it_is_made_for_its_owner_and_group_only(tmp_path: Path) -> None:
    folder = stream(tmp_path / "spool", "milter")
    assert folder == tmp_path / "spool" / "milter"
    assert [oct(path.stat().st_mode)[-3:] for path in (folder.parent, folder)] == ["750", "750"]
    assert stream(tmp_path / "spool", "milter") == folder


@pytest.mark.parametrize("which", ["spool", "spool/milter"])
def test_one_that_everybody_may_write_to_is_refused(which: str, tmp_path: Path) -> None:
    stream(tmp_path / "spool", "milter")
    (tmp_path / which).chmod(0o777)
    with pytest.raises(SpoolFolderError, match=r"everybody \(mode 777\); expected 750. Set it: chmod 750 /"):
        stream(tmp_path / "spool", "milter")


@pytest.mark.parametrize("which", ["spool", "spool/milter"])
def test_one_of_another_user_is_refused(which: str, tmp_path: Path) -> None:
    stream(tmp_path / "spool", "milter")
    os.chown(tmp_path / which, 12345, 12345)
    with pytest.raises(SpoolFolderError, match="the user 12345; expected root or root, or the store"):
        stream(tmp_path / "spool", "milter")


def test_one_of_the_user_who_owns_the_store_is_taken(tmp_path: Path) -> None:
    """Where each daemon has a user, the folders are his who takes what is written to them."""
    stream(tmp_path / "spool", "milter")
    os.chown(tmp_path / "spool", 12345, 12345)
    os.chown(tmp_path / "spool/milter", 12345, 0)
    (tmp_path / "spool/milter").chmod(0o2770)
    assert stream(tmp_path / "spool", "milter", 12345) == tmp_path / "spool" / "milter"


@pytest.mark.parametrize("which", ["spool", "spool/milter"])
def test_a_file_in_its_place_is_refused(which: str, tmp_path: Path) -> None:
    (tmp_path / which).parent.mkdir(exist_ok=True)
    (tmp_path / which).write_text("")
    with pytest.raises(SpoolFolderError, match=r"^spool\.directory: "):
        stream(tmp_path / "spool", "milter")


def test_one_that_cannot_be_made_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SpoolFolderError, match="install -d -m 750 -o root"):
        stream(tmp_path / "missing" / "spool", "milter")


def test_daemons_that_start_at_once_all_have_it(tmp_path: Path) -> None:
    names = ["sasl", "milter", "bounces", "tracker"]
    for turn in range(50):
        together = threading.Barrier(len(names))

        def made(name: str, directory: Path, together: threading.Barrier = together) -> Path:
            together.wait()
            check(directory)
            return stream(directory, name)

        directory = tmp_path / str(turn)
        with ThreadPoolExecutor(len(names)) as crew:
            found = list(crew.map(made, names, [directory] * len(names)))
        assert found == [directory / name for name in names]
