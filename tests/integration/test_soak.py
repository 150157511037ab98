"""Parallel sessions, several recipients, all features: the same processes before and after, all mail whole.

The plain run sends 2,000 messages; ``-m measurement`` sends 10,000.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gatepost_core.keys.dkim_keys import txt_record
from gatepost_stack.delivery import Delivered
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.corpus.letters import letter
from tests.corpus.sunk import check
from tests.integration.harness import SENDER, Gateway
from tests.integration.lone import ALL
from tests.integration.processes import all_pss
from tests.integration.sinkreader import SinkReader
from tests.milter.dkim.judges import BOTH, by_dkimpy, by_opendkim

SESSIONS = 5
# What a worker may hold more at the end than after a fifth of the messages. Its bounded caches still fill
# meanwhile and take half of it; test_milter_memory waits until they are full.
GROWTH_MOST = 10_000_000


@pytest.fixture
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own, so that other tests need not look through this sink."""
    with Stack(tmp_path_factory.mktemp("soak")) as stack:
        yield Gateway(stack)


def recipients_of(number: int) -> list[str]:
    """Return who gets a letter: one in four letters has one recipient, so that ``unsubscribe`` acts too."""
    return [f"soak.{number}.{place}@example.org" for place in range(1 if number % 4 == 0 else 3)]


class Sending:
    """Sessions that send letters 0 to ``messages``, each a share; ``sent`` counts those accepted."""

    def __init__(self, gateway: Gateway, login: ClientLogin, messages: int) -> None:
        self._gateway, self._login, self._messages = gateway, login, messages
        self._lock = threading.Lock()
        self.sent = 0

    def run(self) -> None:
        with ThreadPoolExecutor(SESSIONS) as pool:
            for done in [pool.submit(self._session, number) for number in range(SESSIONS)]:
                done.result()

    def _session(self, session: int) -> None:
        with self._gateway.logged_in(self._login) as connection:
            for number in range(session, self._messages, SESSIONS):
                refused = connection.sendmail(
                    SENDER, recipients_of(number), letter(number), ["body=8bitmime"]
                )
                assert refused == {}
                with self._lock:
                    self.sent += 1


def memory_while(sending: Sending, gateway: Gateway, messages: int) -> list[dict[int, int]]:
    """Run it, and return each worker's PSS after each fifth of the messages."""
    series: list[dict[int, int]] = []
    thread = threading.Thread(target=sending.run)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
        if sending.sent >= messages * (len(series) + 1) // 5:
            series.append(dict(all_pss(gateway.workers("milter"))))
    assert sending.sent == messages
    series.append(dict(all_pss(gateway.workers("milter"))))
    return series


def check_sink(gateway: Gateway, items: list[Delivered], messages: int, folder: Path) -> None:
    """Each letter reached all its recipients in one piece, once; signatures hold by both judges."""
    domain = gateway.stack.provision.domain()
    keys = {
        f"{key.selector}._domainkey.{domain.name}": txt_record(key.algorithm, key.public)
        for key in domain.keys
    }
    assert len(items) == messages
    for item in items:
        number = int(item.recipients[0].split(".")[1])
        assert sorted(item.recipients) == recipients_of(number)
        check(number, item.message, ALL, images=gateway.stack.settings.images.directory)
        whole = item.message.replace(b"\n", b"\r\n")
        if number % 10 == 0:
            assert by_dkimpy(whole, keys) == BOTH
        if number % 100 == 1:
            assert by_opendkim(whole, keys, folder) == BOTH


def soak(gateway: Gateway, messages: int, folder: Path) -> None:
    before = gateway.workers("milter")
    daemons = {name: gateway.stack.supervisor.pid(name) for name in ("sasl", "policy", "milter")}
    began = time.monotonic()
    sending = Sending(gateway, gateway.stack.provision.credential(ALL), messages)
    series = memory_while(sending, gateway, messages)
    seconds = time.monotonic() - began
    reader = SinkReader(gateway.stack.layout.delivered)
    reader.wait_for(address for number in range(messages) for address in recipients_of(number))
    check_sink(gateway, reader.items, messages, folder)
    assert gateway.workers("milter") == before
    assert {name: gateway.stack.supervisor.pid(name) for name in daemons} == daemons
    assert "worker died" not in gateway.log("milter")
    growth = {pid: series[-1][pid] - series[0][pid] for pid in before}
    sizes = "; ".join(" ".join(f"{size / 1e6:.1f}" for size in point.values()) for point in series)
    print(f"{messages} messages in {seconds:.0f} s, workers {before} before and after, PSS in MB: {sizes}")
    assert max(growth.values()) < GROWTH_MOST, sizes


def test_2_000_messages_keep_the_processes_and_reach_the_sink_whole(soaked: Gateway, tmp_path: Path) -> None:
    soak(soaked, 2_000, tmp_path)


@pytest.mark.measurement
@pytest.mark.timeout(3600)
def test_10_000_messages_keep_the_processes_and_reach_the_sink_whole(soaked: Gateway, tmp_path: Path) -> None:
    soak(soaked, 10_000, tmp_path)
