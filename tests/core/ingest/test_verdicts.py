"""Clicks that, seen together, are a machine's: the first of them too, in whatever order they come."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from gatepost_core.domain import ids, spooled
from gatepost_core.spool import Entry
from gatepost_core.store.ingest.verdicts import BESIDE, LINKS, SECONDS, VERDICT, Click, machines
from tests.core.ingest.world import NOON, RECORD, World, accepted, milliseconds
from tests.steps import World as Counted
from tests.steps import assert_linear

PERSON = {"verdict": "person", "reason": ""}


def click(seconds: float, url: str, **detail: str) -> Entry:
    at = NOON + timedelta(seconds=seconds)
    content = spooled.event("clicked", RECORD.id, "", at, {"url": url, **PERSON, **detail})
    return Entry(ids.to_bytes(ids.new(milliseconds(at))), spooled.VERSION, spooled.EVENT, content)


def verdicts(world: World) -> dict[str, tuple[str, str]]:
    rows = world.rows("SELECT detail FROM events WHERE type = 'clicked' ORDER BY id")
    told = [json.loads(detail) for (detail,) in rows]
    return {one["url"]: (one["verdict"], one["reason"]) for one in told}


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_links_that_were_followed_within_seconds_are_a_machine_s_in_whatever_order_they_come(
    world: World, order: list[int]
) -> None:
    clicks = [click(0.0, "a"), click(0.7, "b"), click(1.4, "ü"), click(9.0, "d")]
    world.write(accepted(RECORD))
    for number in order:
        world.write(clicks[number])
        world.take()
    person = ("person", "")
    assert verdicts(world) == {"a": VERDICT, "b": VERDICT, "ü": VERDICT, "d": person}
    counts = [
        world.counted(kind, f"clicked/{who}")
        for kind in ("credential", "tag")
        for who in ("scanner", "person")
    ]
    assert [{number for number, _ in found.values()} for found in counts] == [{3}, {1}, {3}, {1}]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2]])
def test_clicks_beside_that_of_the_hidden_link_are_a_machine_s_in_whatever_order_they_come(
    world: World, order: list[int]
) -> None:
    hidden = click(8.0, "", verdict="scanner", reason=spooled.HONEY)
    clicks = [click(0.0, "a"), hidden, click(17.0, "b"), click(19.0, "c")]
    world.write(accepted(RECORD))
    for number in order:
        world.write(clicks[number])
        world.take()
    person = ("person", "")
    assert verdicts(world) == {
        "": ("scanner", spooled.HONEY), "a": BESIDE, "b": BESIDE, "c": person,
    }  # fmt: skip


def test_only_what_could_be_a_person_s_is_revised_and_the_hidden_link_s_own_click_never(world: World) -> None:
    world.write(accepted(RECORD))
    world.write(click(0.0, "", verdict="scanner", reason=spooled.HONEY))
    world.write(click(1.0, "a", verdict="proxy", reason="gmail"), click(2.0, "b", reason=spooled.HONEY + "?"))
    world.take()
    found = verdicts(world)
    assert (found[""], found["a"], found["b"]) == (("scanner", spooled.HONEY), ("proxy", "gmail"), BESIDE)


def test_what_one_person_does_stays_and_what_is_known_for_a_proxy_too(world: World) -> None:
    world.write(accepted(RECORD))
    world.write(*[click(number * 0.1, "a") for number in range(20)])  # one link, again and again
    world.write(click(10.0, "b"), click(11.5, "c"), click(13.0, "d"))  # three, one after the other
    world.write(click(30.0, "e"), click(30.1, "f"), click(30.2, "g", verdict="proxy", reason="gmail"))
    world.take()
    found = verdicts(world)
    assert {found[url][0] for url in "abcd"} == {"person"}
    assert (found["e"], found["f"], found["g"]) == (VERDICT, VERDICT, ("proxy", "gmail"))


def test_it_is_what_looking_at_every_window_says() -> None:
    chance = random.Random(3)  # noqa: S311 - cases
    for _ in range(300):
        times = sorted(chance.uniform(0, 12) for _ in range(chance.randint(0, 12)))
        clicks = [Click(str(number), at, chance.choice("abcd"), "person") for number, at in enumerate(times)]
        expected = set()
        for last in clicks:
            window = [one for one in clicks if 0 <= last.at - one.at <= SECONDS]
            window = [one for one in window if int(one.id) <= int(last.id)]
            if len({one.url for one in window}) >= LINKS:
                expected |= {one.id for one in window}
        assert sorted(machines(clicks), key=int) == sorted(expected, key=int)


def test_clicks_are_looked_at_in_linear_time(world_of_steps: Counted) -> None:
    module = world_of_steps.load("gatepost_core.store.ingest.verdicts")
    for gap in (0.0, 0.001, 5.0):
        assert_linear(
            world_of_steps,
            lambda n, gap=gap: [module.Click(str(i), i * gap, str(i % 50), "person") for i in range(n)],  # type: ignore[misc]
            module.machines,
        )


@pytest.fixture
def world_of_steps() -> Counted:
    return Counted()
