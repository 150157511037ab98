"""A stream on disk whose disk fails, whose writer is killed, or in which something cannot be read."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_core.spool import SpoolError, Writer, retiring, segment

from .streams import HEAD, MOST, SIZE, Store, small_folder, some


def test_a_fault_of_the_disk_refuses_its_batch_and_the_next_entry_is_kept(stream: Path) -> None:
    """The kernel refuses writes beyond a limit of the process: EFBIG, as from a disk that fails."""
    code = f"""
import resource, signal, sys
from pathlib import Path
from gatepost_core.spool.entry import Entry
from gatepost_core.spool.segment import SpoolError
from gatepost_core.spool.writer import Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = Writer(Path({str(stream)!r}), size={SIZE}, most={MOST})
entry = lambda n: Entry(n.to_bytes(13, "big"), 1, 1, b"z" * 1000)
writer.append(entry(1))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, ({HEAD} + 1500, hard))
try:
    writer.append(entry(2))
except SpoolError as error:
    print("refused:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
writer.append(entry(3))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.startswith("refused: the spool ")
    assert "File too large" in run.stdout
    store = Store(stream).take()
    assert store.numbers == [1, 3]  # of the second, half was written: it is cut off
    assert not store.faults
    assert len(segment.segments(stream)) == 2


FAILING_FLUSH = """
#include <dlfcn.h>
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>
ssize_t pwritev64v2(int file, const struct iovec *what, int count, off64_t at, int flags) {
    ssize_t (*real)(int, const struct iovec *, int, off64_t, int) = dlsym(RTLD_NEXT, "pwritev64v2");
    if (access(getenv("FAIL"), F_OK) == 0) { unlink(getenv("FAIL")); errno = EIO; return -1; }
    return real(file, what, count, at, flags);
}
"""


def test_a_flush_that_fails_once_refuses_all_that_waited_for_it_and_keeps_what_comes_later(
    stream: Path, tmp_path: Path
) -> None:
    """fsync(2) tells an error once: whoever flushes again hears success, and the pages are lost."""
    source, library, fail = tmp_path / "fail.c", tmp_path / "fail.so", tmp_path / "fail"
    source.write_text("#define _GNU_SOURCE\n#include <stdlib.h>\n" + FAILING_FLUSH)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True, timeout=60)
    code = f"""
from pathlib import Path
from gatepost_core.spool.entry import Entry
from gatepost_core.spool.segment import SpoolError
from gatepost_core.spool.writer import Writer
writer = Writer(Path({str(stream)!r}), size={SIZE}, most={MOST})
for number in range(5):
    if number == 2:
        Path({str(fail)!r}).touch()
    try:
        writer.append(Entry(number.to_bytes(13, "big"), 1, 1, b"content"))
    except SpoolError as error:
        print(number, error)
"""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "LD_PRELOAD": str(library), "FAIL": str(fail)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.startswith("2 the spool ")
    assert "Input/output error" in run.stdout
    assert Store(stream).take().numbers == [0, 1, 3, 4]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    with small_folder(tmp_path / "small", 3) as folder:
        yield folder


