"""What a refused client hears of gatepost-policy, and what is recorded: references, within a bound."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest

from gatepost_core.domain import Credential, Decision, Pass, Reject, StoreUnavailable, spooled
from gatepost_core.domain.decision.refusals import Bound
from gatepost_core.serving import Send
from gatepost_policy.protocol import Request
from gatepost_policy.refusals import Refusals
from gatepost_policy.session import PolicySession
from tests.core.making import credential
from tests.refs import reference

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
DENIED = Reject(550, "5.7.1", "Recipient <x> is denied to credential gp1, by its rule example.org", "denied")


class World:
    """gp1 and gp2, two accounts; what is recorded; a decision for each question."""

    def __init__(self, most: int = 100, decision: Decision = DENIED) -> None:
        self.kept: list[spooled.Refused] = []
        self.beyond = 0
        self.down = False
        self.decision = decision
        self.told: list[str] = []
        self.refusals = Refusals(self, self.record, Bound(most), "node", lambda: NOW, self.above)

    def credential(self, username: str) -> Credential | None:
        if self.down:
            raise StoreUnavailable("gone")
        numbers = {"gp1": 1, "gp2": 2}
        if username not in numbers:
            return None
        return credential(id=numbers[username], account_id=10 * numbers[username], username=username)

    def record(self, at: datetime, content: bytes) -> None:
        assert at == NOW
        self.kept.append(spooled.read_refused(content))

    def above(self) -> None:
        self.beyond += 1

    def decide(self, request: Request) -> Decision:
        del request
        return self.decision

    def ask(self, **attributes: str) -> str:
        session = PolicySession(self, self.hear, self.refusals)  # type: ignore[arg-type]
        outputs = session.receive(raw(**attributes), 0.0)
        (answer,) = [one.data for one in outputs if isinstance(one, Send)]
        return answer.decode().removeprefix("action=").strip()

    def hear(self, request: Request, decision: Decision | None, reason: str) -> None:
        del request, reason
        self.told.append("" if decision is None or isinstance(decision, Pass) else decision.reference)


def raw(**attributes: str) -> bytes:
    asked = {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "client_address": "192.0.2.7",
        "server_port": "587",
        "sender": "alice@example.test",
        "recipient": "bob@example.org",
        "recipient_count": "0",
        "queue_id": "",
        "instance": "1a2b.5e8f.0",
        "size": "100",
        "sasl_username": "gp1",
        "encryption_protocol": "TLSv1.3",
        "encryption_cipher": "TLS_AES_256_GCM_SHA384",
        **attributes,
    }
    return "".join([f"{name}={value}\n" for name, value in asked.items()]).encode() + b"\n"


def test_client_log_and_record_have_the_same_reference() -> None:
    world = World()
    answer = world.ask()
    (kept,) = world.kept
    assert world.told == [reference(answer)] == [kept.reference]
    assert (kept.account_id, kept.credential_id, kept.recipient) == (10, 1, "bob@example.org")
    assert json.loads(kept.detail) == {
        "source": "policy",
        "reference": kept.reference,
        "credential": "gp1",
        "stage": "RCPT",
        "reply": answer,
        "reason": "denied",
        "sender": "alice@example.test",
        "recipients": 0,
        "ip": "192.0.2.7",
        "queue_id": "",
    }


def test_a_question_asked_again_has_the_same_reference_and_is_recorded_once() -> None:
    world = World()
    first = world.ask()
    assert [world.ask() for _ in range(20)] == [first] * 20
    assert len(world.kept) == 1
    # Another worker or the daemon after a restart answers alike, too; the store tells them apart (ingest).
    assert World().ask() == first
    others = [world.ask(**other) for other in (
        {"recipient": "carol@example.org"}, {"protocol_state": "DATA"}, {"instance": "1a2b.5e8f.1"},
        {"sasl_username": "gp2"},
    )]  # fmt: skip
    assert len({first, *others}) == 5
    assert len(world.kept) == 5


def test_a_flood_of_one_credential_is_recorded_up_to_the_bound_and_another_s_refusal_still_is() -> None:
    world = World(most=100)
    heard = {reference(world.ask(instance=f"1.{number:x}.0")) for number in range(10_000)}
    assert len(heard) > 9_990  # each has its own, but by chance
    assert (len(world.kept), world.beyond) == (100, 9_900)
    assert [json.loads(one.detail).get("last_of_hour") for one in world.kept] == [None] * 99 + [100]
    world.ask(sasl_username="gp2")
    assert world.kept[-1].credential_id == 2


@pytest.mark.parametrize("attributes", [{"sasl_username": ""}, {"sasl_username": "gone"}])
def test_who_is_nobody_has_a_reference_and_no_record(attributes: dict[str, str]) -> None:
    world = World()
    assert reference(world.ask(**attributes)) == world.told[0]
    assert world.kept == []


def test_a_store_that_is_gone_meanwhile_costs_the_record_only() -> None:
    world = World()
    world.down = True
    assert reference(world.ask()) == world.told[0]
    assert world.kept == []


def test_without_a_spool_the_refusal_goes_out_all_the_same() -> None:
    world = World()
    world.refusals = Refusals(world, None, Bound(100), "node", lambda: NOW)
    assert world.ask().startswith("550 5.7.1 Recipient <x> is denied")
    assert world.told[0]


@pytest.mark.parametrize(
    "recipient", ["bob@example.org", f"{'b' * 64}@{'d' * 180}.org", "ü" * 120 + "@x.org"]
)
@pytest.mark.parametrize("stage", ["RCPT", "DATA"])
def test_a_reply_fits_into_a_line_of_smtp_with_postfix_s_words_and_keeps_its_reference(
    recipient: str, stage: str
) -> None:
    world = World(decision=Reject(550, "5.7.10", "word " * 200, "long"))
    answer = world.ask(recipient=recipient, protocol_state=stage)
    before = {
        "RCPT": f"<{recipient}>: Recipient address rejected: ",
        "DATA": "<DATA>: Data command rejected: ",
    }
    assert reference(answer)
    assert len(answer) + len(before[stage].encode()) + 2 <= 512


def calls(act: Callable[[], object]) -> list[str]:
    """Return what of ours is called: modules and functions."""
    found: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        del argument
        if event == "call":
            found.append(f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_name}")

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return [name for name in found if name.startswith("gatepost_")]


def test_what_passes_pays_nothing_for_references() -> None:
    passed, refused = World(decision=Pass("fine")), World()
    for world, is_called in ((passed, False), (refused, True)):
        session = PolicySession(world, world.hear, world.refusals)  # type: ignore[arg-type]
        made = calls(lambda session=session: session.receive(raw(), 0.0))  # type: ignore[misc]
        assert any("refusals" in name for name in made) is is_called
    session = PolicySession(passed, passed.hear, passed.refusals)  # type: ignore[arg-type]
    made = [name.rpartition(".")[2] for name in calls(lambda: session.receive(raw(), 0.0))]
    # As before there were any.
    assert made == ["receive", "requests", "decode", "encode", "__init__"]
