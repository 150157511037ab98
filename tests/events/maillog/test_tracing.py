"""From lines to what became of recipients; accounts of what must be there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatepost_core.domain.outcomes import Told
from gatepost_events.maillog.items import born
from gatepost_events.maillog.tracing import Tracing
from tests.events.maillog.world import ONE, TWO, active, feed, line, outcome, removed, restarted


def brief(told: list[Told]) -> list[tuple[str, str]]:
    return [(one.type, one.recipient) for one in told]


def details(told: list[Told], name: str) -> list[Any]:
    return [one.detail.get(name) for one in told]


def begun() -> Tracing:
    """Return what read a line before all others."""
    tracing = Tracing({})
    feed(tracing, removed("4jbyB45FjKzJB9Y", second=1))
    return tracing


def test_a_delivery_is_told_with_relay_reply_and_delays() -> None:
    tracing = Tracing({})
    (told,) = feed(tracing, active(), outcome(), removed())
    assert (told.queue_id, told.type, told.recipient) == (ONE, "delivered", "bob@example.org")
    assert told.detail == {
        "source": "log",
        "relay": "mx.example.org[192.0.2.1]:25",
        "status": "2.0.0",
        "reply": "250 2.0.0 Ok",
        "delay": "0.06",
        "delays": "0.03/0.02/0/0.01",
        "attempt": 1,
        "queue_id": ONE,
    }
    assert tracing.lost == 0


def test_attempts_are_counted_over_restarts_and_expiry_fails_who_waits() -> None:
    kept: dict[str, str] = {}
    tracing = Tracing({})
    feed(tracing, active(recipients=2), outcome(), outcome("late@example.org", "deferred", said="refused"))
    assert tracing.queued == {ONE: 1795843196_000_000}
    tracing = restarted(tracing, kept)
    again = feed(tracing, active(), outcome("late@example.org", "deferred", said="connection refused"))
    assert details(again, "attempt") == [2]
    tracing = restarted(tracing, kept)
    told = feed(tracing, line("qmgr", f"{ONE}: from=<>, status=expired, returned to sender"), removed())
    assert brief(told) == [("failed", "late@example.org")]
    assert (told[0].detail["class"], told[0].detail["permanent"]) == ("infrastructure", False)
    assert told[0].detail["attempt"] == 2
    assert tracing.lost == 0
    restarted(tracing, kept)
    assert list(kept) == [""]  # when reading began


def test_a_refused_recipient_fails_with_its_class() -> None:
    said = "host mx[192.0.2.1] said: 550 5.1.1 <bob@example.org>: User unknown (in reply to RCPT TO command)"
    (told,) = feed(Tracing({}), active(), outcome(status="bounced", said=said), removed())
    assert told.type == "failed"
    assert (told.detail["class"], told.detail["permanent"], told.detail["code"]) == ("mailbox", True, "550")


def test_an_alias_is_told_of_the_address_that_was_sent_to() -> None:
    told = feed(
        Tracing({}),
        active(recipients=2),
        outcome("a@x.test", original="all@x.test"),
        outcome("b@x.test", original="all@x.test"),
    )
    assert brief(told) == [("delivered", "all@x.test")] * 2
    assert details(told, "final_recipient") == ["a@x.test", "b@x.test"]


def test_what_is_only_asked_of_an_address_is_no_outcome() -> None:
    assert feed(Tracing({}), outcome(status="deliverable"), outcome(status="undeliverable")) == []


def test_removed_by_hand_fails_who_waited() -> None:
    tracing = begun()
    feed(tracing, active(), outcome(status="deferred"))
    (told,) = feed(tracing, line("postsuper", f"{ONE}: removed"))
    assert told.type == "failed"
    assert "by hand" in told.detail["reply"]


def test_a_message_that_is_queued_anew_is_the_same_message() -> None:
    tracing = Tracing({})
    feed(tracing, active(), outcome(status="deferred"))
    told = feed(
        tracing,
        line("pickup", f"{TWO}: uid=0 from=<a@example.test> orig_id={ONE}"),
        active(TWO),
        outcome(number=TWO),
        removed(TWO),
    )
    assert [(one.queue_id, one.detail["queue_id"]) for one in told] == [(ONE, TWO)]


def test_lines_that_are_missing_are_counted_and_nothing_is_made_up() -> None:
    tracing = begun()
    feed(tracing, active(recipients=3), outcome(), removed())
    assert tracing.lost == 2
    assert brief(tracing.told) == [("delivered", "bob@example.org")]


def test_an_attempt_without_its_outcome_is_counted_once() -> None:
    tracing = begun()
    late = outcome("late@example.org", "deferred")
    feed(tracing, active(recipients=2), outcome(), late, active(recipients=2), late, active(recipients=2))
    assert tracing.lost == 0
    feed(tracing, active(recipients=2), outcome("late@example.org"), removed())
    assert tracing.lost == 1


def test_outcomes_and_ends_of_what_was_never_taken_up_are_counted() -> None:
    tracing = begun()
    feed(tracing, outcome(), removed(), removed(TWO))
    assert tracing.lost == 2


def test_of_what_is_older_than_the_first_line_nothing_is_missed() -> None:
    tracing = Tracing({})
    feed(
        tracing,
        line("qmgr", "4jb000000BzJB9Y: removed"),
        active(recipients=3),
        outcome(),
        removed(),
        removed(TWO),
    )
    assert tracing.lost == 0
    assert len(tracing.told) == 1


def test_when_a_queue_id_was_given() -> None:
    assert born("4jbzB45FjKzJB9Y") == 1795843196_740133
    assert born("7A1B2C3D4E5F") == 0


def came(number: str = ONE) -> str:
    return line("smtpd", f"{number}: client=u[192.0.2.1], sasl_method=PLAIN, sasl_username=gp", 1)


def later(second: int = 59) -> str:
    return line("smtpd", "ABCDEF123456: client=u[192.0.2.1]", second)


def test_what_came_and_was_never_seen_in_the_queue_is_told_as_missing() -> None:
    (told,) = feed(begun(), came(), later())
    assert (told.queue_id, told.type, told.detail["untraced"]) == (ONE, "refused", True)
    tracing = begun()
    assert feed(tracing, came(), active(second=2), later()) == []
    held = line("cleanup", f"{ONE}: milter-hold: END-OF-MESSAGE from h[192.0.2.1]: milter triggers HOLD", 2)
    assert brief(feed(begun(), came(), held, later())) == [("held", "")]
    assert feed(begun(), came(), later(20)) == []


def test_after_lost_lines_nothing_is_concluded_of_what_came_before() -> None:
    tracing = begun()
    feed(tracing, came(TWO), active(recipients=2, second=2), outcome(second="3"), removed(second=4))
    assert tracing.lost == 1
    assert feed(tracing, later()) == []


def test_refused_held_and_released_are_told_of_the_whole_message() -> None:
    told = feed(
        Tracing({}),
        line("cleanup", f"{ONE}: milter-reject: END-OF-MESSAGE from h[192.0.2.1]: 5.7.1 no"),
        line(
            "cleanup",
            f"{ONE}: milter-discard: END-OF-MESSAGE from h[192.0.2.1]: milter triggers DISCARD action",
        ),
        line("postsuper", f"{TWO}: placed on hold"),
        line("postsuper", f"{TWO}: released from hold"),
    )
    assert brief(told) == [("refused", ""), ("held", ""), ("released", "")]


def test_what_is_remembered_is_text_that_another_release_can_look_at() -> None:
    tracing = begun()
    feed(tracing, active(), outcome(status="deferred", said="busy"))
    assert json.loads(tracing.changes()[0][ONE]) == [
        ONE, 1, 0, 1, {"bob@example.org": [1, "4.4.1", "busy"]}, False,
    ]  # fmt: skip


def test_when_it_happened_is_told_by_the_delay_where_only_the_second_is_known() -> None:
    (told,) = feed(begun(), active(), outcome(second="56"))
    assert told.at == born(ONE) + 60_000
    (told,) = feed(begun(), active(), outcome(second="59"))
    assert told.at == 1795843199_000_000
    (told,) = feed(begun(), line("postsuper", f"{ONE}: placed on hold", 59))
    assert told.at == 1795843199_999_000


def filtered(client: str = "localhost[127.0.0.1]", more: str = "") -> str:
    return line("smtpd", f"{TWO}: client={client}{more}")


def hop(relay: str = "127.0.0.1[127.0.0.1]:10024") -> str:
    said = f"250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as {TWO}"
    return outcome(said=said).replace("mx.example.org[192.0.2.1]:25", relay)


@pytest.mark.parametrize("more", ["", f", orig_queue_id={ONE}, orig_client=shop.test[192.0.2.9]"])
def test_what_a_content_filter_gives_back_is_the_same_message(more: str) -> None:
    tracing = begun()
    assert feed(tracing, active(), filtered(more=more), active(TWO), hop(), removed()) == []
    (told,) = feed(tracing, outcome(number=TWO, said="250 there"), removed(TWO))
    assert (told.queue_id, told.detail["reply"], told.detail["queue_id"]) == (ONE, "250 there", TWO)
    assert tracing.lost == 0


def test_a_filter_that_was_quicker_than_its_reply_is_followed_by_the_id_that_it_names() -> None:
    tracing = begun()
    feed(
        tracing,
        active(),
        filtered(more=f", orig_queue_id={ONE}"),
        active(TWO),
        outcome(number=TWO),
        removed(TWO),
        hop(),
    )
    assert [(one.queue_id, one.detail["queue_id"]) for one in tracing.told] == [(ONE, TWO)]


@pytest.mark.parametrize(
    ("came", "relay"),
    [
        # Another customer's message; one that came from elsewhere; a host elsewhere that names an id of ours.
        (filtered(more=", sasl_method=PLAIN, sasl_username=gp2"), "127.0.0.1[127.0.0.1]:10024"),
        (filtered("mx.example.org[192.0.2.7]"), "127.0.0.1[127.0.0.1]:10024"),
        (filtered(), "mx.example.org[192.0.2.1]:25"),
        (filtered(), "x[127.0.0.1].example[192.0.2.1]:25"),
    ],
)
def test_nobody_can_have_anothers_message_told_as_his(came: str, relay: str) -> None:
    tracing = begun()
    (told,) = feed(tracing, active(), came, active(TWO), hop(relay))
    assert (told.type, told.queue_id) == ("delivered", ONE)
    (other,) = feed(tracing, outcome(number=TWO))
    assert other.queue_id == TWO


def test_an_alias_that_local_forwards_is_followed() -> None:
    tracing = begun()
    told = feed(
        tracing, active(), active(TWO), outcome(program="local", said=f"forwarded as {TWO}"), removed()
    )
    assert told == []
    (told_later,) = feed(tracing, outcome("inner@example.net", number=TWO, original="bob@example.org"))
    assert (told_later.queue_id, told_later.recipient) == (ONE, "bob@example.org")


def test_removed_by_hand_before_any_attempt_it_failed_for_all() -> None:
    (told,) = feed(Tracing({}), line("postsuper", f"{ONE}: removed"))
    assert (told.type, told.recipient, told.queue_id) == ("failed", "", ONE)
    told_of = feed(
        begun(), active(recipients=2), outcome(status="deferred"), line("postsuper", f"{ONE}: removed")
    )
    assert brief(told_of[1:]) == [("failed", "bob@example.org"), ("failed", "")]


def test_ten_thousand_lost_lines_are_noticed_and_nothing_is_made_up() -> None:
    lines = []
    for number in range(4_000):
        place = f"{number // 100 % 10}{number // 10 % 10}{number % 10}{number // 1000}"
        queue_id = f"4jbzB4{place}zJB9Y"
        client = line("smtpd", f"{queue_id}: client=u[192.0.2.1], sasl_method=PLAIN, sasl_username=gp")
        taken = line("cleanup", f"{queue_id}: message-id=<{number}@example.test>")
        lines += [client, taken, active(queue_id), outcome(number=queue_id), removed(queue_id)]
    kept = lines[:5_003] + lines[15_003:]
    tracing = begun()
    feed(tracing, *kept)
    assert len(tracing.told) == sum("status=sent" in text for text in kept)
    # Of the message in the middle of which the gap begins, and of that in which it ends; nothing else shows.
    assert tracing.lost == 1
