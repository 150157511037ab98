"""Prometheus metrics, summed over a daemon's workers, and the process that shows them.

prometheus_client's multi-process mode: each process keeps its numbers in files of one folder, the
exporter adds them up. The library looks for that folder when it is imported, so it is imported here,
by ``Metrics``, and nowhere else. Files are named after the worker's slot, not its process id: a
respawned worker goes on counting where the dead one stopped, and the folder does not grow.

Cost: bind a label's child once (``counter.labels("granted")``), then ``inc()`` takes about a
microsecond, and several where caches are cold; ``batched`` defers that to a thread. The folder is fresh
at each start and removed at the end, or by the next start after a kill -9. Where it cannot be made, or is
full, metrics are missing and mail goes on (``metricfiles``).
"""

from __future__ import annotations

import collections
import os
import select
import shutil
import socket
import stat
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from gatepost_core.serving import log
from gatepost_core.serving.listen import Address, ListenError, bind, parse_address
from gatepost_core.serving.prefork import WorkerContext

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge, Histogram
    from prometheus_client.metrics_core import Metric

# Seconds: from a cached answer over UNIX sockets to a message with every feature on.
_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0)
_CLIENT_SECONDS = 2.0
_BATCH_SECONDS = 1.0
_WAITING_MOST = 200_000
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Metrics:
    """The metrics of one daemon, made in the parent before it forks.

    Names become ``gatepost_<daemon>_<name>``. ``listen`` is where the exporter answers
    (``inet:host:port`` or ``unix:/path``; empty: nowhere). What is no address stops the start (ListenError);
    one that cannot be listened on is told, and mail goes on without an exporter.
    Use ``in_child``, ``died`` and ``close`` as the supervisor's hooks.
    """

    def __init__(self, daemon: str, listen: str = "") -> None:
        self._prefix = f"gatepost_{daemon}"
        self._slot = "parent"
        self._batches: list[Callable[[], None]] = []
        self._counting = threading.Lock()
        self._listener = _listener(parse_address(listen)) if listen else None
        self.folder = _fresh_folder(f"gatepost-{daemon}-metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = self.folder
        from gatepost_core.serving import metricfiles  # noqa: PLC0415 - see above

        metricfiles.install(self._process, _tell)
        self._restarts = self.counter("worker_restarts_total", "Workers that ended before the daemon did.")
        self._hangs = self.counter("worker_hangs_total", "Workers replaced because they served nobody.")

    def _process(self) -> str:
        return self._slot

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Return a number that only grows; ``name`` ends in ``_total``."""
        from prometheus_client import Counter  # noqa: PLC0415

        return Counter(f"{self._prefix}_{name}", text, labels)

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """Return a number that goes up and down, summed over the workers that live."""
        from prometheus_client import Gauge  # noqa: PLC0415

        return Gauge(f"{self._prefix}_{name}", text, labels, multiprocess_mode="livesum")

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = _BUCKETS
    ) -> Histogram:
        """Return a distribution; ``name`` ends in its unit, ``_seconds`` or ``_bytes``."""
        from prometheus_client import Histogram  # noqa: PLC0415

        return Histogram(f"{self._prefix}_{name}", text, labels, buckets=buckets)

    def batched(self, take: Callable[[list[T]], None]) -> Callable[[T], None]:
        """Return what notes a value at next to no cost; ``take`` counts those of the last second.

        For what happens with each request: in a thread of its own, many at a time, counting costs a
        fraction of what it does between two requests. Call it before the fork; a worker that ends calls
        ``flush``, one that is killed takes its last second along.
        """
        waiting: deque[T] = deque(maxlen=_WAITING_MOST)
        self._batches.append(lambda: _take_all(waiting, take))
        return waiting.append

    def in_child(self, slot: int) -> None:
        """Give a new child its own files, and a thread for what is counted in batches."""
        self._slot = f"slot{slot}"
        if self._batches:
            threading.Thread(target=self._count_batches, name="metrics", daemon=True).start()

    def _count_batches(self) -> None:
        while True:
            time.sleep(_BATCH_SECONDS)
            self.flush()

    def flush(self) -> None:
        """Count what waits now."""
        with self._counting:
            for batch in self._batches:
                try:
                    batch()
                except Exception as error:  # noqa: BLE001 - counting must go on; what waits is bounded
                    log.error("cannot count", error=repr(error))

    def hung(self, slot: int) -> None:
        """Count a worker that serves nobody any more."""
        del slot
        self._hangs.inc()

    def died(self, slot: int) -> None:
        """Take a dead child's gauges out of the sums, and count its end."""
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

        with suppress(OSError):
            mark_process_dead(f"slot{slot}", self.folder)  # type: ignore[no-untyped-call]
        self._restarts.inc()

    def close(self) -> None:
        """Remove the folder and the exporter's socket. In the parent, when all children are gone."""
        if self._listener is not None:
            name = self._listener.getsockname()
            self._listener.close()
            if isinstance(name, str):
                Path(name).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self) -> object:
        """Where the exporter listens, as getsockname gives it; None: nowhere."""
        return self._listener.getsockname() if self._listener is not None else None

    @property
    def helpers(self) -> Sequence[tuple[str, _Exporter]]:
        """The exporter as a child of the supervisor's; empty when none is wanted."""
        return [("exporter", _Exporter(self._listener, self.folder))] if self._listener is not None else []


