"""A click at gatepost-tracker, its event kept, beside nginx that answers every request with ``return 302``.

Both have one worker and get the same requests on kept connections, over loopback, from a process of its own:
first as fast as they answer, then at half of the rate that the tracker reached, for the time that answers
take. nginx keeps no log; the tracker logs each click, and has its event in the spool before it answers.
Run as ``python -m gatepost_bench.clicks`` it is that process: a line of JSON in (``Order``), one out.
"""

from __future__ import annotations

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import uvloop

from gatepost_bench import accounting
from gatepost_bench.ready import wait_for_port
from gatepost_core.domain import ids
from gatepost_core.keys import Keyring
from gatepost_core.keys.tokens import ClickTokens, Origin
from gatepost_stack.instance import HOST
from gatepost_stack.stack import Stack

_CONNECTIONS = 16
_MESSAGES = 50
_PATH = "/sale/{}?utm_source=newsletter&article={}"
_UNBOUNDED = 1_000_000_000
_TICK = 0.0005
_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"


@dataclass(frozen=True, slots=True)
class Order:
    """How many requests, of ``targets`` in turn; ``rate``: a second, 0: as fast as they are answered."""

    port: int
    host: str
    targets: list[str]
    requests: int
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds that all took; of the time from when one was due to its answer, the 99th percentile (ms)."""

    seconds: float
    p99: float


@dataclass(frozen=True, slots=True)
class Figures:
    """CPU a request (µs), requests a second as fast as they go, p99 (ms) at half of the tracker's rate."""

    cpu: float
    rate: float
    p99: float


