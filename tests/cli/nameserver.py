"""A private nsd(8) on loopback, with the zones that a test writes."""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.exception
import dns.message
import dns.query

from tests.waiting import until

_SOA = "@ 60 IN SOA ns hostmaster 1 60 60 60 60\n@ 60 IN NS ns\nns 60 IN A 127.0.0.1\n"
_NSD = shutil.which("nsd", path="/usr/sbin:/usr/bin") or "nsd"


@contextmanager
def nameserver(folder: Path, zones: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Serve ``zones``, the lines of each, and yield the address as ``--resolver`` takes it."""
    folder.mkdir()
    port = _free_port()
    lines = [
        f'server:\n ip-address: 127.0.0.1@{port}\n username: ""\n chroot: ""\n zonesdir: {folder}',
        f" pidfile: {folder}/nsd.pid\n xfrdfile: {folder}/xfrd.state\n zonelistfile: {folder}/zone.list",
        f' xfrdir: {folder}\n database: ""\n server-count: 1\nremote-control:\n control-enable: no',
    ]
    for name, records in zones.items():
        (folder / name).write_text(f"$ORIGIN {name}.\n{_SOA}" + "".join(f"{line}\n" for line in records))
        lines.append(f"zone:\n name: {name}\n zonefile: {name}")
    (folder / "nsd.conf").write_text("\n".join(lines) + "\n")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([_NSD, "-d", "-c", folder / "nsd.conf"], stdout=log, stderr=log)
    try:
        _wait_until_ready(port, next(iter(zones)), server, folder / "log")
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _free_port() -> int:
    """Return a port that is free for UDP and TCP, below those that the kernel hands out by itself."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(100):
        port = random.randrange(10_000, low)  # noqa: S311 - tests on one machine must not meet
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            try:
                udp.bind(("127.0.0.1", port))
                tcp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


def _wait_until_ready(port: int, zone: str, server: subprocess.Popen[bytes], log: Path) -> None:
    query = dns.message.make_query(zone, "SOA")

    def answers() -> bool:
        with suppress(dns.exception.Timeout, OSError):
            return bool(dns.query.udp(query, "127.0.0.1", timeout=0.2, port=port).answer)
        return server.poll() is not None

    until(answers, lambda: f"an answer of nsd: {log.read_text()}")
    assert server.poll() is None, log.read_text()
