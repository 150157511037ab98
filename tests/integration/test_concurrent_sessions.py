"""Five hundred smtpd processes at once: each client logs in, all are connected together, then each sends.

A smaller number runs with every test; the measurement prints seconds, memory and descriptors.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gatepost_bench import accounting
from gatepost_bench.load import Connection, Order
from gatepost_core.postfix import Parameter
from gatepost_stack.stack import Stack

DAEMONS = ("sasl", "policy", "milter")
MESSAGE = b"From: news@example.test\r\nTo: reader@example.org\r\nSubject: one\r\n\r\nHello\r\n.\r\n"
AT_ONCE = 25
WORKER_MOST = 60_000_000  # bytes of PSS


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    processes = Parameter("default_process_limit", "1200", "one smtpd and one cleanup a client")
    with Stack(tmp_path_factory.mktemp("many"), extra=[processes]) as stack:
        yield stack


def workers(stack: Stack, daemon: str) -> list[int]:
    root = stack.supervisor.pid(daemon)
    return [int(pid) for pid in Path(f"/proc/{root}/task/{root}/children").read_text().split()]


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def hold(stack: Stack, count: int, say: Callable[[str], object]) -> None:
    """Have ``count`` clients connected and logged in at once, then each send a message."""
    login = stack.provision.credential({})
    order = Order(
        port=stack.ports[0],
        ca_file=str(stack.layout.ca_file),
        message_file="",
        messages=count,
        sessions=count,
        per_connection=1,
        username=login.username,
        password=login.password,
    )
    context = ssl.create_default_context(cafile=order.ca_file)
    idle = {daemon: {pid: descriptors(pid) for pid in workers(stack, daemon)} for daemon in DAEMONS}
    lock, open_now = threading.Lock(), list[Connection]()

    def connect(_: int) -> None:
        connection = Connection(order, context)
        with lock:
            open_now.append(connection)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.monotonic()
        list(pool.map(connect, range(count)))
        logged_in = time.monotonic()
        list(pool.map(lambda connection: connection.send(MESSAGE), open_now))
        sent = time.monotonic()
        say(f"{count} logged in: {logged_in - began:.1f} s; a message each: {sent - logged_in:.1f} s")
        look(stack, idle, say)
        list(pool.map(Connection.close, open_now))


def look(stack: Stack, idle: dict[str, dict[int, int]], say: Callable[[str], object]) -> None:
    """Hold memory to its bound, while all are connected."""
    for daemon in DAEMONS:
        own = {pid: accounting.memory_bytes(pid) for pid in workers(stack, daemon)}
        more = {pid: descriptors(pid) - idle[daemon][pid] for pid in own}
        whole = accounting.memory_bytes(stack.supervisor.pid(daemon))
        say(
            f"{daemon}: {whole / 1e6:.1f} MB in all; each worker "
            f"{[round(size / 1e6, 1) for size in own.values()]} MB, {list(more.values())} descriptors more"
        )
        assert set(own) == set(idle[daemon]), f"a worker of {daemon} died"
        assert max(own.values()) < WORKER_MOST


def test_many_clients_at_once_log_in_and_send(stack: Stack) -> None:
    hold(stack, 60, print)


@pytest.mark.measurement
def test_five_hundred_clients_at_once_log_in_and_send(stack: Stack) -> None:
    hold(stack, 500, print)
