"""A release before whose milter wrote into the journal itself, beside this one: on the way here and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gatepost_core import spool
from gatepost_core.settings import load
from gatepost_core.store.sqlite.ingesting import Ingester
from gatepost_events.rounds import Rounds
from tests.core.ingest.world import accepted, numbered
from tests.released import unpack_before
from tests.waiting import until

from .command import Gatepost

PARTS = ("core", "cli", "milter", "policy", "sasl")
# Has a record committed as its milter did, one after the other, and says which were.
WRITES = """
import datetime, sys, threading, time
from gatepost_core.domain import MessageRecord, ids
from gatepost_core.store.journal import JournalWriter
writer = JournalWriter(sys.argv[1])
while True:
    now, over, failed = datetime.datetime.now(datetime.UTC), threading.Event(), []
    record = MessageRecord(
        id=ids.new(int(now.timestamp() * 1000)), created_at=now, credential_id=1, username="x", queue_id="Q",
        sender="", recipients=("r@example.org",), header_from="", subject="", size=1, size_after=1, tags=(),
        features=(), applied=(), skipped={},
    )
    writer.put(record, lambda *error: (failed.extend(filter(None, error)), over.set()))
    over.wait()
    if not failed:
        print(record.id, flush=True)
    time.sleep(0.002)
"""


class Before:
    """That release's code, in processes of its own."""

    def __init__(self, folder: Path, config: Path) -> None:
        self._folder, self._config = folder, config
        unpack_before(folder)
        self._environ = {**os.environ, "PYTHONPATH": ":".join(str(folder / part) for part in PARTS)}

    def gatepost(self, *words: str) -> Any:
        command = [sys.executable, "-m", "gatepost_cli", "--config", str(self._config), *words, "--json"]
        done = subprocess.run(
            command, cwd=self._folder, env=self._environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def writing(self, journal: str, told: Path) -> subprocess.Popen[bytes]:
        with told.open("ab") as out:
            command = [sys.executable, "-c", WRITES, journal]
            return subprocess.Popen(command, cwd=self._folder, env=self._environ, stdout=out)


@pytest.fixture
def before(tmp_path: Path) -> Before:
    folder = tmp_path / "before"
    folder.mkdir()
    config = tmp_path / "before.toml"
    config.write_text(
        f'[store]\nurl = "sqlite:///{tmp_path}/store/directory.db"\n[keys]\ndirectory = "{tmp_path}/keys"\n'
    )
    made = Before(folder, config)
    made.gatepost("store", "upgrade")
    return made


def test_no_record_is_lost_on_the_way_from_the_release_before_or_back(before: Before, tmp_path: Path) -> None:
    """Its milter goes on while the databases are migrated, in both directions; lists show all, once."""
    config = tmp_path / "gatepost.toml"
    config.write_text((tmp_path / "before.toml").read_text() + f'[spool]\ndirectory = "{tmp_path}/spool"\n')
    gatepost, settings, told = Gatepost(tmp_path), load(config, environ={}), tmp_path / "told"

    def wait(more: int) -> None:
        wanted = len(told.read_text().split()) + more
        until(lambda: len(told.read_text().split()) >= wanted, "records of the release before")

    with before.writing(settings.store.journal, told) as milter:
        try:
            wait(50)
            assert gatepost("store", "upgrade").code == 0
            wait(50)
            new = [numbered(number) for number in range(50)]
            writer = spool.Writer(
                spool.stream(settings.spool.directory, "milter"), size=1 << 20, most=1 << 24
            )
            writer.append(*(accepted(record) for record in new))
            writer.close()
            ingester = Ingester(settings.store.journal, "node")
            while Rounds(settings.spool.directory, ingester, keep=0, most={})().entries:
                pass
            ingester.close()
            assert gatepost("store", "drain", "--seconds", "0").code == 0
            wait(50)
            listed = [one["id"] for one in gatepost("message", "list", "--limit", "100000", "--json").data]
            assert gatepost("store", "downgrade", "directory=0009", "journal=0004").code == 0
            wait(50)
        finally:
            milter.kill()
    sure = {record.id for record in new} | set(told.read_text().split())
    after = [one["id"] for one in before.gatepost("message", "list", "--limit", "100000")]
    assert sure <= set(after)
    assert len(after) == len(set(after))
    assert set(listed) <= set(after)
    assert {record.id for record in new} <= set(listed)