def observing(histogram: Histogram) -> Callable[[list[float]], None]:
    """Return what enters values into a histogram, for ``batched``."""

    def observe(values: list[float]) -> None:
        for value in values:
            histogram.observe(value)

    return observe


def counting(counts: Mapping[K, Counter]) -> Callable[[list[K]], None]:
    """Return what adds to each key's counter as often as the key is there, for ``batched``."""

    def count(keys: list[K]) -> None:
        for key, times in collections.Counter(keys).items():
            counts[key].inc(times)

    return count


def _take_all(waiting: deque[T], take: Callable[[list[T]], None]) -> None:
    """Hand over what waits; what comes meanwhile waits for the next time."""
    if waiting:
        take([waiting.popleft() for _ in range(len(waiting))])


def _listener(address: Address) -> socket.socket | None:
    try:
        return bind(address)
    except ListenError as error:
        log.error("metrics are not shown, mail goes on without them", error=str(error))
        return None


def _tell(name: str, error: Exception) -> None:
    log.error("metrics cannot be kept, mail goes on without them", file=name, error=str(error))


def _fresh_folder(prefix: str) -> str:
    """Return a new folder, named after this process, or a name below which no file can be made.

    Folders of parents that were killed are removed.
    """
    try:
        return _made_folder(prefix, Path(os.environ.get("RUNTIME_DIRECTORY") or tempfile.gettempdir()))
    except OSError as error:
        _tell(prefix, error)
        return f"{os.devnull}/{prefix}"


def _made_folder(prefix: str, base: Path) -> str:
    for left in base.glob(f"{prefix}*"):
        pid = left.name.removeprefix(prefix).partition("-")[0]
        # lstat: in a shared /tmp, neither another user's folder nor a link is ours to remove.
        with suppress(OSError):
            status = left.lstat()
            ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            if ours and pid.isdecimal() and not Path("/proc", pid).exists():
                shutil.rmtree(left, ignore_errors=True)
    return tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=base)


class _Exporter:
    """Answers ``GET /metrics`` in a process of its own, one client at a time."""

    def __init__(self, listener: socket.socket, folder: str) -> None:
        self._listener = listener
        self._folder = folder

    def __call__(self, context: WorkerContext) -> None:
        server = _http_server(self._listener, self._folder)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(context.drain_fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if context.drain_fd in ready:
                return
            try:
                server.handle_request()
            except OSError as error:  # a client that went away in the middle
                log.info("metrics client lost", error=str(error))


class _Sums:
    """What the registry collects: the sums over the files that are there, none when the folder is gone."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415

        files = [str(path) for path in Path(self._folder).glob("*.db")]
        found: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return found


def _http_server(listener: socket.socket, folder: str) -> HTTPServer:
    """Return an HTTP server over ``listener`` that shows the sums of ``folder``."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415
    from prometheus_client.exposition import MetricsHandler  # noqa: PLC0415

    registry = CollectorRegistry()
    registry.register(_Sums(folder))
    handler = cast(type[BaseHTTPRequestHandler], MetricsHandler.factory(registry))
    handler.timeout = _CLIENT_SECONDS  # one that connects and says nothing must not hold up the others
    server = HTTPServer(("", 0), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.timeout = 0
    return server
