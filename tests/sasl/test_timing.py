"""Thousands of logins at the daemon, and no difference in time between unknown, wrong and disabled.

Two statistics. Answers: the time from request to FAIL over the socket, where the fixed delay is all that
shows. Work: the time that the session takes to decide, which the delay hides, without the socket's noise.
For each pair of kinds the difference of their means is held against its standard error (Welch's t), and
against what is worth anything to an attacker: a fiftieth of the median.
"""

from __future__ import annotations

import base64
import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatepost_core.serving import Send
from gatepost_core.store import Reader
from gatepost_sasl.backends.scram import StoreScram
from gatepost_sasl.backends.store import StoreAuthenticator
from gatepost_sasl.session import AuthSession, Configuration
from tests.core.running import Running, connect, listening
from tests.core.stores import PASSWORD, Store

from .guards import HOLDS_NOBODY_OFF
from .test_transcripts import NoLastUsed, unheard

pytestmark = pytest.mark.measurement

ATTEMPTS = {
    "unknown": ("none", PASSWORD),
    "wrong": ("alice", "wrong password"),
    "disabled": ("off", PASSWORD),
}
OVER_THE_SOCKET, IN_THE_SESSION = 1000, 4000  # of each kind
# Chance alone passes it once in 15,000 runs for one of the three pairs (two-sided).
_T_MOST = 4.5
_WORTH = 0.02


def line(number: int, username: str, password: str) -> bytes:
    response = base64.b64encode(f"\0{username}\0{password}".encode())
    return b"AUTH\t%d\tPLAIN\tservice=smtp\trip=192.0.2.1\tsecured\tresp=%s\n" % (number, response)


def measured(times: int, one: Callable[[int, str, str], float]) -> dict[str, list[float]]:
    """Return the seconds of each kind, in an order that is drawn anew each round."""
    order, random_ = list(ATTEMPTS), random.Random(7)  # noqa: S311
    seconds: dict[str, list[float]] = {kind: [] for kind in order}
    numbers = itertools.count(1)
    for _ in range(times):
        random_.shuffle(order)
        for kind in order:
            seconds[kind].append(one(next(numbers), *ATTEMPTS[kind]))
    return seconds


def hold_alike(seconds: dict[str, list[float]]) -> None:
    """Fail when two kinds can be told apart. The slowest twentieth, where others had the CPU, is left out."""
    kept = {kind: sorted(values)[: len(values) * 19 // 20] for kind, values in seconds.items()}
    for one, other in itertools.combinations(kept, 2):
        difference = statistics.fmean(kept[one]) - statistics.fmean(kept[other])
        error = sum(statistics.variance(kept[kind]) / len(kept[kind]) for kind in (one, other)) ** 0.5
        median = statistics.median(kept[one])
        t = difference / error
        print(f"{one} - {other}: {difference * 1e6:+.2f} us of {median * 1e6:.1f} us, t = {t:+.2f}")
        assert abs(t) < _T_MOST or abs(difference) < _WORTH * median


def test_the_statistic_finds_a_difference_where_there_is_one() -> None:
    random_ = random.Random(1)  # noqa: S311
    noise = {kind: [random_.gauss(100e-6, 20e-6) for _ in range(1000)] for kind in ATTEMPTS}
    hold_alike(noise)
    noise["wrong"] = [value + 5e-6 for value in noise["wrong"]]
    with pytest.raises(AssertionError):
        hold_alike(noise)


@pytest.fixture(scope="module")
def socket_path(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("timing")
    arguments = ["-m", "gatepost_sasl.main", "--config", str(store.config), "--set", "sasl.workers=1"]
    arguments += ["--set", "sasl.failure_delay=0.002", "--set", "sasl.guess_limit=0"]
    with listening(folder / "socket") as listener, Running(arguments, folder, listener=listener):
        yield folder / "socket"


def test_answers_over_the_socket_are_alike(socket_path: Path) -> None:
    with connect(socket_path) as client, client.makefile("rb") as said:
        client.sendall(b"VERSION\t1\t0\nCPID\t1\n")
        while said.readline() != b"DONE\n":
            pass

        def one(number: int, username: str, password: str) -> float:
            request = line(number, username, password)
            began = time.perf_counter()
            client.sendall(request)
            answer = said.readline()
            took = time.perf_counter() - began
            assert answer.startswith(b"FAIL\t%d\t" % number)
            return took

        hold_alike(measured(OVER_THE_SOCKET, one))


def test_the_work_behind_an_answer_is_alike(store: Store) -> None:
    reader = Reader(store.settings.store.url)

    def now() -> datetime:
        return datetime.now(UTC)

    backend = StoreAuthenticator(reader, store.keyring, NoLastUsed(), now)
    configuration = Configuration(
        backend, unheard, HOLDS_NOBODY_OFF, scram=StoreScram(reader, store.keyring, backend, now)
    )
    session = AuthSession(configuration)
    session.receive(b"VERSION\t1\t0\n", 0.0)

    def one(number: int, username: str, password: str) -> float:
        request = line(number, username, password)
        began = time.perf_counter()
        (output,) = session.receive(request, 0.0)
        took = time.perf_counter() - began
        assert isinstance(output, Send)
        return took

    measured(50, one)  # what is loaded at first use
    hold_alike(measured(IN_THE_SESSION, one))
    reader.close()
