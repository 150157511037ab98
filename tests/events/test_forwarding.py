"""Reports that are forwarded: to whom and when, and what becomes of those that may not go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.domain import Bounces, Claim, Credential, Rules, State, StoreUnavailable, WallMode, ids
from gatepost_core.domain.outcomes import ForwardState, SentTo, Waiting
from gatepost_core.domain.suppressing import Reason, Suppression
from gatepost_core.domain.walls import Walls
from gatepost_events.forwarding.composing import About, compose
from gatepost_events.forwarding.posting import read
from gatepost_events.forwarding.steps import LIFE, UNHEARD, Forwarding, Outcome, Reply
from tests.bounces.forms import MTA, failed, report
from tests.core.making import credential

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MESSAGE = ids.new(int(NOON.timestamp() * 1000))
ADDRESS = "bounce-abc@bounces.example.test"
ONE = Waiting("n1", MESSAGE, 3, "alice@example.test", ADDRESS, "r.eml", NOON, 0, 7, "gpx")
QUEUED = Reply(250, "queued")
RAW = report(MTA, failed("bob@example.org"))
HERE = "gw.example"
OWNER = credential(id=7, account_id=3, username="gpx")
BEFORE = compose(RAW, About("n", "m", ADDRESS, "a@b", NOON, HERE))


def unreadable() -> bytes:
    raise OSError("input/output error")


@dataclass
class Scene:
    """Store, directory and Postfix, all at once."""

    due_now: list[Waiting] = field(default_factory=lambda: [ONE])
    reply: Reply = QUEUED
    way: Bounces = Bounces.FORWARD
    raw: bytes | None = RAW
    files: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)
    owner: Credential | None = OWNER
    suppressed: list[Suppression] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    sent_before: int = 0
    places: int = 100
    closed: bool = False
    now: datetime = NOON
    given: list[tuple[str, bytes]] = field(default_factory=list)
    begun: list[tuple[str, datetime]] = field(default_factory=list)
    later: list[tuple[str, int, str, datetime]] = field(default_factory=list)
    states: dict[str, ForwardState] = field(default_factory=dict)
    sent: list[Waiting] = field(default_factory=list)
    without: Collection[int] = ()
    steps: Forwarding | None = None

    # The store's.
    def due(self, _now: datetime, most: int, without: Collection[int] = ()) -> Sequence[Waiting]:
        self.without = set(without)
        waits = [one for one in self.due_now if one.id not in self.states]
        return [one for one in waits if one.account_id not in without][:most]

    def full_since(self, one: Waiting, of: SentTo, most: int, _now: datetime) -> datetime | None:
        same = {
            SentTo.ACCOUNT: [other for other in self.sent if other.account_id == one.account_id],
            SentTo.ADDRESS: [other for other in self.sent if other.sender == one.sender],
            SentTo.MESSAGE: [other for other in self.sent if other.message == one.message],
        }[of]
        number = len(same) + (self.sent_before if of is SentTo.ACCOUNT else 0)
        return NOON - timedelta(minutes=20) if number >= most else None

    def enough(self, one: Waiting) -> bool:
        return sum(other.message == one.message for other in self.sent) >= self.places

    def begin(self, one: Waiting, until: datetime) -> bool:
        self.begun.append((one.id, until))
        return True

    def settle(self, one: Waiting, state: ForwardState, _note: str, _now: datetime) -> None:
        self.states[one.id] = state
        if state is ForwardState.SENT:
            self.sent.append(one)

    def postpone(self, one: Waiting, note: str, until: datetime) -> None:
        self.later.append((one.id, one.attempts, note, until))

    def forget(self, _before: datetime) -> int:
        return 0

    def close(self) -> None:
        pass

    # The directory's.
    def bounces(self, _account: int) -> Bounces:
        return self.way

    def bounce_domain(self, name: str) -> bool:
        return name == "bounces.example.test"

    def credential(self, username: str) -> Credential | None:
        if username in self.unknown:
            raise StoreUnavailable("rules that this release does not know")
        return self.owner

    def suppressions(self, _account: int, _credential: str, keys: Sequence[str]) -> list[Suppression]:
        return [one for one in self.suppressed if one.address in keys]

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

    def stop(self) -> None:
        self.closed = True

    def read(self, name: str) -> bytes | None:
        return self.files[name]() if name in self.files else self.raw

    def step(self, *several: Waiting, hourly: int = 200) -> list[Outcome]:
        self.due_now = list(several) or self.due_now
        if self.steps is None:
            walls = Walls(self, [HERE])
            self.steps = Forwarding(self, self, walls, self, self.read, hourly, HERE, lambda: self.now)
        return list(self.steps.step().outcomes)


def numbered(number: int, **changes: Any) -> Waiting:
    return ONE._replace(id=f"n{number}", message=f"m{number}", **changes)


def test_a_report_goes_to_the_envelope_sender_and_the_attempt_is_noted_before() -> None:
    world = Scene()
    ((_, state, _),) = world.step()
    assert state is ForwardState.SENT
    assert [recipient for recipient, _ in world.given] == ["alice@example.test"]
    assert world.begun == [("n1", NOON + timedelta(seconds=60))]


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
        (Scene(raw=BEFORE), "was forwarded here"),
        (Scene(raw=RAW + b"\n> gatepost-report : n; message=m; by=GW.example\n"), "was forwarded here"),
        (Scene(raw=b"X: y\n" * 100_000), "header is larger"),
        (Scene(raw=b"a:b\n" * 2_000), "header has more than"),
        (Scene(owner=None), "does not exist any more"),
        (Scene(owner=replace(OWNER, id=8)), "does not exist any more"),
        (Scene(owner=replace(OWNER, state=State.DISABLED)), "disabled"),
        (Scene(owner=replace(OWNER, expires_at=NOON)), "expired"),
        (Scene(owner=replace(OWNER, rules=Rules(senders=("*@b.test",)))), "not allowed"),
        (Scene(suppressed=[Suppression(3, "alice@example.test", Reason.COMPLAINT, NOON)]), "suppressed"),
        (Scene(places=0), "as the recipients can make"),
    ],
)
def test_what_may_not_be_forwarded_stops_and_says_why(world: Scene, why: str) -> None:
    ((_, state, text),) = world.step()
    assert (state, world.given) == (ForwardState.STOPPED, [])
    assert why in text


def test_who_unsubscribed_hears_of_his_own_mail_and_whom_somebody_entered_does_not() -> None:
    for reason, state in ((Reason.UNSUBSCRIBE, ForwardState.SENT), (Reason.MANUAL, ForwardState.STOPPED)):
        world = Scene(suppressed=[Suppression(3, "alice@example.test", reason, NOON)])
        assert world.step()[0].state is state


def test_an_account_is_sent_so_many_in_an_hour_and_is_left_out_until_then() -> None:
    world = Scene(sent_before=198)
    several = [numbered(number, sender=f"a{number}@example.test") for number in range(6)]
    outcomes = world.step(*several)
    assert [one.state for one in outcomes] == [ForwardState.SENT, ForwardState.SENT, None]
    # Nothing was changed of those that wait: the oldest is the next.
    assert world.later == []
    world.sent_before = 0
    world.now = NOON + timedelta(minutes=39)
    assert (world.step(), world.without) == ([], {3})
    world.now = NOON + timedelta(minutes=40)
    assert [one.report.id for one in world.step()] == ["n2", "n3", "n4", "n5"]


def test_a_clock_that_was_set_back_does_not_leave_an_account_out_for_longer() -> None:
    world = Scene(sent_before=200)
    assert world.step()[0].state is None
    world.sent_before = 0
    world.now = NOON - timedelta(days=1)
    assert world.step()[0].state is ForwardState.SENT


@pytest.mark.parametrize(
    ("several", "sent", "of"),
    [
        ([numbered(one) for one in range(8)], 5, "address"),
        ([ONE._replace(id=f"n{one}") for one in range(8)], 2, "message"),
    ],
)
def test_no_address_and_no_message_uses_up_what_its_account_has(
    several: list[Waiting], sent: int, of: str
) -> None:
    world = Scene()
    world.step(*several, hourly=20)
    assert len(world.given) == sent
    assert {note for _, _, note, _ in world.later} == {f"its {of} was sent {sent} in an hour"}
    assert {until for *_, until in world.later} == {NOON + timedelta(minutes=40)}
    assert {attempts for _, attempts, _, _ in world.later} == {0}


def test_what_postfix_defers_is_tried_again_ever_later_and_given_up_in_the_end() -> None:
    world = Scene(reply=Reply(452, "full"))
    for attempts in (0, 1, 2, 50):
        assert world.step(ONE._replace(attempts=attempts))[0].state is None
    assert [(until - NOON).total_seconds() for *_, until in world.later] == [60, 120, 240, 3600]
    assert [attempts for _, attempts, _, _ in world.later] == [1, 2, 3, 51]
    world.now = NOON + LIFE + timedelta(seconds=1)
    assert world.step()[0].state is ForwardState.LATE
    refused = Scene(reply=Reply(554, "no"))
    assert refused.step()[0].state is ForwardState.REFUSED
    lost = Scene(reply=Reply(0, "gone"))
    assert lost.step()[0].state is None


def test_after_an_answer_that_was_not_heard_it_goes_once_more_at_the_most() -> None:
    world = Scene(reply=Reply(0, "timed out", unheard=True))
    assert world.step()[0].state is None
    note = world.later[0][2]
    assert note.startswith(UNHEARD)
    # What comes between does not make it forgotten.
    world.reply = Reply(452, "full")
    assert world.step(ONE._replace(note=note))[0].state is None
    assert world.later[1][2].startswith(UNHEARD)
    world.reply = Reply(0, "timed out", unheard=True)
    ((_, state, text),) = world.step(ONE._replace(note=world.later[1][2]))
    assert (state, "twice" in text) == (ForwardState.SENT, True)


def test_where_nobody_takes_mail_nothing_changes() -> None:
    world = Scene(closed=True)
    with pytest.raises(OSError, match="nobody there"):
        world.step()
    assert (world.states, world.later, world.begun) == ({}, [], [])


def test_what_goes_wrong_with_one_report_holds_up_no_other() -> None:
    def too_much() -> bytes:
        raise MemoryError

    world = Scene(files={"io.eml": unreadable, "memory.eml": too_much}, unknown={"newer"})
    several = [
        numbered(1, file="io.eml"),
        numbered(2, username="newer"),
        numbered(3, file="memory.eml"),
        numbered(4),
    ]
    outcomes = world.step(*several)
    assert [one.state for one in outcomes] == [None, None, None, ForwardState.SENT]
    assert [(number, attempts) for number, attempts, _, _ in world.later] == [("n1", 1), ("n2", 1), ("n3", 1)]
    assert "input/output error" in outcomes[0].text
    assert len(world.given) == 1


def test_the_daemon_s_end_waits_for_no_more_than_one_report() -> None:
    world = Scene()

    def stopped() -> bytes:
        assert world.steps is not None
        world.steps.stop()
        return RAW

    world.files["r1.eml"] = stopped
    world.step(numbered(1, file="r1.eml"), numbered(2), numbered(3))
    assert [number for number, _ in world.begun] == ["n1"]
    assert list(world.states) == ["n1"]


def test_a_report_may_come_before_its_message_is_known() -> None:
    world = Scene()
    unknown = ONE._replace(sender=None, account_id=0)
    assert world.step(unknown)[0].state is None
    world.now = NOON + timedelta(hours=25)
    assert world.step(unknown)[0].state is ForwardState.STOPPED


def test_only_a_file_of_the_folder_is_read_and_its_beginning_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "key.eml").write_bytes(b"secret")
    (tmp_path / "in" / "a.eml").write_bytes(b"report")
    (tmp_path / "in" / "link.eml").symlink_to(tmp_path / "key.eml")
    (tmp_path / "in" / "folder.eml").mkdir()
    assert read(tmp_path / "in", "a.eml", 6) == b"report"
    for name in ("../key.eml", "link.eml", "folder.eml", "gone.eml", "a.txt", ".a.eml"):
        assert read(tmp_path / "in", name, 1_000) is None
    assert read(tmp_path / "in", "a.eml", 5) == b"repor"
