"""Metrics: summed over workers, also over one that was killed."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

from tests.core.running import PATIENCE, Running

SERVER = """
import os, sys
from gatepost_core.serving import log, prefork
from gatepost_core.serving.metrics import Metrics, counting, observing
log.configure("logfmt", "info", "counting")
metrics = Metrics("counting", sys.argv[1])
counter = metrics.counter("decisions_total", "Decisions.", ("result",))
granted = counter.labels("granted")
gauge = metrics.gauge("connections", "Connections.")
seconds = metrics.histogram("request_seconds", "Seconds.")
count = metrics.batched(counting({"granted": granted}))
took = metrics.batched(observing(seconds))
def work(context):
    for _ in range(3):
        count("granted")
    gauge.inc()
    took(0.002)
    metrics.flush()
    os.write(2, f"counted {context.slot} {os.getpid()}\\n".encode())
    context.wait_for_drain()
print(f"folder {metrics.folder}", file=sys.stderr)
hooks = prefork.Hooks(in_child=metrics.in_child, died=metrics.died, ended=metrics.close)
supervisor = prefork.Supervisor("counting", 2, work, drain_seconds=5, hooks=hooks, helpers=metrics.helpers)
sys.exit(supervisor.run())
"""


def fetch(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer.decode()


def value(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


def test_numbers_are_summed_over_workers_and_outlive_one_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    with Running(["-c", SERVER, f"unix:{path}"], tmp_path) as daemon:
        log = daemon.wait_log("counted", times=2)
        before = fetch(path)
        assert value(before, 'gatepost_counting_decisions_total{result="granted"}') == 6
        assert value(before, "gatepost_counting_connections") == 2
        assert value(before, 'gatepost_counting_request_seconds_bucket{le="0.0025"}') == 2
        assert value(before, "gatepost_counting_request_seconds_count") == 2
        pid = re.search(r"counted 0 (\d+)", log)
        assert pid is not None
        os.kill(int(pid[1]), signal.SIGKILL)
        daemon.wait_log("counted", times=3)
        after = fetch(path)
        assert value(after, 'gatepost_counting_decisions_total{result="granted"}') == 9
        assert value(after, "gatepost_counting_connections") == 2
        assert value(after, "gatepost_counting_worker_restarts_total") == 1


def test_nothing_is_left_behind_when_the_daemon_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    with Running(["-c", SERVER, f"unix:{path}"], tmp_path) as daemon:
        daemon.wait_log("counted", times=2)
        folder = re.search(r"folder (\S+)", daemon.log)
        assert folder is not None
        assert Path(folder[1]).is_dir()
        assert daemon.stop() == 0
        assert not Path(folder[1]).exists()
        assert not path.exists()


def test_a_client_that_says_nothing_does_not_stop_the_daemon_from_ending(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    with Running(["-c", SERVER, f"unix:{path}"], tmp_path) as daemon, socket.socket(socket.AF_UNIX) as mute:
        mute.connect(str(path))
        assert daemon.stop() == 0
        assert "killed" not in daemon.log


def test_what_a_killed_daemon_left_behind_goes_with_the_next_start(tmp_path: Path) -> None:
    base = {"RUNTIME_DIRECTORY": str(tmp_path)}
    arguments = ["-c", SERVER, f"unix:{tmp_path}/metrics"]
    with Running(arguments, tmp_path, environ=base) as daemon:
        daemon.wait_log("counted", times=2)
        daemon.process.kill()
        daemon.process.wait(PATIENCE)
    (left,) = tmp_path.glob("gatepost-counting-metrics-*")
    with Running(arguments, tmp_path, environ=base) as daemon:
        daemon.wait_log("counted", times=2)
        assert not left.exists()
        assert len(list(tmp_path.glob("gatepost-counting-metrics-*"))) == 1
