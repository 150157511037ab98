"""100,000 generated hostile inputs on the codec and the mechanisms: no crash, no hang, no growth of memory.

Inputs are made from a fixed seed: valid requests that are cut, doubled, spliced, bit-flipped, filled with
control characters and lengths at the limits, in pieces of any size. Figures are in docs/guessing.md.
"""

from __future__ import annotations

import base64
import gc
import random
import resource
import time
from collections.abc import Callable
from pathlib import Path

from gatepost_core.domain.logins.guessing import Guard, Rules
from gatepost_core.serving import Close, Send
from gatepost_core.serving.counting import SharedCounters
from gatepost_sasl.mechanisms import Challenge, Done, MechanismError, Proof
from gatepost_sasl.mechanisms.login import LoginMechanism
from gatepost_sasl.mechanisms.plain import PlainMechanism
from gatepost_sasl.session import AuthSession, Configuration

from .test_scram import ALICE, Store, scram
from .test_session import OneUser

SESSION_INPUTS, MECHANISM_INPUTS = 50_000, 50_000
_SECONDS_MOST = 1.0  # for one input, on a busy machine
_GROWTH_MOST = 2_000_000  # bytes between half-way and the end, when caches are full
_SEEDS = [
    b"VERSION\t1\t0\n",
    b"CPID\t4711\n",
    b"AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.1\tsecured\tresp=AGFsaWNlAHNlY3JldA==\n",
    b"AUTH\t2\tLOGIN\tservice=smtp\trip=::1\tsecured\n",
    b"AUTH\t3\tSCRAM-SHA-256\trip=192.0.2.1\tsecured\tresp=" + base64.b64encode(b"n,,n=alice,r=abc") + b"\n",
    b"CONT\t2\tYWxpY2U=\n",
    b"CONT\t3\t" + base64.b64encode(b"c=biws,r=abc,p=AAAA") + b"\n",
    b"CANCEL\t2\n",
    b"AUTH\t4\tPLAIN\tsecured\tresp=" + b"A" * 12_288 + b"\n",
]
_MESSAGES = [
    b"\0alice\0secret",
    b"alice\0alice\0secret",
    b"alice",
    b"n,,n=alice,r=abc",
    b"y,,n=alice,r=abc",
    b"c=biws,r=abc,p=AAAA",
    "J\u00f6rg\u200f\u0627".encode(),
    b"n,,n=" + b"=3D" * 3000 + b",r=" + b"x" * 3000,
]
_EVIL = [
    b"\0",
    b"\t",
    b"\n",
    b"\r",
    b"=",
    b",",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"A" * 20_001,
    b"\t" * 9000,
]


def hostile(random_: random.Random, seeds: list[bytes]) -> bytes:
    """Return one input: one to four seeds, each spoilt in one to three ways."""
    data = b"".join(random_.choice(seeds) for _ in range(random_.randint(1, 4)))
    for _ in range(random_.randint(0, 3)):
        at, to = sorted((random_.randint(0, len(data)), random_.randint(0, len(data))))
        way = random_.randint(0, 4)
        if way == 0:
            data = data[:at] + data[to:]
        elif way == 1:
            data = data[:to] + data[at:]
        elif way == 2:
            data = data[:at] + random_.choice(_EVIL) + data[at:]
        elif way == 3 and data:
            spot = min(at, len(data) - 1)
            data = data[:spot] + bytes([data[spot] ^ (1 << random_.randint(0, 7))]) + data[spot + 1 :]
        else:
            data = data[:at] + random_.randbytes(random_.randint(1, 40)) + data[at:]
    return data[:30_000]


def soak(count: int, one: Callable[[], None]) -> None:
    """Do ``one`` so often, and hold it to its time and memory."""
    slowest, early = 0.0, 0
    for number in range(count):
        began = time.thread_time()
        one()
        slowest = max(slowest, time.thread_time() - began)
        if number == count // 2:
            early = resident()
    grown = resident() - early
    print(f"{count} inputs: slowest {slowest * 1000:.1f} ms, grown {grown} bytes in the second half")
    assert slowest < _SECONDS_MOST
    assert grown < _GROWTH_MOST


def resident() -> int:
    """Return the process's resident memory in bytes, without what can be freed."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_sessions_take_any_bytes_in_any_pieces() -> None:
    random_ = random.Random(1)  # noqa: S311 - to be the same at each run
    users, networks, wide = (SharedCounters(64) for _ in range(3))
    backend = scram(Store(ALICE))
    configuration = Configuration(
        OneUser(),
        lambda _: None,
        mechanisms=("PLAIN", "LOGIN", "SCRAM-SHA-256"),
        guard=Guard(users, networks, Rules(), wide),
        scram=backend,
    )
    sessions = [AuthSession(configuration)]

    def one() -> None:
        data = hostile(random_, _SEEDS)
        session = sessions[0]
        now = random_.random() * 1000
        while data:
            size = random_.choice((1, 7, 100, 16_384)) if len(data) < 200 else 16_384
            piece, data = data[:size], data[size:]
            for output in session.receive(piece, now):
                assert isinstance(output, Send | Close)
                if isinstance(output, Close):
                    sessions[0] = AuthSession(configuration)
                    sessions[0].receive(b"VERSION\t1\t0\n", now)
                    return
                assert output.data.count(b"\n") == 1

    soak(SESSION_INPUTS, one)
    for table in (users, networks, wide):
        table.close()


def test_mechanisms_take_any_responses() -> None:
    random_ = random.Random(2)  # noqa: S311 - to be the same at each run
    backend = scram(Store(ALICE))
    makers = (PlainMechanism, LoginMechanism, backend.mechanism)

    def one() -> None:
        mechanism = random_.choice(makers)()
        for _ in range(3):
            try:
                outcome = mechanism.next(hostile(random_, _MESSAGES) if random_.random() < 0.95 else None)
            except MechanismError:
                return
            if isinstance(outcome, Done | Proof):
                assert outcome.username
                return
            assert isinstance(outcome, Challenge)

    soak(MECHANISM_INPUTS, one)