def test_a_file_system_without_room_refuses_and_leaves_no_half_made_segment(small: Path) -> None:
    filler = small / "filler"
    filler.write_bytes(bytes(2 * SIZE + SIZE // 2))
    writer = Writer(small, size=SIZE, most=MOST)
    with pytest.raises(SpoolError, match="No space left on device"):
        writer.append(some(1))
    assert [path.name for path in small.iterdir()] == ["filler"]
    filler.unlink()
    writer.append(some(2))
    assert Store(small).take().numbers == [2]


WRITING = """
import itertools, sys
from pathlib import Path
from gatepost_core.spool.entry import Entry
from gatepost_core.spool.writer import Writer
writer = Writer(Path(sys.argv[1]), size=65536, most=1 << 30)
for number in itertools.count(int(sys.argv[2])):
    writer.append(Entry(number.to_bytes(13, "big"), 1, 1, b"w" * 300))
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.parametrize("after", [1, 7, 100, 400])
def test_whatever_was_promised_is_read_after_kill_9(stream: Path, after: int) -> None:
    promised: list[int] = []
    for first in (0, 100_000):
        command = [sys.executable, "-c", WRITING, str(stream), str(first)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(after):
                promised.append(int(process.stdout.readline()))
            process.send_signal(signal.SIGKILL)
            promised += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    numbers = Store(stream).take().numbers
    assert len(numbers) == len(set(numbers))
    assert set(promised) <= set(numbers)
    assert len(numbers) <= len(promised) + 2  # one that was kept just before the kill, in each


@pytest.mark.parametrize("what", ["foreign", "future", "cut", "renamed", "empty", "flipped"])
def test_a_segment_that_cannot_be_read_is_told_in_words_and_stops_no_other(stream: Path, what: str) -> None:
    begun: list[segment.Segment] = []
    for number in (1, 2):
        writer = Writer(stream, size=SIZE, most=MOST)
        writer.append(some(number), some(number + 10))
        writer.close()
        begun += segment.segments(stream)
    first = begun[0]  # of two that were begun in one millisecond either may be listed first
    data = bytearray(first.path.read_bytes())
    if what == "foreign":
        data[:16] = b"#!/bin/sh\n" + bytes(6)
    elif what == "future":
        head = bytearray(segment.head(first.id))
        head[16] = segment.VERSION + 1
        head[60:] = segment.checksum(bytes(head[:60])).to_bytes(4, "little")
        data[:HEAD] = head
    elif what == "cut":
        del data[HEAD + 40 :]
    elif what == "renamed":
        data[:HEAD] = segment.head(b"o" * 16)
    elif what == "empty":
        data.clear()
    else:
        data[HEAD + 60] ^= 1
    first.path.write_bytes(data)
    store = Store(stream).take()
    words = {
        "foreign": "is no segment of a spool",
        "future": "has format 2; this release reads format 1: use the release that wrote it",
        "cut": "is torn or damaged from byte",
        "renamed": "it was renamed",
        "empty": "has 0 bytes, fewer than a segment's head",
        "flipped": "is torn or damaged from byte",
    }[what]
    assert words in store.faults[first.id]
    assert {2, 12} <= set(store.numbers)
    assert (1 in store.numbers) == (what in ("cut", "flipped"))
    assert not retiring.retire(stream, store.finished - {first.id}, 0.0, time.time() - 10)
    assert first.path.exists()


def test_a_file_that_is_swept_before_it_is_locked_costs_no_message(
    stream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever makes room looks for files of killed processes, while a writer makes one."""
    lock, sweeps = fcntl.flock, [1]

    def swept(descriptor: int, how: int) -> None:
        if how == fcntl.LOCK_EX and sweeps.pop():
            sweeps.append(0)
            segment.sweep(stream)
        lock(descriptor, how)

    monkeypatch.setattr("gatepost_core.spool.segment.fcntl.flock", swept)
    writer, store = Writer(stream, size=SIZE, most=MOST), Store(stream)
    writer.append(some(1))
    assert store.take().numbers == [1]


def test_what_was_being_made_when_its_process_was_killed_is_removed(stream: Path) -> None:
    (stream / f"{'0' * 32}.new").write_bytes(bytes(100))
    writer = Writer(stream, size=SIZE, most=MOST)
    writer.append(some(1))
    retiring.retire(stream, set(), 0.0, time.time())
    assert {path.suffix for path in stream.iterdir()} == {".segment"}


def test_an_entry_larger_than_a_segment_is_refused_and_others_go_on(stream: Path) -> None:
    writer = Writer(stream, size=SIZE, most=MOST)
    with pytest.raises(SpoolError, match="larger than a segment"):
        writer.append(some(1, b"x" * SIZE))
    writer.append(some(2))
    assert Store(stream).take().numbers == [2]
