"""A log file is read to its end, whatever happens to it, each line once."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_events.maillog.files import FileLog
from tests.events.maillog.world import READER, line

NUMBERS = iter(range(10**6))


class Log:
    """A log file, and whoever reads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mail.log"
        self.source: FileLog | None = None
        self.position = ""
        self.written: list[str] = []
        self.got: list[str] = []

    def write(self, number: int = 3, path: Path | None = None) -> None:
        texts = [f"text {next(NUMBERS)}" for _ in range(number)]
        self.written += texts
        with (path or self.path).open("a") as file:
            file.writelines(f"{line('smtp', text)}\n" for text in texts)

    def read(self) -> None:
        if self.source is None:
            self.source = FileLog(self.path, READER, self.position, 0.0)
        for _ in range(10):
            self.got += [one.text for one in self.source.read()]
        self.position = self.source.position

    def stop(self) -> None:
        if self.source is not None:
            self.source.close()
        self.source = None

    def all_read(self) -> bool:
        self.read()
        assert self.source is not None
        assert self.source.lost == 0
        return self.got == self.written


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path)
    log.write()
    yield log
    log.stop()


def rename(log: Log, number: int) -> None:
    for one in range(number, 0, -1):
        if (old := log.path.with_name(f"mail.log.{one}")).exists():
            old.rename(log.path.with_name(f"mail.log.{one + 1}"))
    log.path.rename(log.path.with_name("mail.log.1"))


def compress(path: Path) -> None:
    status = path.stat()
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    os.utime(packed, (status.st_atime, status.st_mtime))
    path.unlink()


def copy_truncate(log: Log) -> None:
    copy = log.path.with_name("mail.log.1")
    copy.write_bytes(log.path.read_bytes())
    os.truncate(log.path, 0)


@pytest.mark.parametrize("stopped", [False, True])
def test_what_is_appended_is_read_once(log: Log, stopped: bool) -> None:
    for _ in range(3):
        assert log.all_read()
        if stopped:
            log.stop()
        log.write()
    assert log.all_read()


@pytest.mark.parametrize("stopped", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
def test_rotated_by_renaming_it_is_read_to_its_end_first(log: Log, stopped: bool, compressed: bool) -> None:
    assert log.all_read()
    log.write()
    if stopped:
        log.stop()
    for number in range(3):
        rename(log, number)
        log.write(2, log.path.with_name("mail.log.1"))  # whoever writes has not gone over yet
        log.write()
        if compressed and number:
            compress(log.path.with_name("mail.log.2"))
            stamp = log.path.with_name("mail.log.1").stat().st_mtime
            os.utime(log.path.with_name("mail.log.2.gz"), (stamp - 10 + number, stamp - 10 + number))
            log.path.with_name("mail.log.2.gz").rename(log.path.with_name(f"mail.log.{9 - number}.gz"))
    assert log.all_read()


def test_renamed_with_no_new_one_yet_it_waits(log: Log) -> None:
    assert log.all_read()
    rename(log, 0)
    log.write(2, log.path.with_name("mail.log.1"))
    assert log.all_read()
    log.path.touch()
    assert log.all_read()
    log.write()
    assert log.all_read()


@pytest.mark.parametrize("stopped", [False, True])
def test_copied_and_truncated_it_is_read_to_its_end_first(log: Log, stopped: bool) -> None:
    assert log.all_read()
    log.write()
    if stopped:
        log.stop()
    copy_truncate(log)
    log.write(1)
    assert log.all_read()


def test_history_is_read_at_the_first_start(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for number in range(3):
        log.write()
        rename(log, number)
    log.write()
    for number, name in enumerate(("mail.log.3", "mail.log.2", "mail.log.1")):
        os.utime(tmp_path / name, (1000 + number, 1000 + number))
    compress(tmp_path / "mail.log.2")
    assert log.all_read()
    log.stop()
    log.write()
    assert log.all_read()
    log.stop()


def test_what_cannot_be_found_any_more_is_told(log: Log) -> None:
    assert log.all_read()
    log.write()
    log.stop()
    log.path.unlink()
    log.written.clear()
    log.got.clear()
    log.write()
    source = FileLog(log.path, READER, log.position, 0.0)
    assert source.lost == 1
    assert [one.text for one in source.read()] == log.written
    source.close()


def test_half_a_line_is_read_when_it_is_whole_and_a_monster_never(log: Log) -> None:
    assert log.all_read()
    text = f"{line('smtp', 'half')}\n"
    with log.path.open("a") as file:
        file.write(text[:40])
        file.flush()
        log.read()
        log.stop()
        log.read()
        file.write(text[40:] + "x" * 300_000)
        file.flush()
        log.read()
        file.write("x" * 300_000 + "\n" + text.replace("half", "after"))
    log.written += ["half", "after"]
    assert log.all_read()


def test_a_damaged_compressed_file_costs_itself_only(log: Log) -> None:
    log.path.with_name("mail.log.1.gz").write_bytes(gzip.compress(b"x" * 1000)[:15])
    os.utime(log.path.with_name("mail.log.1.gz"), (1000, 1000))
    log.read()
    assert log.got == log.written
    assert log.source is not None
    assert log.source.lost == 1
