"""Reports that are forwarded: to whom, what they become, and what becomes of those that may not go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from pathlib import Path

import pytest

from gatepost_core.domain import Bounces, Claim, WallMode, ids
from gatepost_core.domain.outcomes import ForwardState, Waiting
from gatepost_core.domain.walls import Walls
from gatepost_events.forwarding.composing import compose, forwarded_before
from gatepost_events.forwarding.posting import read
from gatepost_events.forwarding.steps import LIFE, Forwarding, Outcome, Reply
from tests.bounces.forms import MTA, failed, report
from tests.steps import World as Counted
from tests.steps import assert_linear

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MESSAGE = ids.new(int(NOON.timestamp() * 1000))
ADDRESS = "bounce-abc@bounces.example.test"
ONE = Waiting("n1", MESSAGE, 3, "alice@example.test", ADDRESS, "r.eml", NOON, 0)
QUEUED = Reply(250, "queued")
RAW = report(MTA, failed("bob@example.org"), extra=f"Return-Path: <{ADDRESS.upper()}>\n")


@dataclass
class Scene:
    """Store, directory and Postfix, all at once."""

    due_now: list[Waiting] = field(default_factory=lambda: [ONE])
    reply: Reply = QUEUED
    way: Bounces = Bounces.FORWARD
    raw: bytes | None = RAW
    claimed: dict[str, int] = field(default_factory=dict)
    counted: int = 0
    closed: bool = False
    now: datetime = NOON
    given: list[tuple[str, bytes]] = field(default_factory=list)
    later: list[datetime] = field(default_factory=list)
    waits: list[datetime] = field(default_factory=list)
    states: dict[str, ForwardState] = field(default_factory=dict)

    # The store's.
    def due(self, _now: datetime, most: int) -> Sequence[Waiting]:
        return [one for one in self.due_now if one.id not in self.states][:most]

    def sent(self, _account: int, _since: datetime) -> int:
        return self.counted + list(self.states.values()).count(ForwardState.SENT)

    def settle(self, one: Waiting, state: ForwardState, _note: str, _now: datetime) -> None:
        self.states[one.id] = state

    def postpone(self, _one: Waiting, _note: str, until: datetime) -> None:
        self.later.append(until)

    def postpone_account(self, _one: Waiting, _note: str, until: datetime) -> None:
        self.waits.append(until)

    def forget(self, _before: datetime) -> int:
        return 0

    def close(self) -> None:
        pass

    # The directory's.
    def bounces(self, _account: int) -> Bounces:
        return self.way

    def bounce_domain(self, name: str) -> bool:
        return name == "bounces.example.test"

    def claims(self, name: str) -> tuple[Claim, ...]:
        return tuple(
            Claim(one, frozenset({owner})) for one, owner in self.claimed.items() if name.endswith(one)
        )

    def walls(self) -> WallMode:
        return WallMode.ENFORCE

    # Postfix's.
    def open(self) -> None:
        if self.closed:
            raise OSError("nobody there")

    def give(self, recipient: str, content: bytes) -> Reply:
        self.given.append((recipient, content))
        return self.reply

    def step(self, *several: Waiting, hourly: int = 10) -> list[Outcome]:
        self.due_now = list(several) or self.due_now
        walls = Walls(self, ["gw.example"])
        steps = Forwarding(self, self, walls, self, lambda _: self.raw, hourly, lambda: self.now)
        return list(steps.step().outcomes)


def test_a_report_stays_one_and_is_in_the_words_of_whom_it_goes_to() -> None:
    world = Scene()
    ((_, state, _),) = world.step()
    assert state is ForwardState.SENT
    ((recipient, content),) = world.given
    assert recipient == "alice@example.test"
    found = message_from_bytes(content)
    assert found["To"] == "<alice@example.test>"
    assert found["Gatepost-Report"] == f"n1; message={MESSAGE}"
    assert found["Auto-Submitted"] == "auto-replied"
    assert ADDRESS.encode() not in content.lower()
    assert b"Return-Path: <alice@example.test>" in content
    assert content.count(b"\n") == content.count(b"\r\n")
    before = message_from_bytes(RAW)
    assert [part.get_content_type() for part in found.walk()] == [
        part.get_content_type() for part in before.walk()
    ]
    assert forwarded_before(content)
    assert not forwarded_before(RAW)


@pytest.mark.parametrize("said", ["", "Auto-Submitted: no\r\n", "auto-submitted:\r\n no (person)\r\n"])
def test_a_report_says_that_no_person_wrote_it(said: str) -> None:
    raw = f"From: x@y\r\n{said}Subject: Hm\r\n\r\nHm.\r\n".encode()
    found = message_from_bytes(compose(raw, "n", "m", "", "a@b"))
    assert found.get_all("Auto-Submitted") == ["auto-generated"]
    assert found.get_payload() == "Hm.\r\n"


def test_what_is_only_a_header_or_nothing_becomes_a_message() -> None:
    for raw in (b"", b"Subject: x", b"\n\n", b"no header\n\nbody"):
        content = compose(raw, "n", "m", ADDRESS, "a@b")
        assert content.startswith(b"Gatepost-Report: n; message=m\r\n")
        assert b"\r\n\r\n" in content


@pytest.mark.parametrize(
    ("sender", "why"),
    [
        ("", "empty"),
        ("alice", "no address"),
        ("a" * 250 + "@exa…", "no address"),
        ("a> SIZE=1@example.test", "no address"),
        ("a@b\r\nRCPT TO:<c@d>", "no address"),
        (ADDRESS, "bounce domain"),
        ("x@sub.other.test", "another account's"),
        ("root@gw.example", "gateway's own"),
    ],
)
def test_some_senders_get_nothing(sender: str, why: str) -> None:
    world = Scene(claimed={"other.test": 4, "example.test": 3})
    ((_, state, text),) = world.step(ONE._replace(sender=sender))
    assert (state, world.given) == (ForwardState.STOPPED, [])
    assert why in text


@pytest.mark.parametrize(
    ("world", "why"),
    [
        (Scene(way=Bounces.EVENTS), "no reports forwarded"),
        (Scene(way=Bounces.IGNORE), "no reports forwarded"),
        (Scene(raw=None), "not kept"),
        (Scene(raw=compose(RAW, "n", "m", ADDRESS, "a@b")), "was forwarded"),
        (Scene(raw=RAW + b"\n> gatepost-report : n\n"), "was forwarded"),
    ],
)
def test_what_may_not_be_forwarded_stops_and_says_why(world: Scene, why: str) -> None:
    ((_, state, text),) = world.step()
    assert (state, world.given) == (ForwardState.STOPPED, [])
    assert why in text


def test_an_account_is_sent_so_many_in_an_hour_and_the_others_wait() -> None:
    world = Scene(counted=8)
    outcomes = world.step(*[replace_id(number) for number in range(6)])
    assert [one.state for one in outcomes] == [ForwardState.SENT, ForwardState.SENT, None]
    assert len(world.waits) == 1
    assert len(world.given) == 2


def replace_id(number: int) -> Waiting:
    return ONE._replace(id=f"n{number}")


def test_what_postfix_defers_is_tried_again_ever_later_and_given_up_in_the_end() -> None:
    world = Scene(reply=Reply(452, "full"))
    for attempts in (0, 1, 2, 50):
        assert world.step(ONE._replace(attempts=attempts))[0].state is None
    assert [(one - NOON).total_seconds() for one in world.later] == [60, 120, 240, 3600]
    world.now = NOON + LIFE + timedelta(seconds=1)
    assert world.step()[0].state is ForwardState.LATE
    refused = Scene(reply=Reply(554, "no"))
    assert refused.step()[0].state is ForwardState.REFUSED
    lost = Scene(reply=Reply(0, "gone"))
    assert lost.step()[0].state is None


def test_where_nobody_takes_mail_nothing_changes() -> None:
    world = Scene(closed=True)
    with pytest.raises(OSError, match="nobody there"):
        world.step()
    assert (world.states, world.later) == ({}, [])


def test_a_report_may_come_before_its_message_is_known() -> None:
    world = Scene()
    unknown = ONE._replace(sender=None, account_id=0)
    assert world.step(unknown)[0].state is None
    world.now = NOON + timedelta(hours=25)
    assert world.step(unknown)[0].state is ForwardState.STOPPED


def test_only_a_file_of_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "key.eml").write_bytes(b"secret")
    (tmp_path / "in" / "a.eml").write_bytes(b"report")
    (tmp_path / "in" / "link.eml").symlink_to(tmp_path / "key.eml")
    (tmp_path / "in" / "folder.eml").mkdir()
    assert read(tmp_path / "in", "a.eml", 6) == b"report"
    for name in ("../key.eml", "link.eml", "folder.eml", "gone.eml", "a.txt", ".a.eml"):
        assert read(tmp_path / "in", name, 1_000) is None
    assert read(tmp_path / "in", "a.eml", 5) is None


@pytest.mark.parametrize("piece", ["To: x\n", " \t", f"<{ADDRESS}> ", "Gatepost-Report", "\n", ">", "no "])
def test_a_report_of_any_size_costs_what_its_size_does(piece: str) -> None:
    counted = Counted()
    module = counted.load("gatepost_events.forwarding.composing")

    def composed(raw: bytes) -> None:
        module.forwarded_before(raw)
        module.compose(raw, "n", "m", ADDRESS, "a@b")

    assert_linear(
        counted, lambda size: f"Auto-Submitted: {piece * size}\n\n{piece * size}".encode(), composed
    )
