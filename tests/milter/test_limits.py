"""What limits do to a message at its end, beside refusing it: they hold what is beyond those that hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost_core.domain import Defer, Mode, ids
from gatepost_core.domain.limits import Charges, Defaults, limits
from gatepost_core.store.sqlite.counts.counters import SqliteCounters
from gatepost_milter.editing.message import Plan
from gatepost_milter.holding import CANNOT_HOLD, Hold
from gatepost_milter.judge import Accepted
from gatepost_milter.libmilter.counters import Limits, Taken
from tests.core.making import credential
from tests.core.test_spooled import RECORD

NOW = datetime.now(UTC)


@pytest.fixture
def counters(tmp_path: Path) -> Iterator[SqliteCounters]:
    opened = SqliteCounters(tmp_path / "counters" / "counters.db", lambda _: [])
    yield opened
    opened.close()


def accepted(mode: Mode = Mode.LIVE, held: Hold | None = None) -> Accepted:
    found = Charges(Defaults(limits(["1/month:hold"]))).of(credential(mode=mode), NOW.timestamp())
    record = replace(RECORD, id=ids.new(int(NOW.timestamp() * 1000)), mode=mode)
    return Accepted(Plan(), record, (), charges=found, held=held)


def taken(counters: SqliteCounters, message: Accepted, *, holds: bool = True) -> Hold | Defer | None:
    found = Limits(counters, lambda *_: None, holds=holds).take(message)
    if not isinstance(found, Taken):
        assert isinstance(found, Defer)
        return found
    found.tell()
    return found.accepted.held


def test_what_is_beyond_is_held_for_somebody_whatever_its_time(counters: SqliteCounters) -> None:
    later = Hold("to be sent later", NOW)
    assert taken(counters, accepted(held=later)) == later
    second = taken(counters, accepted(held=later))
    assert isinstance(second, Hold)
    assert second.until is None
    assert second.reason.endswith("has used 2 of 1 message a month")
    by_mode = Hold("the credential is in mode hold")
    assert taken(counters, accepted(held=by_mode)) == by_mode


def test_nothing_is_held_in_sandbox_mode(counters: SqliteCounters) -> None:
    assert [taken(counters, accepted(Mode.SANDBOX)) for _ in range(3)] == [None] * 3


def test_where_nothing_can_be_held_it_is_deferred_and_counts_nothing(counters: SqliteCounters) -> None:
    assert taken(counters, accepted(), holds=False) is None
    assert taken(counters, accepted(), holds=False) == CANNOT_HOLD
    (has,) = counters.look([accepted().charges[0].want])
    assert [bucket.used for bucket in has] == [1]
