"""journald's journal, read by the real journalctl from journal files that systemd-journal-remote wrote."""

from __future__ import annotations

import pwd
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gatepost_events.maillog.journald import PROGRAM, JournalLog, Speakers
from gatepost_events.maillog.lines import Line
from tests.events.maillog.world import READER
from tests.waiting import until

WRITER = "/lib/systemd/systemd-journal-remote"
NUMBERS = iter(range(10**6))
BOOT = "0123456789abcdef0123456789abcdef"


class Journal:
    """A folder of journal files, and whoever reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "journal"
        self.folder.mkdir()
        self.source: JournalLog | None = None
        self.position = ""
        self.got: list[str | int] = []

    def write(
        self,
        *texts: str,
        user: str = "postfix",
        tag: str = "postfix/smtp",
        transport: str = "syslog",
        boot: str = BOOT,
        machine: str = BOOT,
    ) -> None:
        """Have entries in a journal file of their own."""
        number = next(NUMBERS)
        uid = pwd.getpwnam(user).pw_uid
        entries = []
        for place, text in enumerate(texts):
            moment = number * 1000 + place
            fields = {
                "__REALTIME_TIMESTAMP": 1795843196788268 + moment,
                "__MONOTONIC_TIMESTAMP": moment,
                "_BOOT_ID": boot,
                "_MACHINE_ID": machine,
                "_TRANSPORT": transport,
                "_UID": uid,
                "SYSLOG_FACILITY": 2,
                "SYSLOG_IDENTIFIER": tag,
                "MESSAGE": text,
            }
            entries.append("".join(f"{name}={value}\n" for name, value in fields.items()) + "\n")
        command = [WRITER, f"--output={self.folder}/system{number}.journal", "-"]
        subprocess.run(command, input="".join(entries).encode(), check=True, capture_output=True)

    def read(self) -> None:
        if self.source is None:
            options = (f"--directory={self.folder}",)
            self.source = JournalLog(READER, self.position, 0.0, options, machine=BOOT)
        self.got += [one.text if isinstance(one, Line) else one for one in self.source.read()]
        self.position = self.source.position

    def has(self, *texts: str | int) -> None:
        """Wait until these were read, in that order, and no others."""

        def look() -> bool:
            self.read()
            return len(self.got) >= len(texts)

        until(look, lambda: f"{texts}; there are {self.got}")
        assert self.got == list(texts)

    def stop(self) -> None:
        if self.source is not None:
            self.source.close()
        self.source = None


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    if not Path(WRITER).exists() or shutil.which(PROGRAM) is None:
        pytest.skip(
            "systemd-journal-remote or journalctl is not installed; script/bootstrap test installs them"
        )
    journal = Journal(tmp_path)
    yield journal
    journal.stop()


def test_entries_are_read_as_they_come_and_after_a_stop_from_there_on(journal: Journal) -> None:
    journal.write("one", "two")
    journal.has("one", "two")
    journal.write("three")
    journal.has("one", "two", "three")
    journal.stop()
    journal.write("four")
    journal.has("one", "two", "three", "four")


def test_what_was_written_before_a_reboot_is_read_after_it(journal: Journal) -> None:
    """journalctl --follow shows the present boot alone, unless it is told otherwise."""
    journal.write("one", "before the reboot", boot=BOOT)
    journal.write("after it", boot=f"f{BOOT[1:]}")
    journal.has("one", "before the reboot", "after it")
    journal.stop()
    journal.write("at the shutdown", boot=f"f{BOOT[1:]}")
    journal.write("the first", "the second", boot=f"e{BOOT[1:]}")
    journal.has("one", "before the reboot", "after it", "at the shutdown", "the first", "the second")


def test_journals_of_other_machines_are_not_read(journal: Journal) -> None:
    """systemd-journal-remote(8) gathers them beside this host's own."""
    journal.write("of another host", machine=f"f{BOOT[1:]}")
    journal.write("one")
    journal.has("one")


def test_others_cannot_speak_for_postfix_and_lost_lines_are_told(journal: Journal) -> None:
    journal.write("forged", user="nobody")
    journal.write("of another program", tag="dovecot")
    journal.write(
        "Suppressed 17 messages from postfix@-.service",
        user="root",
        tag="systemd-journald",
        transport="driver",
    )
    journal.write(
        "Suppressed 5 messages from cron.service", user="root", tag="systemd-journald", transport="driver"
    )
    journal.write("one", user="root")
    journal.has(17, "one")


def test_a_child_that_ends_is_started_again_and_nothing_comes_twice(journal: Journal) -> None:
    journal.write("one")
    journal.has("one")
    assert journal.source is not None
    clock = iter(float(number) for number in range(0, 10**6, 6))
    journal.source._clock = lambda: next(clock)
    child = journal.source._child
    assert child is not None
    child.kill()

    def ended() -> bool:
        assert journal.source is not None
        try:
            journal.source.read()
        except OSError as error:
            return "journalctl ended" in str(error)
        return False

    until(ended, "the end of journalctl")
    journal.write("two")
    journal.has("one", "two")


def test_it_ends_at_once_also_in_a_worker_which_ignores_sigterm(journal: Journal) -> None:
    """A child inherits that (signal(7)): it went on for ever where it did not set a handler of its own."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        for _ in range(5):
            with suppress(OSError):
                journal.read()
            assert journal.source is not None
            child = journal.source._child
            assert child is not None
            closing = threading.Thread(target=journal.stop, daemon=True)
            closing.start()
            closing.join(20)
            ended = child.returncode is not None
            child.kill()
            assert ended
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_journal_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    if shutil.which(PROGRAM) is None:
        pytest.skip("journalctl is not installed; script/bootstrap test installs it")
    source = JournalLog(READER, "", 0.0, (f"--directory={tmp_path}/nowhere",))

    def said() -> str:
        try:
            source.read()
        except OSError as error:
            return str(error)
        return ""

    assert "nowhere" in until(said, "an error")
    source.close()


def test_a_postfix_that_is_installed_after_the_daemon_is_heard_too() -> None:
    """And who is none of its users costs one look a second, however much he writes."""
    now, looks, users = [100.0], [0], {0}

    def look() -> set[int]:
        looks[0] += 1
        return users

    speakers = Speakers(look, lambda: now[0])
    assert "0" in speakers
    assert "101" not in speakers
    users = {0, 101}
    now[0] += 1.0
    assert "101" in speakers
    before = looks[0]
    assert not any("1000" in speakers for _ in range(1_000))
    assert looks[0] == before
