"""``python -m gatepost_bench.limits``: CPU of what four limits add to a message, without Postfix around it.

Two limits of the credential and two of its account, in a file of counters of its own: what the milter takes
at the end of a message, by one thread after the other and by ten at once, and what policy asks at RCPT and
DATA, within the second for which it knows of room and after it.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from gatepost_core.domain import Credential, MessageRecord, Rules, State, ids
from gatepost_core.domain.limits import Allowance, Charges, Defaults, limits
from gatepost_core.settings import StoreSettings
from gatepost_core.store import CountersReader, migrate, open_counters
from gatepost_milter.editing.message import Plan
from gatepost_milter.judge import Accepted
from gatepost_milter.libmilter.counters import Limits, Taken
from gatepost_policy.limits import LimitsLook

OWN: Final = ("1M/hour", "recipients=10M/day")
ACCOUNT: Final = ("10M/day", "bytes=1T/month")
_THREADS: Final = 10
_SIZE: Final = 4_000


@click.command()
@click.option("--messages", default=5_000, show_default=True, help="Messages of each row.")
def main(messages: int) -> None:
    """Measure what limits take of CPU, in microseconds."""
    for work, seconds in measure(messages).items():
        click.echo(f"{work:<44} {seconds * 1e6:7.1f} µs")


def measure(messages: int) -> dict[str, float]:
    """Return the CPU of each piece of work in seconds, system's included."""
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-", dir="/var/tmp") as folder:
        file = Path(folder) / "counters.db"
        credential, charges = _credential(), Charges(Defaults())
        store = StoreSettings(url=f"sqlite:///{folder}/directory.db")
        migrate.upgrade(store)
        record, counters = _record(credential), open_counters(file, store.journal)
        taking = Limits(counters, lambda *_: None)
        counters.keep()

        def take() -> None:
            now = time.time()
            found = charges.of(credential, now, size=_SIZE)
            message = replace(record, id=ids.new(int(now * 1000)))
            taken = taking.take(Accepted(Plan(), message, (), charges=found))
            full = not isinstance(taken, Taken)
            if full:
                raise RuntimeError(f"a limit is full: {taken}")

        def nothing() -> None:
            replace(record, id=ids.new(int(time.time() * 1000)))

        clock = [0.0]
        look = LimitsLook(charges, CountersReader(file), clock=lambda: clock[0])
        request = {"recipient_count": "1", "size": str(_SIZE)}

        def anew() -> None:
            clock[0] += 2.0
            look.refusal(credential, request)

        beside = _cpu(nothing, messages)
        figures = {
            "milter takes, one thread": _cpu(take, messages) - beside,
            f"milter takes, {_THREADS} threads": _cpu(take, messages, _THREADS) - beside,
            "policy, where it knows of room": _cpu(lambda: look.refusal(credential, request), messages),
            "policy, where it looks anew": _cpu(anew, messages),
        }
        counters.close()
    return figures


def _cpu(work: Callable[[], object], times: int, threads: int = 1) -> float:
    """Return the CPU of this process for each time."""

    def some() -> None:
        for _ in range(times // threads):
            work()

    some()
    with _together(threads, some):
        before = time.process_time()
    return (time.process_time() - before) / (times // threads * threads)


@contextmanager
def _together(threads: int, work: Callable[[], None]) -> Iterator[None]:
    """Begin so many threads, and wait for them at the end."""
    begin = threading.Barrier(threads + 1)

    def one() -> None:
        begin.wait()
        work()

    several = [threading.Thread(target=one) for _ in range(threads)]
    for thread in several:
        thread.start()
    begin.wait()
    yield
    for thread in several:
        thread.join()


def _credential() -> Credential:
    return Credential(
        id=1,
        account_id=1,
        account="bench",
        username="gpbench",
        label="bench",
        state=State.ACTIVE,
        features={},
        rules=Rules(),
        created_at=datetime.now(UTC),
        allowance=Allowance(limits(OWN), limits(ACCOUNT)),
    )


def _record(credential: Credential) -> MessageRecord:
    return MessageRecord(
        id="",
        created_at=datetime.now(UTC),
        credential_id=credential.id,
        username=credential.username,
        queue_id="4xyz",
        sender="a@example.com",
        recipients=("b@example.net",),
        header_from="a@example.com",
        subject="",
        size=_SIZE,
        size_after=_SIZE,
        tags=(),
        features=(),
        applied=(),
        skipped={},
    )


if __name__ == "__main__":
    main()
