"""A connection of the order socket: what each line is answered, in whatever pieces it comes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gatepost_core.domain import Rules, Source
from gatepost_core.domain.orders import (
    LINE_MOST,
    Answer,
    CredentialOrder,
    Ping,
    Result,
    read_answer,
    write_order,
)
from gatepost_core.serving import Close, Later, Output, Send
from gatepost_events.session import OrderSession

ORDER = CredentialOrder("lena", Source.LDAP, "staff", {}, Rules())
LINE = write_order(ORDER)
MADE = Answer(Result.MADE)


class Made:
    """What was asked for, and what was reported of it."""

    def __init__(self, answer: Answer = MADE) -> None:
        self.answer = answer
        self.asked: list[CredentialOrder] = []
        self.reported: list[tuple[CredentialOrder, Answer]] = []

    def make(self, order: CredentialOrder) -> Answer:
        self.asked.append(order)
        return self.answer

    def session(self, refusal: str = "") -> OrderSession:
        return OrderSession(self.make, lambda order, answer: self.reported.append((order, answer)), refusal)


def answers(outputs: Sequence[Output]) -> list[Answer]:
    """Do what is to be done, and return the answers that are sent."""
    found: list[Answer] = []
    for output in outputs:
        sent = output.work() if isinstance(output, Later) else [output]
        found += [read_answer(one.data[:-1]) for one in sent if isinstance(one, Send)]
    return found


@pytest.mark.parametrize("answer", [MADE, Answer(Result.KNOWN), Answer(Result.REFUSED, "no account")])
def test_an_order_is_carried_out_in_a_thread_answered_and_reported(answer: Answer) -> None:
    made = Made(answer)
    session = made.session()
    assert session.start() == ()
    outputs = session.receive(LINE, 0.0)
    assert made.asked == []
    assert answers(outputs) == [answer]
    assert made.asked == [ORDER]
    assert made.reported == [(ORDER, answer)]


def test_pieces_and_several_lines_at_once_are_the_same() -> None:
    made = Made()
    session = made.session()
    sent = LINE + write_order(Ping()) + LINE
    outputs = [out for byte in sent for out in session.receive(bytes([byte]), 0.0)]
    assert answers(outputs) == [MADE, Answer(Result.HERE), MADE]
    assert answers(made.session().receive(sent, 0.0)) == answers(outputs)


def test_what_is_no_order_is_refused_and_ends_the_connection_after_what_came_before_it() -> None:
    made = Made()
    *_, here, refused, close = made.session().receive(LINE + write_order(Ping()) + b"nonsense\n" + LINE, 0.0)
    assert answers([here]) == [Answer(Result.HERE)]
    assert answers([refused])[0].result is Result.REFUSED
    assert isinstance(close, Close)
    assert made.asked == []  # each is done in its turn, by whoever carries the outputs out


def test_a_line_without_an_end_is_refused_at_its_limit() -> None:
    session = Made().session()
    assert session.receive(b"x" * LINE_MOST, 0.0) == []
    refused, close = session.receive(b"x", 0.0)
    assert "more than 65536 bytes" in answers([refused])[0].text
    assert isinstance(close, Close)


def test_a_peer_that_may_give_none_hears_why_before_it_says_anything() -> None:
    made = Made()
    refused, close = made.session("user 65534 may give no orders").start()
    assert answers([refused]) == [Answer(Result.REFUSED, "user 65534 may give no orders")]
    assert isinstance(close, Close)
    assert "user 65534" in close.reason
