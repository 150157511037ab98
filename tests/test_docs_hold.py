"""docs/hold.md has each reason for which a message is held, and the first that applies is the one shown."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Mode, Rules
from gatepost_core.domain.limits import Charges, Defaults, limits, verdicts
from gatepost_core.domain.rules import places
from gatepost_core.domain.rules.places import Admitted, Kind, Origin, Place
from gatepost_milter.editing.message import Plan
from gatepost_milter.holding import Hold, Holding
from gatepost_milter.judge import Accepted, held_for
from gatepost_milter.libmilter.places import Places
from tests.core.making import MADE, credential
from tests.core.test_spooled import RECORD

ROOT = Path(__file__).parents[1]
HOUR = timedelta(hours=1)
NL, BR = Place(Kind.COUNTRY, "NL"), Place(Kind.COUNTRY, "BR")


def rows() -> list[str]:
    """Return the reasons in the first column of the page's table, but for those of others."""
    page = (ROOT / "docs/hold.md").read_text(encoding="utf-8")
    table = page.partition("## Why a message is held")[2].partition("\n## ")[0]
    cells = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    return [reason for cell in cells for reason in re.findall(r"`([^`]+)`", cell)]


def matching(reason: str) -> list[str]:
    return [row for row in rows() if re.match(re.escape(row).replace("…", ".*"), reason)]


class Seen:
    """Knows NL alone, or every place."""

    def __init__(self, *, new: bool) -> None:
        self._new = new

    def look(self, owner: object, found: object) -> Admitted:
        del owner, found
        return Admitted((BR,), (NL,)) if self._new else Admitted()

    def admit(self, owner: object, found: object, message: str, now: int) -> Admitted:
        del message, now
        return self.look(owner, found)


def told(*, mode: Mode, new: bool, over: bool, place: bool, later: bool) -> Hold | None:
    """Return why a message is held, all things asked in the daemon's own order."""
    now = MADE + 5 * HOUR
    holding = Holding(new=(10 if new else 1) * HOUR)
    own = credential(mode=mode, rules=Rules(hold_places=("country",)))
    held = holding.of(own, now + HOUR if later else None, now)
    message = Accepted(Plan(), replace(RECORD, mode=mode), (), held=held)
    if mode is Mode.SANDBOX:
        return message.held
    if over:
        (charge,) = Charges(Defaults(limits(["1/day:hold"]))).of(own, now.timestamp())
        message = held_for(message, f"over a limit: {verdicts.beyond([charge], [5])}")
    origin = places.origin_of(own, "203.0.113.1")
    assert isinstance(origin, Origin)
    judged = Places(Seen(new=place), lambda *_: BR).judged(message, origin)  # type: ignore[arg-type]
    assert isinstance(judged, Accepted)
    return judged.held


FLAGS = st.booleans()


@given(mode=st.sampled_from(Mode), new=FLAGS, over=FLAGS, place=FLAGS, later=FLAGS)
def test_the_first_reason_that_applies_is_shown_and_in_the_table_once(
    mode: Mode, new: bool, over: bool, place: bool, later: bool
) -> None:
    held = told(mode=mode, new=new, over=over, place=place, later=later)
    applies = [
        (mode is Mode.HOLD, "the credential is in mode hold"),
        (new, "the credential is new: it was made at …"),
        (over, "over a limit: …"),
        (place, "new country …, client …; it has sent from …"),
        (later, "to be sent at …"),
    ]
    expected = next((row for holds, row in applies if holds), None)
    if mode is Mode.SANDBOX or expected is None:
        assert held is None
        return
    assert held is not None
    first, also, rest = held.reason.partition("; new ")
    assert matching(first) == [expected] or not also
    # A new place is told beside another reason as well: whoever releases the message has it known.
    assert ("new country BR" in held.reason) == place
    if also:
        assert matching(f"new {rest}") == ["new country …, client …; it has sent from …"]
    else:
        assert matching(held.reason) == [expected]
    # Whatever its time: what somebody is to look at is not released by itself.
    assert (held.until is not None) == expected.startswith("to be sent")
    assert len(held.reason) < 500


def test_each_row_is_a_reason_that_there_is() -> None:
    heard = {
        row
        for mode, new, over, place, later in (
            (Mode.HOLD, False, False, False, False),
            (Mode.LIVE, True, False, False, False),
            (Mode.LIVE, False, True, False, False),
            (Mode.LIVE, False, False, True, False),
            (Mode.LIVE, False, False, False, True),
        )
        if (held := told(mode=mode, new=new, over=over, place=place, later=later))
        for row in matching(held.reason)
    }
    network = places.reason(Admitted((Place(Kind.NETWORK, "AS1"),), ()), None)
    assert heard | {*matching(network)} == {*rows()}


@pytest.mark.parametrize("address", ["x" * 10_000, "203.0.113.1\nreleased", "\u202e1.2.3.4"])
def test_an_address_that_is_none_gets_no_say_in_a_reason(address: str) -> None:
    said = places.reason(Admitted((BR,), (NL,)), address)
    assert said == "new country BR, client not known; it has sent from NL"
