"""The container engine: the one that answers, or a dockerd of the tests' own.

`ensure()` asks DOCKER_HOST (or the system's socket) first. When nothing answers there, root starts Debian's
dockerd with its socket and data in the tests' cache directory; `release()` stops that one again once no
container is left in it. Where neither works, `EngineMissingError` says why, in one sentence. What a run left
that was killed is removed by the next one that starts when no other runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import docker
import docker.errors

CACHE = Path(os.environ.get("GATEPOST_TEST_CACHE") or "/var/cache/gatepost-tests")
RUN = Path("/run/gatepost-tests")
OURS = f"unix://{RUN / 'docker.sock'}"
SYSTEM = "unix:///var/run/docker.sock"
PID_FILE = RUN / "docker.pid"
START_SECONDS = 60.0
STOP_SECONDS = 30.0

# Whose a container or network is: the value is its network's name, and hosts made by hand outlive a run.
LABEL = "gatepost-test"
BY_HAND = "gatepost-by-hand"
# Two runs with cache directories of their own, on one engine, know nothing of each other.
CACHE_LABEL = "gatepost-test-cache"

# The helper that removes the containers of a dead run has to be pulled; the tests remove their own.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")

_use = contextlib.ExitStack()  # holds the lock file open that says who uses the engine


class EngineMissingError(Exception):
    """No container engine can run the hosts here; the text says why and what to do."""


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the cache directory's lock `name`: two test runs share images and engine."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def ensure() -> docker.DockerClient:
    """A client of an engine that answers; sets DOCKER_HOST for testcontainers and for programs started."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked("engine"):
        _use.enter_context(handle := (CACHE / "users.lock").open("w"))
        alone = _only_user(handle)
        fcntl.flock(handle, fcntl.LOCK_SH)
        client = _answering(os.environ.get("DOCKER_HOST") or SYSTEM)
        if client is None:
            client = _answering(OURS) or _start()
            os.environ["DOCKER_HOST"] = OURS
        if alone:
            remove_left(client)
    return client


def labels(name: str) -> dict[str, str]:
    """The labels of what belongs to the network `name` of this run."""
    return {LABEL: name, CACHE_LABEL: str(CACHE)}


def remove_left(client: docker.DockerClient) -> None:
    """Remove the hosts and networks that a dead run left; call it only when no other run is alive."""
    ours = {"label": f"{CACHE_LABEL}={CACHE}"}
    for container in client.containers.list(all=True, filters=ours):
        if container.labels[LABEL] != BY_HAND:
            container.remove(force=True, v=True)
    for network in client.networks.list(filters=ours):
        if network.name != BY_HAND:
            network.remove()


def release() -> None:
    """Stop the tests' own dockerd unless a container or another run needs it; any other is left alone."""
    _use.close()
    with locked("engine"), (CACHE / "users.lock").open("w") as handle:
        if not _only_user(handle):
            return
        client = _answering(OURS)
        if client is None:
            return
        with contextlib.closing(client):
            if client.containers.list(all=True):
                return
        _stop(int(PID_FILE.read_text()))


def _only_user(handle: IO[str]) -> bool:
    """Whether no other run holds the lock of those that use the engine; if so, it is held alone now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answering(url: str) -> docker.DockerClient | None:
    # docker-py leaves a socket open when its first request fails: look before a client is made.
    if url.startswith("unix://") and not _listening(url.removeprefix("unix://")):
        return None
    with contextlib.suppress(docker.errors.DockerException, OSError):
        return docker.DockerClient(base_url=url)
    return None


def _listening(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def _start() -> docker.DockerClient:
    program = shutil.which("dockerd", path=f"/usr/sbin:/sbin:{os.environ.get('PATH', '')}")
    if program is None:
        raise EngineMissingError(
            "no container engine answers and dockerd is not installed: script/bootstrap test"
        )
    if os.geteuid() != 0:
        raise EngineMissingError("no container engine answers and only root can start dockerd: run as root")
    RUN.mkdir(mode=0o755, exist_ok=True)
    log = CACHE / "dockerd.log"
    command = [
        program, "--host", OURS, "--data-root", str(CACHE / "docker"),
        "--exec-root", str(RUN / "exec"), "--pidfile", str(PID_FILE),
    ]  # fmt: skip
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while (client := _answering(OURS)) is None:
        if daemon.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise EngineMissingError(f"dockerd does not start ({log}): {' '.join(last)}")
        time.sleep(0.1)
    daemon.returncode = 0  # it outlives this process when containers are left for hand work
    return client


def _stop(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while PID_FILE.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
