"""What the journal says of a message with a key: what only the log led to says that it is in the queue."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gatepost_core.domain import StoreUnavailable, outcomes
from gatepost_core.domain.limits.submissions import Fate
from gatepost_core.settings import StoreSettings
from gatepost_core.store import database_file, migrate
from gatepost_core.store.opening import open_backend
from tests.core.journals import keep
from tests.core.test_journal import RECORD

QUEUED, REFUSED, HELD = (True, False, False), (False, True, False), (False, False, True)


@pytest.mark.parametrize(
    ("states", "known"),
    [
        (["accepted"], None),
        (["queued"], QUEUED),
        # Somebody does not get it for its tag: of the others nothing is known.
        (["suppressed", "accepted"], (False, False, False)),
        (["suppressed", "queued"], QUEUED),
        (["suppressed", "not-queued"], REFUSED),
        # Our milter had it held: its record says so, and Postfix may not have it yet.
        (["held"], HELD),
        (["held", "queued"], (True, False, True)),
        (["not-queued", "not-queued"], REFUSED),
        (["delivered", "deferred"], QUEUED),
        (["failed"], QUEUED),
        (["bounced"], QUEUED),
        (["deferred"], QUEUED),
    ],
)
def test_a_message_is_in_the_queue_once_the_log_shows_it(
    tmp_path: Path, states: Sequence[str], known: tuple[bool, bool, bool] | None
) -> None:
    settings = StoreSettings(url=f"sqlite:///{tmp_path}/directory.db")
    migrate.upgrade(settings)
    keep(settings.journal, [replace(RECORD, queue_id="4Q1", status=outcomes.status(states))])
    with closing(sqlite3.connect(database_file(settings.journal))) as journal, journal:
        journal.executemany(
            "INSERT INTO recipients (message_id, address, domain, state) VALUES (?, ?, 'x.test', ?)",
            [(RECORD.id, f"r{number}@x.test", state) for number, state in enumerate(states)],
        )
    fates = open_backend(settings).fates()
    expected = {} if known is None else {RECORD.id: Fate("4Q1", *known)}
    assert fates.of([RECORD.id, "2" * 21]) == expected
    assert fates.of([]) == {}
    fates.close()


def test_a_journal_that_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    fates = open_backend(StoreSettings(url=f"sqlite:///{tmp_path}/directory.db")).fates()
    with pytest.raises(StoreUnavailable):
        fates.of([RECORD.id])
