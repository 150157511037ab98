"""What follows events: step after step, whatever goes wrong; a fault is told once, and so is its end."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from gatepost_core.domain import StoreUnavailable
from gatepost_events.following import Following
from tests.waiting import until


class Steps:
    def __init__(self, *told: int | Exception) -> None:
        self.left: Iterator[int | Exception] = iter(told)
        self.done: list[int] = []
        self.failed: list[str] = []
        self.closed = 0

    def step(self) -> int:
        one = next(self.left, 0)
        if isinstance(one, Exception):
            raise one
        return one

    def tell(self, done: int) -> float:
        self.done.append(done)
        return 0.0 if done else 60.0

    def close(self) -> None:
        self.closed += 1


def followed(steps: Steps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost_events.following._AFTER_FAULT", 0.0)
    with Following(steps, "bees", "for bees", steps.tell, steps.failed.append):
        until(lambda: [one for one in steps.done if not one], lambda: f"{steps.done}")
    assert steps.closed == 1


def test_steps_go_on_and_the_end_does_not_wait_for_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(3, 2)
    followed(steps, monkeypatch)
    assert (steps.done, steps.failed) == ([3, 2, 0], [])


def test_a_fault_is_told_once_counted_each_time_and_its_end_is_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    locked = StoreUnavailable("locked")
    steps = Steps(1, locked, locked, OSError("gone"), ZeroDivisionError("odd"), 2, locked, 3)
    followed(steps, monkeypatch)
    assert steps.done == [1, 2, 3, 0]
    assert steps.failed == ["bees"] * 5
    log = capfd.readouterr()
    told = re.findall(
        r"cannot be followed for bees|internal error|followed again for bees", log.out + log.err
    )
    fault, again = "cannot be followed for bees", "followed again for bees"
    assert told == [fault, fault, "internal error", again, fault, again]
