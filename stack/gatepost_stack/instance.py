"""A private Postfix: its configuration files, start, readiness and stop.

What Gatepost needs comes from ``gatepost_core.postfix``, as on a real server. On top of
it stand the settings that make it private: loopback only, its own directories and ports,
a log file of its own, all mail to the sink. master(8) runs in the foreground below us and
ends when we end.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from gatepost_core.postfix import Parameter, Service, main_cf, master_cf
from gatepost_core.settings import Settings
from gatepost_stack import layout, process
from gatepost_stack.layout import Layout
from gatepost_stack.process import StackError

HOST = "127.0.0.1"
_READY_SECONDS = 30.0
# master(8) changes its effective user for a moment, and the kernel then forgets to end it with its
# parent (prctl(2), PR_SET_PDEATHSIG). A shell keeps that tie, passes SIGTERM on, and waits for the end.
_GUARD = (
    "sh",
    "-c",
    """trap 'kill -TERM "$child" 2>/dev/null' TERM
"$@" & child=$!
wait "$child"; status=$?
while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
exit "$status\"""",
    "sh",
)
# postfix(5): name, type, private, unprivileged, chroot, wake-up time, process limit, command.
_INTERNAL_SERVICES = """\
pickup     unix       n  -  n  60   1  pickup
cleanup    unix       n  -  n  -    0  cleanup
qmgr       unix       n  -  n  300  1  qmgr
tlsmgr     unix       -  -  n  1000? 1 tlsmgr
rewrite    unix       -  -  n  -    -  trivial-rewrite
bounce     unix       -  -  n  -    0  bounce
defer      unix       -  -  n  -    0  bounce
trace      unix       -  -  n  -    0  bounce
verify     unix       -  -  n  -    1  verify
flush      unix       n  -  n  1000? 0 flush
proxymap   unix       -  -  n  -    -  proxymap
proxywrite unix       -  -  n  -    1  proxymap
smtp       unix       -  -  n  -    -  smtp
relay      unix       -  -  n  -    -  smtp
showq      unix       n  -  n  -    -  showq
error      unix       -  -  n  -    -  error
retry      unix       -  -  n  -    -  error
discard    unix       -  -  n  -    -  discard
anvil      unix       -  -  n  -    1  anvil
scache     unix       -  -  n  -    1  scache
postlog    unix-dgram n  -  n  -    1  postlogd
"""


class Postfix:
    """One private Postfix. ``ports`` maps each service's name in master.cf to a port on loopback."""

    def __init__(self, places: Layout, ports: Mapping[str, int], sink_port: int) -> None:
        self._layout = places
        self._ports = dict(ports)
        self._sink_port = sink_port
        self._proxied: set[str] = set()
        self._guard: subprocess.Popen[bytes] | None = None
        self.log = places.maillog

    def configure(
        self,
        settings: Settings,
        bounce_domains: Iterable[str],
        extra: Iterable[Parameter] = (),
        others: Iterable[Service] = (),
    ) -> None:
        """Write main.cf and master.cf; ``extra`` parameters come last and win, ``others`` are services."""
        parameters = {parameter.name: parameter for parameter in main_cf(settings, bounce_domains)}
        parameters.update((parameter.name, parameter) for parameter in (*self._private(), *extra))
        services = (*master_cf(settings), *others)
        self._proxied = {service.name for service in services if service.proxied}
        entries = [entry for service in services if (entry := self._on_loopback(service))]
        self._write("main.cf", [parameter.line for parameter in parameters.values()])
        self._write("master.cf", [*entries, _INTERNAL_SERVICES.rstrip()])

    def start(self) -> None:
        """Start master(8) and wait until every port greets. Raises StackError."""
        self._check()
        master = f"{_daemon_directory()}/master"
        command = [*_GUARD, master, "-c", str(self._layout.postfix)]
        self._guard = process.start(command, self.log)
        deadline = time.monotonic() + _READY_SECONDS
        for name, port in self._ports.items():
            self._wait_until_open(name, port, deadline)

    def stop(self) -> None:
        """End master(8), which ends its children."""
        if self._guard is not None:
            process.stop(self._guard)
            self._guard = None

    @property
    def running(self) -> bool:
        """Whether master(8) runs."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def pid(self) -> int:
        """Process id of master(8). Raises StackError when it was not started."""
        try:
            return int((self._layout.queue / "pid/master.pid").read_text())
        except (OSError, ValueError) as error:
            raise StackError("Postfix does not run") from error

    def flush(self) -> None:
        """Ask for delivery of deferred mail now."""
        subprocess.run(
            ["/usr/sbin/postqueue", "-c", str(self._layout.postfix), "-f"], check=True, capture_output=True
        )

    def _private(self) -> list[Parameter]:
        sink = f"smtp:[{HOST}]:{self._sink_port}"
        rows = {
            "queue_directory": str(self._layout.queue),
            "data_directory": str(self._layout.data),
            "maillog_file": str(self.log),
            "maillog_file_prefixes": str(self._layout.logs),
            "inet_interfaces": HOST,
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "mydestination": "",
            "alias_maps": "",
            "alias_database": "",
            "default_transport": sink,
            "relay_transport": sink,
            "local_transport": sink,
            "virtual_transport": sink,
            "default_process_limit": "250",
            "default_destination_concurrency_limit": "50",
            "initial_destination_concurrency": "20",
            "smtpd_client_event_limit_exceptions": "127.0.0.0/8",
            "smtpd_peername_lookup": "no",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "queue_run_delay": "5s",
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "5s",
        }
        return [Parameter(name, value, "private") for name, value in rows.items()]

    def _on_loopback(self, service: Service) -> str:
        if service.type == "unix":
            return service.entry
        if service.name not in self._ports:
            return ""
        name, _, rest = service.entry.partition(" ")
        return f"{HOST}:{self._ports[name]} {rest}"

    def _write(self, name: str, lines: list[str]) -> None:
        path = self._layout.postfix / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        # Postfix waits for files that have just been changed to settle.
        os.utime(path, (time.time() - 60, time.time() - 60))

    def _check(self) -> None:
        command = ["/usr/sbin/postfix", "-c", str(self._layout.postfix), "check"]
        run = subprocess.run(command, check=False, capture_output=True, text=True)
        if run.returncode:
            raise StackError(f"postfix check: {run.stderr.strip() or process.tail(self.log)}")

    def _wait_until_open(self, name: str, port: int, deadline: float) -> None:
        while time.monotonic() < deadline:
            if not self.running:
                break
            with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as connection:
                # Port 465 greets inside TLS only, one behind a load balancer waits for its header; that
                # they accept must do.
                if name in ("submissions", *self._proxied) or connection.recv(512).startswith(b"220"):
                    return
            time.sleep(0.02)
        raise StackError(
            f"Postfix does not answer on port {port}; its log ends with:\n{process.tail(self.log)}"
        )


def end_left_over(var: Path) -> None:
    """End a Postfix that an earlier stack in ``var`` left running, if its process really is that one."""
    places = layout.last(var)
    with suppress(OSError, ValueError):
        pid = int((places.queue / "pid/master.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if command[0].endswith(b"/master") and os.fsencode(places.postfix) in command:
            os.kill(pid, signal.SIGTERM)
            _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        # A pidfd is readable once the process has ended (pidfd_open(2)).
        select.select([pidfd], [], [], 10.0)
    finally:
        os.close(pidfd)


def _daemon_directory() -> str:
    run = subprocess.run(["/usr/sbin/postconf", "-dh", "daemon_directory"], capture_output=True, check=True)
    return run.stdout.decode().strip()
