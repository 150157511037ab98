"""What a new place does to a message at its end: it is held, or waits, and never passes unlooked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost_core.domain import Defer, Mode, Rules
from gatepost_core.domain.rules.places import Kind, Origin, Place, Seen, owner_of
from gatepost_core.store import StoreUnavailable, credentials, open_places
from gatepost_milter.editing.message import Plan
from gatepost_milter.holding import CANNOT_HOLD, MODE_HOLD, Hold
from gatepost_milter.judge import Accepted
from gatepost_milter.libmilter.places import Places
from gatepost_milter.main import main
from tests.core.making import credential
from tests.core.stores import make_store
from tests.core.test_spooled import RECORD
from tests.places import countries

from .test_judge import judge, readers, transaction

__all__ = ["readers"]

WHERE = {"198.51.100.1": "NL", "203.0.113.1": "BR"}
OWNER = owner_of(credential())
NL, BR = (Place(Kind.COUNTRY, name) for name in ("NL", "BR"))


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    opened = open_places(tmp_path / "counters.db")
    yield opened
    opened.close()


def locate(kind: Kind, address: str | None) -> Place:
    if address is None:
        raise StoreUnavailable("the file is gone")
    return Place(kind, WHERE[address])


def came(
    seen: Seen, address: str | None, held: Hold | None = None, *, holds: bool = True
) -> Hold | Defer | None:
    origin = Origin(OWNER, (Kind.COUNTRY,), address)
    message = Accepted(Plan(), RECORD, (), held=held, origin=origin)
    found = Places(seen, locate, holds=holds).judged(message, origin)
    return found if isinstance(found, Defer) else found.held


def test_what_comes_from_a_new_place_is_held_and_names_it(seen: Seen) -> None:
    assert came(seen, "198.51.100.1") is None
    said = "new country BR, client 203.0.113.1; it has sent from NL"
    assert came(seen, "203.0.113.1") == Hold(said, None, (BR,))
    later = Hold("to be sent later", datetime.now(UTC))
    assert came(seen, "203.0.113.1", later) == Hold(said, None, (BR,))
    assert came(seen, "198.51.100.1", later) == later


def test_what_is_held_anyway_teaches_nothing_by_itself_and_its_place_goes_with_it(seen: Seen) -> None:
    assert came(seen, "203.0.113.1", Hold(MODE_HOLD)) == Hold(MODE_HOLD, None, (BR,))
    assert seen.known(OWNER) == []
    assert came(seen, "198.51.100.1") is None


def test_who_releases_what_is_held_for_another_reason_hears_of_its_new_place(seen: Seen) -> None:
    assert came(seen, "198.51.100.1") is None
    over = Hold("over a limit: 2 of 1")
    assert came(seen, "198.51.100.1", over) == over._replace(places=(NL,))
    assert came(seen, "203.0.113.1", over) == Hold(
        "over a limit: 2 of 1; new country BR, client 203.0.113.1; it has sent from NL", None, (BR,)
    )
    assert [one.place for one in seen.known(OWNER)] == [NL]


def test_where_nothing_can_be_held_it_is_deferred(seen: Seen) -> None:
    assert came(seen, "198.51.100.1", holds=False) is None
    assert came(seen, "203.0.113.1", holds=False) == CANNOT_HOLD


def test_what_cannot_be_told_is_deferred_whatever_it_would_have_been(seen: Seen, tmp_path: Path) -> None:
    for held in (None, Hold(MODE_HOLD)):
        found = came(seen, None, held)
        assert isinstance(found, Defer)
        assert (str(found)[:9], found.reason) == ("451 4.3.0", "places: the file is gone")
        assert "credential gp1" in found.text
    assert came(seen, "198.51.100.1") is None
    file = tmp_path / "places.db"
    seen.close()
    file.unlink()
    file.mkdir()
    assert isinstance(came(seen, "198.51.100.1"), Defer)


@pytest.mark.parametrize(
    ("rules", "mode", "kinds"),
    [
        (Rules(), Mode.LIVE, None),
        (Rules(hold_places=("country", "network")), Mode.LIVE, (Kind.COUNTRY, Kind.NETWORK)),
        (Rules(hold_places=("country",)), Mode.HOLD, (Kind.COUNTRY,)),
        (Rules(hold_places=("country",)), Mode.SANDBOX, None),
    ],
)
def test_a_place_is_looked_at_only_for_a_rule_and_not_in_a_sandbox(
    tmp_path: Path, rules: Rules, mode: Mode, kinds: tuple[Kind, ...] | None
) -> None:
    store = make_store(tmp_path)
    with store.writing() as connection:
        credentials.change(connection, "alice", rules=rules, mode=mode)
    sent = transaction("alice", ("From", b" a@example.test"))
    sent.address = "198.51.100.1"
    verdict = judge(store).decide(sent, "Q1")
    assert isinstance(verdict, Accepted)
    if kinds is None:
        assert verdict.origin is None
    else:
        assert verdict.origin is not None
        assert (verdict.origin.kinds, verdict.origin.address) == (kinds, "198.51.100.1")
        assert verdict.origin.owner.username == "alice"


def test_a_database_that_cannot_be_read_is_a_fault_of_check(tmp_path: Path) -> None:
    store, file = make_store(tmp_path), tmp_path / "country.mmdb"
    words = ["--config", str(store.config), "--set", f"hold.country_database={file}", "--check"]
    file.write_bytes(b"half of a file")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 4
    assert f"hold.country_database = {file}: is no MaxMind DB file, or is damaged" in done.stderr
    countries(file, NL="198.51.100.0/24")
    assert CliRunner().invoke(main, words).exit_code == 0
