"""A held message that somebody releases has its credential know where it came from; no other does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gatepost_core.domain.rules.places import UNUSED_SECONDS, Kind, Owner, Place, owner_of
from gatepost_core.serving.asking import NoAnswer
from gatepost_events.holding.verbs import Answer, Result
from gatepost_events.places import Pruned, Pruning
from tests.core.making import credential
from tests.events.hold_node import Node

PLACES = {"country": "BR", "network": "AS64500"}


def known(node: Node) -> list[str]:
    assert node.directory.known is not None
    seen = node.places()
    try:
        return [one.place.name for one in seen.known(owner_of(node.directory.known))]
    finally:
        seen.close()


def test_one_release_teaches_and_says_by_which_message(node: Node) -> None:
    record, other = node.held(1, places=PLACES), node.held(2, places=PLACES)
    node.ask(record)
    node.step()
    assert node.found(record) == ("done", "")
    assert known(node) == ["BR", "AS64500"]
    assert node.directory.known is not None
    seen = node.places()
    assert {one.by for one in seen.known(owner_of(node.directory.known))} == {
        f"release of message {record.id}"
    }
    seen.close()
    node.ask(other, "drop")
    node.step()
    assert node.found(other) == ("done", "")


@pytest.mark.parametrize("how", ["drop", "stays", "gone", "by itself", "without"])
def test_nothing_else_teaches(node: Node, how: str) -> None:
    scheduled, places = how == "by itself", None if how == "without" else PLACES
    record = node.held(1, places=places, scheduled=scheduled)
    if how == "stays":
        node.answers = [Answer(Result.REFUSED, "nobody logged in")]
    if how == "gone":
        node.answers = [Answer(Result.ABSENT, "it is in no queue")]
    if not scheduled:
        node.ask(record, "drop" if how == "drop" else "release")
    node.step()
    assert node.found(record)[0] == {"stays": "stays", "gone": "gone"}.get(how, "done")
    assert known(node) == []


def test_what_cannot_be_learned_now_is_learned_later_though_the_message_is_gone_by_then(node: Node) -> None:
    record = node.held(1, places=PLACES)
    file = node.world.folder / "places.db"
    file.mkdir()
    node.ask(record)
    node.step()
    state, note = node.found(record)
    assert (state, note.startswith("gatepost-hold was asked: ")) == ("open", True)
    file.rmdir()
    node.world.now += timedelta(seconds=6)
    node.answers = [Answer(Result.ABSENT, "it is in no queue")]
    node.step()
    assert node.found(record) == ("done", "")
    assert known(node) == ["BR", "AS64500"]


def test_a_release_that_was_done_unheard_teaches_as_well(node: Node) -> None:
    record = node.held(1, places=PLACES)
    node.ask(record)
    node.answers = [NoAnswer("no answer in time", sent=True), Answer(Result.ABSENT, "it is in no queue")]
    node.step()
    assert known(node) == []
    node.world.now += timedelta(seconds=6)
    node.step()
    assert known(node) == ["BR", "AS64500"]


def test_a_credential_that_was_made_anew_learns_nothing_of_an_earlier_one_s_mail(node: Node) -> None:
    record = node.held(1, places=PLACES)
    node.holds(created_at=record.created_at + timedelta(seconds=1))
    node.ask(record)
    node.step()
    assert (node.found(record), known(node)) == (("done", ""), [])


def test_what_nobody_sends_from_any_more_is_forgotten(node: Node) -> None:
    class Directory:
        """Has one credential, and another one of a name that was there before."""

        def credential(self, username: str) -> object:
            return {"gp1": here, "gp2": replace(here, id=2, username="gp2")}.get(username)

        def close(self) -> None:
            """Nothing is open."""

    here, now = credential(), 2_000_000_000
    owner, seen = owner_of(here), node.places()
    gone, earlier = Owner("c9.9.9", "gpgone", 9), Owner("c1.2.9", "gp2", 9)
    nl, br = Place(Kind.COUNTRY, "NL"), Place(Kind.COUNTRY, "BR")
    for one, place, at in (
        (owner, nl, now), (owner, br, now - UNUSED_SECONDS - 1), (gone, nl, now), (earlier, nl, now)
    ):  # fmt: skip
        seen.teach(one, [place], "root", at)
    pruning = Pruning(seen, Directory(), lambda: now)  # type: ignore[arg-type]
    assert pruning.step() == Pruned(3, more=False)
    assert [one.place for one in seen.known(owner)] == [nl]
    assert [one.key for one in seen.owners("", 10)] == [owner.key]
    many = [Owner(f"c5.{number:03}.0", "gpgone", 0) for number in range(300)]
    for one in many:
        seen.teach(one, [nl], "root", now)
    assert [pruning.step().more, pruning.step().more] == [True, False]
    assert len(seen.owners("", 10)) == 1
    pruning.close()
