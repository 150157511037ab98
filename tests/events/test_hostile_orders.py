"""50,000 generated hostile inputs on the order socket's session: no crash, no hang, no growth of memory."""

from __future__ import annotations

import random

from gatepost_core.domain import Rules, Source
from gatepost_core.domain.orders import Answer, CredentialOrder, Ping, Result, read_answer, write_order
from gatepost_core.serving import Close, Later, Output, Send
from gatepost_events.session import OrderSession
from tests.sasl.test_hostile_input import hostile, soak

INPUTS = 50_000
_ORDER = CredentialOrder(
    "lena \U0001f600",
    Source.LDAP,
    "staff",
    {"inlinecss": True, "images": "hosted", "tags": ("one", "two")},
    Rules(("lena@example.org", "*.example.net"), ("192.0.2.0/24", "2001:db8::/32")),
)
_SEEDS = [
    write_order(_ORDER),
    write_order(CredentialOrder("penny", Source.PAM, "staff", {}, Rules())),
    write_order(Ping()),
    b'[1,"credential","a","pam","b",["tags=x"],["@"],["::"]]\n',
    b'[1,"' + b"\\u0000" * 2_000 + b'"]\n',
    b"[" * 5_000 + b"\n",
    b'[1,"credential","' + b"x" * 20_000 + b'","ldap","b",[],[],[]]\n',
]


def test_a_session_takes_any_bytes_in_any_pieces_and_makes_only_what_was_asked_for() -> None:
    random_ = random.Random(3)  # noqa: S311 - to be the same at each run
    made: list[CredentialOrder] = []

    def make(order: CredentialOrder) -> Answer:
        made.append(order)
        return Answer(Result.MADE)

    sessions = [OrderSession(make, lambda _order, _answer: None)]

    def carry_out(outputs: list[Output]) -> None:
        for output in outputs:
            for one in output.work() if isinstance(output, Later) else (output,):
                if isinstance(one, Close):
                    sessions[0] = OrderSession(make, lambda _order, _answer: None)
                    return
                assert isinstance(one, Send)
                assert one.data.count(b"\n") == 1
                read_answer(one.data[:-1])

    def one() -> None:
        made.clear()
        data = hostile(random_, _SEEDS)
        while data:
            size = random_.choice((1, 7, 100, 16_384)) if len(data) < 200 else 16_384
            piece, data = data[:size], data[size:]
            carry_out(list(sessions[0].receive(piece, 0.0)))
        for order in made:
            assert order.source in (Source.PAM, Source.LDAP)
            assert 0 < len(order.username) <= 255
            assert write_order(order)

    soak(INPUTS, one)
