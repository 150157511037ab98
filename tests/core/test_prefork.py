"""The supervisor: what it does about children that fail, and what it tells the service manager."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatepost_core.serving.prefork import Supervisor
from tests.core.running import Running

FAILING = """
import sys
from gatepost_core.serving import log, prefork
log.configure("logfmt", "info", "failing")
def work(context):
    raise RuntimeError("no luck")
sys.exit(prefork.Supervisor("failing", 1, work, drain_seconds=5).run())
"""
# Each line in one write: several processes share the log.
WAITING = """
import os, sys
from gatepost_core.serving import log, prefork
log.configure("logfmt", "info", "waiting")
def hooks():
    return prefork.Hooks(
        in_child=lambda slot: os.write(2, b"child %d\\n" % slot),
        ended=lambda: os.write(2, b"ended\\n"),
    )
def work(context):
    context.wait_for_drain()
sys.exit(prefork.Supervisor("waiting", 2, work, drain_seconds=5, hooks=hooks(),
                            helpers=[("helper", work)], process_group=GROUP).run())
"""


def test_a_worker_that_always_fails_is_tried_again_ever_later_and_for_ever(tmp_path: Path) -> None:
    with Running(["-c", FAILING], tmp_path) as daemon:
        log = daemon.wait_log('event="worker died"', times=7)
        waits = [float(text) for text in re.findall(r"respawn_in=(\S+)", log)]
        assert waits[:7] == [0, 0.1, 0.2, 0.4, 0.8, 1, 1]
        assert "RuntimeError: no luck" in log
        assert "status=1" in log
        assert daemon.stop() == 0


def test_when_all_workers_die_again_and_again_none_is_left_out_for_long(tmp_path: Path) -> None:
    with Running(["-c", FAILING.replace('"failing", 1,', '"failing", 3,')], tmp_path) as daemon:
        log = daemon.wait_log('event="worker died"', times=24)
        waits = [float(text) for text in re.findall(r"respawn_in=(\S+)", log)]
        assert max(waits) <= 2
        assert len(set(re.findall(r"slot=(\d)", log))) == 3
        assert daemon.stop() == 0


def test_hooks_run_where_they_are_promised(tmp_path: Path) -> None:
    with Running(["-c", WAITING.replace("GROUP", "False")], tmp_path) as daemon:
        for slot in range(3):
            daemon.wait_log(f"child {slot}\n")
        assert daemon.stop() == 0
        assert "ended\n" in daemon.log


def test_sighup_is_ignored_and_logged(tmp_path: Path) -> None:
    with Running(["-c", WAITING.replace("GROUP", "False")], tmp_path) as daemon:
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_log("SIGHUP ignored")
        assert daemon.stop() == 0


def test_children_can_be_kept_out_of_the_terminals_process_group(tmp_path: Path) -> None:
    with Running(["-c", WAITING.replace("GROUP", "True")], tmp_path) as daemon:
        for slot in range(3):
            daemon.wait_log(f"child {slot}\n")
        pid = daemon.process.pid
        children = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        assert len(children) == 3
        assert all(os.getpgid(child) == child for child in children)


def test_the_watchdog_is_fed_and_stopping_told(tmp_path: Path) -> None:
    script = WAITING.replace("GROUP", "False")
    with Running(["-c", script], tmp_path, environ={"WATCHDOG_USEC": "100000"}) as daemon:
        for _ in range(3):
            daemon.wait_notice("WATCHDOG=1")
        daemon.terminate()
        daemon.wait_notice("STOPPING=1")


def test_the_watchdog_is_not_fed_while_all_workers_die_at_once(tmp_path: Path) -> None:
    with Running(["-c", FAILING], tmp_path, environ={"WATCHDOG_USEC": "100000"}) as daemon:
        daemon.wait_log('event="worker died"', times=2)
        daemon.notices()
        daemon.wait_log('event="worker died"', times=5)
        assert "WATCHDOG=1" not in daemon.notices()


def test_a_daemon_without_workers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Supervisor("none", 0, lambda _: None, drain_seconds=1)


# Its worker has ended, and the signal to stop has come, before the parent looks at either.
STOPPED = """
import os, signal, sys
from pathlib import Path
from gatepost_core.serving import log, prefork
log.configure("logfmt", "info", "stopped")
def ready():
    pid = os.getpid()
    child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
    os.kill(child, signal.SIGKILL)
    while Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        pass
    os.kill(pid, signal.SIGTERM)
def work(context):
    context.wait_for_drain()
os.environ.pop("NOTIFY_SOCKET")
sys.exit(prefork.Supervisor("stopped", 1, work, drain_seconds=3600, hooks=prefork.Hooks(ready=ready)).run())
"""


def test_a_worker_that_dies_at_the_signal_to_stop_is_not_waited_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED],
        env={**os.environ, "NOTIFY_SOCKET": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "worker died" in done.stderr
