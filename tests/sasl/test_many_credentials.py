"""What logins, policy decisions and the milter's look-ups cost with a million credentials and with a hundred.

Hot: the same hundred customers again and again, as one store's traffic mostly is. Cold: customers drawn from
all, each a look-up in the file. Memory: what a worker holds after more customers than its cache keeps.
"""

from __future__ import annotations

import base64
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatepost_core.domain import Pass, utc_now
from gatepost_core.domain.logins.guessing import Guard, Rules
from gatepost_core.domain.walls import Walls
from gatepost_core.keys.passwords import derive
from gatepost_core.serving.counting import SharedCounters
from gatepost_core.store import Reader, database_file
from gatepost_policy.questions import Questions
from gatepost_sasl.backends.store import StoreAuthenticator
from gatepost_sasl.session import AuthSession, Configuration
from tests.core.stores import PASSWORD, Store, make_store

from .test_transcripts import NoLastUsed, unheard

pytestmark = [pytest.mark.measurement, pytest.mark.timeout(900)]

FEW, MANY = 100, 1_000_000
HOT, CUSTOMERS, ROUNDS = 4000, 2000, 7
_COPY = "INSERT INTO {0} SELECT {1} FROM {0} AS t, numbers WHERE t.id = {2} ORDER BY n"


def fill(store: Store, count: int) -> None:
    """Give the store credentials ``gp0`` and on, copies of alice with her secret, in one transaction."""
    connection = sqlite3.connect(database_file(store.settings.store.url), isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("CREATE TEMP TABLE numbers (n INTEGER PRIMARY KEY)")
    connection.executemany("INSERT INTO numbers VALUES (?)", ((number,) for number in range(count)))
    for table, changed in (
        ("credentials", {"id": "1000 + n", "username": "'gp' || n"}),
        ("secrets", {"id": "1000 + n", "credential_id": "1000 + n"}),
    ):
        names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(changed.get(name, f"t.{name}") for name in names)
        connection.execute(_COPY.format(table, values, 1))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@dataclass
class Daemons:
    """What sasl, policy and milter do with the store for one message of a customer."""

    store: Store
    size: int

    def __post_init__(self) -> None:
        self.reader = Reader(self.store.settings.store.url)
        backend = StoreAuthenticator(self.reader, self.store.keyring, NoLastUsed(), utc_now)
        guard = Guard(SharedCounters(), SharedCounters(), Rules(), SharedCounters())
        self.session = AuthSession(Configuration(backend, unheard, guard=guard))
        self.session.receive(b"VERSION\t1\t0\n", 0.0)
        self.questions = Questions(self.reader, NoTokens(), (25,), utc_now, Walls(self.reader))

    def auth(self, username: str) -> None:
        response = base64.b64encode(f"\0{username}\0{PASSWORD}".encode())
        line = b"AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.1\tsecured\tresp=%s\n" % response
        (answer,) = self.session.receive(line, 1.0)
        assert answer.data.startswith(b"OK\t")  # type: ignore[union-attr]

    def policy(self, username: str) -> None:
        request = {
            "request": "smtpd_access_policy",
            "protocol_state": "RCPT",
            "sasl_username": username,
            "sender": "a@example.test",
            "recipient": "b@example.org",
            "encryption_protocol": "TLSv1.3",
        }
        assert isinstance(self.questions.decide(request), Pass)

    def milter(self, username: str) -> None:
        assert self.reader.credential(username) is not None
        assert self.reader.domain("example.test") is not None


class NoTokens:
    def verify(self, local_part: str, host: str) -> None:
        del local_part, host


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemons, Daemons]]:
    made = []
    for size in (FEW, MANY):
        store = make_store(tmp_path_factory.mktemp("store"))
        fill(store, size)
        made.append(Daemons(store, size))
    yield made[0], made[1]
    for daemons in made:
        daemons.reader.close()
        for path in store_files(daemons.store):
            path.unlink()


def store_files(store: Store) -> list[Path]:
    return list(store.folder.glob("directory.db*"))


def cost(one: Callable[[str], None], names: list[str]) -> float:
    """Return microseconds of CPU for each name."""
    began = time.thread_time_ns()
    for name in names:
        one(name)
    return (time.thread_time_ns() - began) / len(names) / 1000


@pytest.mark.parametrize("what", ["auth", "policy", "milter"])
def test_a_million_credentials_cost_what_a_hundred_do(both: tuple[Daemons, Daemons], what: str) -> None:
    drawn = random.Random(3)  # noqa: S311
    hot: dict[int, list[float]] = {FEW: [], MANY: []}
    cold: dict[int, list[float]] = {FEW: [], MANY: []}
    for _ in range(ROUNDS):
        for daemons in both:
            one = getattr(daemons, what)
            names = [f"gp{drawn.randrange(daemons.size)}" for _ in range(FEW)]
            cost(one, names)
            hot[daemons.size].append(cost(one, [drawn.choice(names) for _ in range(HOT)]))
            names = [f"gp{drawn.randrange(daemons.size)}" for _ in range(CUSTOMERS)]
            each: list[float] = []
            for at in range(0, CUSTOMERS, FEW):
                daemons.reader.close()  # forgets what it has read
                daemons.reader.credential("nobody")
                each.append(cost(one, list(dict.fromkeys(names[at : at + FEW]))))
            cold[daemons.size].append(statistics.median(each))
    for kind, figures in (("hot", hot), ("cold", cold)):
        few, many = statistics.median(figures[FEW]), statistics.median(figures[MANY])
        print(f"{what}, {kind}: {few:.1f} us with {FEW}, {many:.1f} us with {MANY}: {many / few:.2f}")
        assert many / few < (1.2 if kind == "hot" else 2.0)


def test_a_cache_that_is_full_is_small(both: tuple[Daemons, Daemons]) -> None:
    """More customers than it keeps, twice over."""
    reader = both[1].reader
    sizes = [resident()]
    for start in (0, 50_000):
        for number in range(start, start + 50_000):
            assert reader.credential(f"gp{number}") is not None
        sizes.append(resident())
    print("resident MB:", [round(size / 1e6, 1) for size in sizes])
    assert sizes[2] - sizes[0] < 12_000_000
    assert sizes[2] - sizes[1] < 2_000_000


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_the_copies_have_the_password(both: tuple[Daemons, Daemons]) -> None:
    """Else the measurement would be one of refusals."""
    found = both[1].reader.credential(f"gp{MANY - 1}")
    assert found is not None
    assert len(found.secrets) == 1
    assert found.secrets[0].digest == derive(both[1].store.keyring, PASSWORD).digest
