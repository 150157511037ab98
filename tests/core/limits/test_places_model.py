"""Whatever comes in whatever order: a place passes only if it was the first, or somebody had it known."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost_core.domain.rules.places import PLACES_MOST, Kind, Owner, Place
from gatepost_core.store import open_places

OWNERS = [Owner(f"c1.{number}.0", f"gp{number}", 0) for number in range(2)]
PLACES = [Place(kind, name) for kind in Kind for name in ("A", "B", "C", "unknown")]
ONE_EACH = st.lists(st.sampled_from(PLACES), min_size=1, max_size=2, unique_by=lambda place: place.kind)
STEP = st.tuples(
    st.sampled_from(["sent", "sent", "sent", "taught", "forgotten", "all", "pruned"]),
    st.integers(0, len(OWNERS) - 1),
    ONE_EACH,
    st.integers(0, 3 * 86_400),
)


class Model:
    """What is known of one credential, said in a few lines."""

    def __init__(self) -> None:
        self.begun = set[Kind]()
        self.known = dict[Place, int]()

    def sent(self, places: Sequence[Place], now: int) -> set[Place]:
        new = {place for place in places if place.kind in self.begun and place not in self.known}
        lately = all(now - self.known.get(place, 0) < 86_400 for place in places)
        if not new and not lately:
            self.taught(places, now)
        return new

    def taught(self, places: Sequence[Place], now: int) -> None:
        self.begun.update(place.kind for place in places)
        self.known.update(dict.fromkeys(places, now))


@settings(max_examples=30, deadline=None)
@given(st.lists(STEP, max_size=20))
def test_what_passes_is_what_a_few_lines_say(steps: list[tuple[str, int, list[Place], int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen, now = open_places(Path(folder) / "counters.db"), 1_800_000_000
        models = [Model() for _ in OWNERS]
        for what, number, places, seconds in steps:
            owner, model = OWNERS[number], models[number]
            now += seconds
            if what == "sent":
                looked = seen.look(owner, places)
                found = seen.admit(owner, places, "m", now)
                assert found == looked
                assert set(found.new) == model.sent(places, now)
            elif what == "taught":
                assert seen.teach(owner, places, "root", now) == []
                model.taught(places, now)
            elif what == "forgotten":
                gone = [place for place in places if model.known.pop(place, None) is not None]
                assert seen.forget(owner, places) == len(gone)
            elif what == "all":
                assert seen.forget(owner) == len(model.known)
                models[number] = Model()
            else:
                old = [place for place, last in model.known.items() if last < now - 86_400]
                assert seen.prune(owner, now - 86_400) == len(old)
                for place in old:
                    del model.known[place]
            for one, expected in zip(OWNERS, models, strict=True):
                assert {each.place: each.last for each in seen.known(one)} == expected.known
        seen.close()


@given(st.sets(st.integers(1, 2**32 - 1), min_size=PLACES_MOST, max_size=PLACES_MOST + 20))
@settings(max_examples=5, deadline=None)
def test_no_number_of_releases_pushes_out_what_was_there(numbers: set[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seen, owner = open_places(Path(folder) / "counters.db"), OWNERS[0]
        names = [Place(Kind.NETWORK, f"AS{number}") for number in sorted(numbers)]
        for place in names:
            seen.teach(owner, [place], "root", 1_800_000_000)
        assert {one.place for one in seen.known(owner)} == {*names[:PLACES_MOST]}
        seen.close()
