"""Orders to gatepost-events as lines: what is written is read back, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest

from gatepost_core.domain import Rules, Source
from gatepost_core.domain.orders import (
    LINE_MOST,
    Answer,
    CredentialOrder,
    Lines,
    OrderError,
    Ping,
    Result,
    read_answer,
    read_order,
    write_answer,
    write_order,
)
from tests.steps import World, assert_linear

ORDER = CredentialOrder(
    "lena",
    Source.LDAP,
    "staff",
    {"inlinecss": True, "trackclicks": False, "images": "hosted", "tags": ("one", "two words")},
    Rules(("lena@example.org", "*.example.net", "lena@[192.0.2.1]"), ("192.0.2.0/24", "2001:db8::/32")),
)


def spelled(*values: object) -> bytes:
    return json.dumps([1, *values]).encode()


def credential(**changes: object) -> bytes:
    """Return an order in which some values are others."""
    values: dict[str, object] = {
        "username": "lena",
        "source": "ldap",
        "account": "staff",
        "features": [],
        "senders": [],
        "networks": [],
    }
    return spelled("credential", *{**values, **changes}.values())


@pytest.mark.parametrize(
    "order",
    [ORDER, CredentialOrder("jörg \U0001f600", Source.PAM, "staff", {}, Rules()), Ping()],
)
def test_an_order_arrives_as_it_was_sent(order: CredentialOrder | Ping) -> None:
    line = write_order(order)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert read_order(line[:-1]) == order


@pytest.mark.parametrize("result", list(Result))
def test_an_answer_arrives_as_it_was_sent(result: Result) -> None:
    answer = Answer(result, "no account 'staff'\nin there")
    assert read_answer(write_answer(answer)[:-1]) == answer


def test_a_long_reason_is_cut_and_still_one_line() -> None:
    line = write_answer(Answer(Result.REFUSED, "x" * 1_000_000))
    assert len(line) < 1_000
    assert read_answer(line[:-1]).text.endswith("x…")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "no JSON"),
        (b"GET / HTTP/1.1\r", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"NaN", "no array"),
        (b"[]", "no array"),
        (b'{"1":2}', "no array"),
        (b'[true,"ping"]', "no array"),
        (b'[2,"ping"]', "version 2 of this protocol"),
        (b"[" + b"1" * 5000 + b"]", "no JSON"),
        (b"[1" * 201, "too many brackets"),
        (b"[" * 60_000, "too many brackets"),
        (b'{"":' * 10_000, "too many brackets"),
        (b"[1,1]", "no order"),
        (b'[1,"ping",1]', "no order"),
        (spelled("drop tables"), "'drop tables', which this release does not know"),
        (spelled("credential", "lena", "ldap"), "no order"),
        (credential(source="store"), "made by order; expected pam or ldap"),
        (credential(source=1), "no order"),
        (credential(username=""), "no user name"),
        (credential(username="x" * 256), "no user name"),
        (credential(username="le\nna"), "no user name"),
        (credential(username="le\ud800na"), "no user name"),
        (credential(username="le\0na"), "no user name"),
        (credential(username=["lena"]), "no order"),
        (credential(account=""), "no account"),
        (credential(features=["unheard-of"]), "unknown feature"),
        (credential(features=["metadata={}"]), "no credential has it"),
        (credential(features=["tags=a", "tags=b"]), "given twice"),
        (credential(features=["trackclicks=perhaps"]), "not understood"),
        (credential(features=[["trackclicks"]]), "no text"),
        (credential(features={"trackclicks": True}), "no order"),
        (credential(senders=["*"]), "cannot be used as a sender"),
        (credential(senders=["a@b@c"]), "cannot be used as a sender"),
        (credential(senders=[""]), "cannot be used as a sender"),
        (credential(senders=["a@" + "b" * 400]), "cannot be used as a sender"),
        (credential(senders=["a@\u202eb.test"]), "cannot be used as a sender"),
        (credential(senders=["a.test"] * 51), "51 senders"),
        (credential(senders=[None]), "no text"),
        (credential(networks=["192.0.2.7/24"]), "network that cannot be used"),
        (credential(networks=[3221225984]), "no text"),
        (credential(networks=["::1"] * 1001), "1001 networks"),
    ],
)
def test_what_is_no_order_is_refused_in_words(line: bytes, words: str) -> None:
    with pytest.raises(OrderError, match=words) as raised:
        read_order(line)
    assert len(str(raised.value)) < 1_000


@pytest.mark.parametrize(
    "line", [b"", b"[1]", b'[1,"done","x"]', b'[1,"made"]', b'[1,"made",1]', b'[2,"made",""]']
)
def test_what_is_no_answer_is_not_taken_for_one(line: bytes) -> None:
    with pytest.raises(OrderError):
        read_answer(line)


def test_an_order_too_long_to_be_read_is_not_sent() -> None:
    senders = tuple(f"{'x' * 2000}{number}@example.org" for number in range(50))
    with pytest.raises(OrderError, match="bytes of senders"):
        write_order(CredentialOrder("lena", Source.LDAP, "staff", {}, Rules(senders)))


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_lines_are_the_same_in_whatever_pieces_they_arrive(size: int) -> None:
    sent = b"one\n\ntwo\n" + b"x" * 50 + b"\nrest"
    lines = Lines()
    found = [line for at in range(0, len(sent), size) for line in lines.lines(sent[at : at + size])]
    assert found == [b"one", b"", b"two", b"x" * 50]


def test_a_line_that_never_ends_is_given_up_at_its_limit() -> None:
    lines = Lines()
    assert lines.lines(b"x" * LINE_MOST) == []
    with pytest.raises(OrderError, match="more than 65536 bytes"):
        lines.lines(b"x")
    with pytest.raises(OrderError, match="more than"):
        Lines(10).lines(b"short\n" + b"x" * 11 + b"\n")


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"[" * n,
        lambda n: b'[1,"' + b"\\" * n,
        lambda n: b"[1" + b",1" * n + b"]",
        lambda n: b"[" + b"9" * n + b"]",
        lambda n: spelled("x" * n),
        lambda n: credential(username="x" * n),
        lambda n: credential(username="\u00ad" * n),
        lambda n: credential(features=["x"] * n),
        lambda n: credential(features=["tags=" + "x," * n]),
        lambda n: credential(senders=["a"] * n),
        lambda n: credential(networks=["::1"] * n),
        lambda n: credential(networks=[":" * n]),
    ],
)
def test_reading_an_order_takes_work_by_its_size(world: World, make: Callable[[int], bytes]) -> None:
    """The worst that a line can hold, some 16 kB of it, held up nobody for long."""
    orders = world.load("gatepost_core.domain.orders")

    def read(line: bytes) -> None:
        with suppress(orders.OrderError):
            orders.read_order(line)

    assert_linear(world, make, read)


@pytest.mark.parametrize("unit", [b"x", b"\n", b"x\n"])
def test_cutting_lines_takes_work_by_their_bytes_however_they_arrive(world: World, unit: bytes) -> None:
    orders = world.load("gatepost_core.domain.orders")

    def cut(data: bytes) -> None:
        lines = orders.Lines()
        for at in range(len(data)):
            lines.lines(data[at : at + 1])

    assert_linear(world, lambda n: unit * n, cut)


@pytest.mark.parametrize("make", [lambda n: "@" * n, lambda n: "a@" + "b." * n, lambda n: "*." * n])
def test_looking_at_a_sender_takes_work_by_its_size(world: World, make: Callable[[int], str]) -> None:
    orders = world.load("gatepost_core.domain.orders")
    assert_linear(world, make, orders.is_sender, size=80)