def measure(requests: int = 40_000, rounds: int = 3) -> dict[str, Figures]:
    """Return the figures of ``tracker`` and ``nginx``, the medians of the rounds."""
    each: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, _tracker(Path(folder)) as ours, _nginx() as theirs:
        orders = {"tracker": (*ours, ours[0]), "nginx": (*theirs, ours[0])}
        for _ in range(rounds):
            for name, (order, pid, like) in orders.items():
                asked = Order(order.port, like.host, like.targets, requests)
                before = accounting.cpu_seconds({name: pid})[name]
                fast = _carried_out(asked)
                spent = accounting.cpu_seconds({name: pid})[name] - before
                each[name].append((spent / requests * 1e6, requests / fast.seconds, 0.0))
            half = statistics.median(one[1] for one in each["tracker"]) / 2
            for name, (order, _, like) in orders.items():
                slow = _carried_out(Order(order.port, like.host, like.targets, requests // 2, half))
                cpu, rate, _ = each[name].pop()
                each[name].append((cpu, rate, slow.p99))
    return {name: Figures(*map(statistics.median, zip(*found, strict=True))) for name, found in each.items()}


def _carried_out(order: Order) -> Outcome:
    """Have a process of its own carry out an order. Raises CalledProcessError."""
    command = [sys.executable, "-P", "-m", "gatepost_bench.clicks"]
    text = json.dumps(asdict(order))
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)
    return Outcome(**json.loads(done.stdout))


@contextmanager
def _tracker(folder: Path) -> Iterator[tuple[Order, int]]:
    """A private stack's tracker. What takes its events from the spool rests meanwhile."""
    tables = {
        "tracker": {
            "workers": 1,
            "events_per_link": _UNBOUNDED,
            "events_per_message": _UNBOUNDED,
        },
        "spool": {"clicks_limit": _UNBOUNDED},
    }
    with Stack(folder, tables=tables, tracker=0) as stack:
        stack.supervisor.hold("events")
        host = stack.tracker_url.split("/")[2]
        tokens = ClickTokens(Keyring.load(stack.settings.keys.directory))
        targets = []
        for number in range(_MESSAGES):
            origin = Origin(host, 1, ids.new(time.time_ns() // 1_000_000))
            path = _PATH.format(number, number)
            targets.append(f"/{tokens.issue('https', 'www.example.org', path, origin)}{path}")
        yield Order(int(host.rpartition(":")[2]), host, targets, 0), stack.supervisor.pid("tracker")


@contextmanager
def _nginx() -> Iterator[tuple[Order, int]]:
    with tempfile.TemporaryDirectory() as name, socket.create_server((HOST, 0)) as held:
        folder, port = Path(name), held.getsockname()[1]
        held.close()
        places = " ".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file = folder / "nginx.conf"
        file.write_text(
            f"daemon off; user root; pid {folder}/pid; worker_processes 1; events {{}}\n"
            f"http {{ {places} access_log off; keepalive_requests {_UNBOUNDED}; server {{\n"
            f"listen {HOST}:{port}; location / {{ return 302 https://www.example.org$request_uri; }} }} }}\n"
        )
        process = subprocess.Popen(["/usr/sbin/nginx", "-e", "stderr", "-c", str(file)])
        try:
            wait_for_port(port, process)
            yield Order(port, "", [], 0), process.pid
        finally:
            process.terminate()
            process.wait()


@dataclass(slots=True)
class _Load:
    """What is under way. ``free``: connections that wait for something to ask."""

    order: Order
    requests: list[bytes]
    over: asyncio.Event
    free: deque[_Client] = field(default_factory=deque["_Client"])
    sent: int = 0
    taken: list[float] = field(default_factory=list[float])

    def answered(self, client: _Client, seconds: float) -> None:
        """Note how long an answer took; its connection asks for the next, or waits until that is due."""
        self.taken.append(seconds)
        if len(self.taken) >= self.order.requests:
            self.over.set()
        elif self.order.rate:
            self.free.append(client)
        else:
            self.next(client, time.perf_counter())

    def next(self, client: _Client, due: float) -> None:
        """Ask for the next target, if any is left."""
        if self.sent < self.order.requests:
            client.ask(self.requests[self.sent % len(self.requests)], due)
            self.sent += 1


class _Client(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._came = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's has no such base

    def ask(self, request: bytes, due: float) -> None:
        """Send a request that was due at a time."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, which is to be a redirect."""
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        if not end:
            return
        size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if len(body) < int(size):
            return
        if not head.startswith(b"HTTP/1.1 302 ") or b"Location: https://www.example.org/" not in head:
            sys.exit(f"clicks: {head[:200]!r}")
        self._came = b""
        self._load.answered(self, time.perf_counter() - self._due)

    def connection_lost(self, exc: Exception | None) -> None:
        """End, which is too early while something is to be answered."""
        if not self._load.over.is_set():
            sys.exit(f"clicks: the connection ended: {exc}")


async def _run(order: Order) -> Outcome:
    head = f"Host: {order.host}\r\nUser-Agent: {_AGENT}\r\nAccept: */*\r\n\r\n"
    asked = [f"GET {target} HTTP/1.1\r\n{head}".encode() for target in order.targets]
    load, loop = _Load(order, asked, asyncio.Event()), asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(partial(_Client, load), HOST, order.port))[1]
        for _ in range(_CONNECTIONS)
    ]
    began = time.perf_counter()
    if order.rate:
        load.free.extend(clients)
        while load.sent < order.requests:
            now = time.perf_counter()
            while load.free and load.sent < order.requests and began + load.sent / order.rate <= now:
                load.next(load.free.popleft(), began + load.sent / order.rate)
            await asyncio.sleep(_TICK)
    else:
        for client in clients:
            load.next(client, time.perf_counter())
    await load.over.wait()
    seconds = time.perf_counter() - began
    return Outcome(seconds, statistics.quantiles(load.taken, n=100)[98] * 1000)


def main() -> None:
    """Carry out the order on standard input."""
    order = Order(**json.loads(sys.stdin.readline()))
    print(json.dumps(asdict(uvloop.run(_run(order)))))


if __name__ == "__main__":
    main()
