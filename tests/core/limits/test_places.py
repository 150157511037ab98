"""What is known of places that a credential sends from: its first is learned once, and nobody floods it."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from gatepost_core.domain.rules.places import (
    ADMITTED,
    PLACES_MOST,
    UNUSED_SECONDS,
    Admitted,
    Kind,
    Owner,
    Place,
    Seen,
)
from gatepost_core.store import StoreUnavailable, check_places, copy_places, open_places, places_file
from gatepost_core.store.sqlite.counts import placing
from gatepost_core.store.sqlite.driver import transaction

NOW = 1_800_000_000
DAY = 86_400
OWNER, OTHER = Owner("c1.1.0", "gp1", 0), Owner("c1.2.0", "gp2", 0)
NL, BR, DE = (Place(Kind.COUNTRY, code) for code in ("NL", "BR", "DE"))
AS1, AS2 = (Place(Kind.NETWORK, name) for name in ("AS1", "AS2"))
ENGINES: Mapping[str, Callable[[Path], Seen]] = {"sqlite": lambda folder: open_places(folder / "counters.db")}


@pytest.fixture(params=ENGINES)
def seen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Seen]:
    opened = ENGINES[request.param](tmp_path)
    yield opened
    opened.close()


def sent(seen: Seen, *places: Place, owner: Owner = OWNER, now: int = NOW) -> Admitted:
    return seen.admit(owner, places, "m1", now)


def names(seen: Seen, owner: Owner = OWNER) -> list[str]:
    return [one.place.name for one in seen.known(owner)]


def test_the_first_place_is_learned_and_each_other_is_new_however_often(seen: Seen) -> None:
    assert sent(seen, NL) == ADMITTED
    for _ in range(3):
        assert sent(seen, BR) == Admitted((BR,), (NL,))
    assert sent(seen, NL) == ADMITTED
    (known,) = seen.known(OWNER)
    assert known == (NL, NOW, NOW, "message m1")


def test_with_two_kinds_one_that_is_new_holds_and_teaches_neither(seen: Seen) -> None:
    assert sent(seen, AS1) == ADMITTED
    assert sent(seen, NL, AS2) == Admitted((AS2,), (AS1,))
    assert names(seen) == ["AS1"]
    assert sent(seen, NL, AS1) == ADMITTED
    assert sent(seen, BR, AS2) == Admitted((BR, AS2), (NL, AS1))


def test_what_somebody_teaches_is_known_and_no_first_place_is_learned_then(seen: Seen) -> None:
    assert seen.teach(OWNER, [NL], "root", NOW) == []
    assert sent(seen, BR) == Admitted((BR,), (NL,))
    assert seen.teach(OWNER, [BR], "release of message m2", NOW + 5) == []
    assert sent(seen, BR) == ADMITTED
    assert [(one.place, one.by) for one in seen.known(OWNER)] == [(BR, "release of message m2"), (NL, "root")]


def test_credentials_know_nothing_of_each_other(seen: Seen) -> None:
    sent(seen, NL)
    assert sent(seen, BR, owner=OTHER) == ADMITTED
    assert seen.forget(OTHER) == 1
    assert (names(seen), names(seen, OTHER)) == (["NL"], [])


def test_a_place_that_is_forgotten_is_new_and_only_after_all_the_next_one_is_learned(seen: Seen) -> None:
    sent(seen, NL)
    assert seen.forget(OWNER, [NL, BR]) == 1
    assert sent(seen, NL) == sent(seen, NL) == Admitted((NL,), ())
    seen.teach(OWNER, [DE], "root", NOW)
    assert seen.forget(OWNER) == 1
    assert sent(seen, BR) == ADMITTED


def test_ten_thousand_networks_leave_what_is_known_as_it_was(seen: Seen, tmp_path: Path) -> None:
    sent(seen, AS1)
    for number in range(2, 10_002):
        assert sent(seen, Place(Kind.NETWORK, f"AS{number}")).known == (AS1,)
    assert names(seen) == ["AS1"]
    file = places_file(tmp_path / "counters.db")
    assert sum(one.stat().st_size for one in tmp_path.glob(f"{file.name}*")) < 200_000


def test_also_by_many_releases_no_place_makes_room_for_another(seen: Seen) -> None:
    many = [Place(Kind.NETWORK, f"AS{number}") for number in range(1, PLACES_MOST + 51)]
    sent(seen, many[0])
    left_out = [one for place in many for one in seen.teach(OWNER, [place], "root", NOW)]
    assert left_out == many[PLACES_MOST:]
    assert len(names(seen)) == PLACES_MOST
    assert sent(seen, many[0]) == ADMITTED
    assert sent(seen, many[-1]).new == (many[-1],)
    # One of another kind, and what is known already, has room.
    assert seen.teach(OWNER, [NL, many[5]], "root", NOW) == []


def test_use_is_noted_once_a_day_and_what_is_not_used_for_long_is_held_again(seen: Seen) -> None:
    sent(seen, NL)
    seen.teach(OWNER, [BR], "root", NOW)
    for after in (10, DAY - 1):
        sent(seen, NL, now=NOW + after)
    assert seen.known(OWNER)[0].last == NOW
    late = NOW + UNUSED_SECONDS
    sent(seen, NL, now=late)
    assert [(one.place, one.last) for one in seen.known(OWNER)] == [(NL, late), (BR, NOW)]
    assert seen.prune(OWNER, late - UNUSED_SECONDS + 1) == 1
    assert sent(seen, BR, now=late) == Admitted((BR,), (NL,))
    # Not even the last one's end makes a credential new, which somebody may have waited for.
    assert seen.prune(OWNER, late + 1) == 1
    assert sent(seen, DE, now=late).new == (DE,)


def test_looking_says_the_same_and_changes_nothing(seen: Seen) -> None:
    assert seen.look(OWNER, [NL]) == ADMITTED
    assert seen.known(OWNER) == []
    sent(seen, NL)
    assert seen.look(OWNER, [NL]) == ADMITTED
    assert seen.look(OWNER, [BR]) == Admitted((BR,), (NL,))
    assert names(seen) == ["NL"]


def test_owners_are_told_page_by_page(seen: Seen) -> None:
    owners = [Owner(f"c1.{number}.0", f"gp{number}", 0) for number in range(1, 8)]
    for owner in owners:
        sent(seen, NL, AS1, owner=owner)
    found = list[Owner]()
    while page := seen.owners(found[-1].key if found else "", 3):
        found += page
    assert found == owners


def _first(folder: str, number: int) -> int:
    opened = open_places(Path(folder) / "counters.db")
    place = Place(Kind.NETWORK, f"AS{number + 1}")
    return int(opened.admit(OWNER, [place], f"m{number}", NOW) == ADMITTED)


def test_of_many_first_messages_at_once_one_teaches_its_place(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        passed = pool.starmap(_first, [(str(tmp_path), number) for number in range(40)])
    assert sum(passed) == 1
    opened = open_places(tmp_path / "counters.db")
    assert len(opened.known(OWNER)) == 1
    opened.close()


def test_a_first_message_that_another_one_overtakes_is_not_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, others = open_places(tmp_path / "counters.db"), open_places(tmp_path / "counters.db")

    def overtaken(connection: sqlite3.Connection) -> AbstractContextManager[None]:
        monkeypatch.setattr(placing, "transaction", transaction)
        assert sent(others, BR) == ADMITTED
        return transaction(connection)

    sent(mine, NL, owner=OTHER)  # the file is there
    monkeypatch.setattr(placing, "transaction", overtaken)
    assert sent(mine, NL) == Admitted((NL,), (BR,))
    assert names(mine) == ["BR"]
    mine.close()
    others.close()


def test_after_a_damaged_file_nobody_older_has_a_first_message(tmp_path: Path) -> None:
    said: list[str] = []
    opened = open_places(tmp_path / "counters.db", damaged=said.append)
    sent(opened, NL)
    opened.close()
    file = places_file(tmp_path / "counters.db")
    file.write_bytes(b"no database at all " * 500)
    for end in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            file.with_name(file.name + end).unlink()
    assert sent(opened, NL) == Admitted((NL,), ())
    assert len(said) == 1
    assert list(tmp_path.glob("places.db.damaged-*"))
    opened.teach(OWNER, [NL], "release of message m9", NOW)
    assert sent(opened, NL) == ADMITTED
    younger = Owner("c1.3.9", "gp3", 2**40)
    assert sent(opened, BR, owner=younger) == ADMITTED
    opened.close()


def test_a_file_that_cannot_be_read_admits_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "counters"
    folder.write_text("a file where the folder should be")
    opened = open_places(folder / "counters.db")
    with pytest.raises((StoreUnavailable, OSError)):
        sent(opened, NL)


def test_a_copy_for_a_backup_has_all_of_it(tmp_path: Path) -> None:
    counters, copy = tmp_path / "counters.db", tmp_path / "copy" / "places.db"
    copy.parent.mkdir()
    assert not copy_places(counters, copy)
    opened = open_places(counters)
    sent(opened, NL)
    assert copy_places(counters, copy)
    opened.close()
    again = open_places(copy.with_name("counters.db"))
    assert names(again) == ["NL"]
    again.close()
    copy.write_bytes(copy.read_bytes()[:-3_000] + b"\xff" * 3_000)
    with pytest.raises(StoreUnavailable):
        check_places(copy)
