"""A hundred thousand hostile inputs: no crash, no hang, no memory that grows."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable
from pathlib import Path

from gatepost_core.serving import Close
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Peer, Verdict
from gatepost_sasl.backends.breaker import Breaker
from gatepost_sasl.backends.ldap_names import BindName, UserFilter
from gatepost_sasl.chain import Chain, ChainEntry
from gatepost_sasl.names import Names
from gatepost_sasl.session import AuthSession, Configuration

from .guards import HOLDS_NOBODY_OFF

INPUTS = 100_000
PIECES = [
    b"AUTH", b"CONT", b"VERSION\t1\t0\n", b"CANCEL", b"\t", b"\n", b"1", b"4294967295", b"=",
    b"99999999999",
    b"login", b"service=smtp", b"rip=192.0.2.1", b"secured", b"resp=", b"resp==", b"AGEAYg==", b"YQ==",
    b"PLAIN",
    b"\0", b"\xff\xfe", b"\r", b"x" * 300, "\u00ad\u202e\u0627a".encode(), b"lip=", b"*)(uid=*", b"*",
    b",dc=x",
]  # fmt: skip


class Directory:
    """What a back end does with a name before it asks anybody; every third login is our fault."""

    def __init__(self) -> None:
        self.asked = 0
        self._filter = UserFilter("(&(uid={user})(mail={local}@{domain}))")
        self._names = (BindName("uid={user},dc=example"), BindName("{local}@example.org"))

    def at_once(self, username: str, password: str, peer: Peer) -> Verdict:
        return self.authenticate(username, password, peer)

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        del password, peer
        self.asked += 1
        self._filter.of(username)
        for name in self._names:
            name.of(username)
        if self.asked % 3 == 0:
            raise BackendUnavailable("down")
        return Denied("no")


class Guarded:
    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._breaker = Breaker("ldap", 2, 0.001, time.monotonic)

    def at_once(self, username: str, password: str, peer: Peer) -> Verdict:
        return self.authenticate(username, password, peer)

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        return self._breaker.call(lambda: self._directory.authenticate(username, password, peer))


def resident() -> int:
    """Return the memory of this process that is in use, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def stream(source: random.Random, number: int) -> bytes:
    """Return bytes that are a login, nearly a login, or nothing of the kind."""
    if number % 3 == 0:
        raw = b"".join(source.choice(PIECES) for _ in range(source.randrange(6)))
        response = base64.b64encode(b"\0user" + raw + b"\0pass" + source.choice(PIECES))
        return b"\nAUTH\t%d\tPLAIN\trip=192.0.2.7\tsecured\tresp=%s\n" % (source.randrange(40), response)
    if number % 3 == 1:
        return b"".join(source.choice(PIECES) for _ in range(source.randrange(14))) + b"\n"
    return source.randbytes(source.randrange(80)) + b"\n" * (number % 2)


def test_hostile_inputs_neither_crash_nor_hang_nor_grow(
    record_property: Callable[[str, object], None],
) -> None:
    source = random.Random(20_261)  # noqa: S311 - the same inputs each time
    directory = Directory()
    links = [
        ChainEntry("store", Names(["gp*"]), directory),
        ChainEntry("ldap", Names(["*@*.example", "*"]), Guarded(directory)),
    ]
    configuration = Configuration(Chain(links), lambda _: None, HOLDS_NOBODY_OFF)
    session, settled = AuthSession(configuration), 0
    session.receive(b"VERSION\t1\t0\n", 0.0)
    slowest = 0.0
    for number in range(INPUTS):
        began = time.perf_counter()
        outputs = session.receive(stream(source, number), number * 0.01)
        slowest = max(slowest, time.perf_counter() - began)
        if any(isinstance(output, Close) for output in outputs):
            session = AuthSession(configuration)
            session.receive(b"VERSION\t1\t0\n", 0.0)
        if number == INPUTS // 5:
            settled = resident()
    growth = resident() - settled
    print(f"{INPUTS} inputs, {directory.asked} logins: {growth / 1024:.0f} kB more, slowest {slowest:.4f} s")
    record_property("growth_bytes", growth)
    assert directory.asked > 5_000
    assert slowest < 1
    assert growth < 2_000_000
