"""AUTH PLAIN at gatepost-sasl and at Dovecot's auth service, over the protocol that Postfix speaks.

Both get the same requests over a UNIX socket on one kept connection, one in flight, as an
smtpd process sends them. Dovecot has a passwd-file with SHA256 hashes and logs no login that is
granted, as it comes; Gatepost logs each. CPU is that of the server's whole process tree. ``floor`` is
the least that any server in Python would take.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import socket
import statistics
import time
from collections import defaultdict
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from gatepost_bench import accounting, dovecot, floor
from gatepost_bench.load import Order
from gatepost_bench.mail import private_stack, run_load
from gatepost_core.postfix import Parameter
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack


@dataclass(frozen=True, slots=True)
class AuthFigures:
    """Milliseconds of CPU a login, and logins a second, of one server."""

    cpu_ms: float
    rate: float


class Client:
    """One connection of Dovecot's auth protocol, as an smtpd process keeps it."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._socket.sendall(f"VERSION\t1\t0\nCPID\t{os.getpid()}\n".encode())
        self._file = self._socket.makefile("rb")
        while self._file.readline().rstrip() != b"DONE":
            pass

    def login(self, number: int, response: str) -> None:
        """Log in once. Raises RuntimeError for anything but OK."""
        self._socket.sendall(
            f"AUTH\t{number}\tPLAIN\tservice=smtp\tnologin\tlip=127.0.0.1\trip=127.0.0.1\tsecured"
            f"\tresp={response}\n".encode()
        )
        answer = self._file.readline()
        if not answer.startswith(b"OK\t"):
            raise RuntimeError(f"login was answered {answer!r}")

    def close(self) -> None:
        """End the connection."""
        self._file.close()
        self._socket.close()


@dataclass(frozen=True, slots=True)
class Server:
    """Who answers: a socket, a process tree's root, whose login it knows, a Postfix that asks it."""

    path: Path
    pid: int
    login: ClientLogin
    stack: Stack


def measure(logins: int, sessions: int, rounds: int = 5) -> dict[str, AuthFigures]:
    """Return the figures of ``gatepost``, ``dovecot`` and ``floor``: one connection, and ``… by Postfix``.

    ``logins`` are made on the kept connection, ``sessions`` SMTP sessions with a login each by Postfix, both
    spread over the rounds. Each round asks all servers, one after the other; the medians count.
    """
    each: dict[str, list[AuthFigures]] = defaultdict(list)
    with ExitStack() as exits:
        servers = _servers(exits)
        for server in servers.values():
            _by_postfix(server, 60)
        for _ in range(rounds):
            for name, server in servers.items():
                each[name].append(_run(server, logins // rounds))
                each[f"{name} by Postfix"].append(_by_postfix(server, sessions // rounds))
    return {name: _median(figures) for name, figures in each.items()}


def _median(figures: list[AuthFigures]) -> AuthFigures:
    return AuthFigures(
        statistics.median(one.cpu_ms for one in figures), statistics.median(one.rate for one in figures)
    )


def _servers(exits: ExitStack) -> dict[str, Server]:
    """Start all of them, each with a Postfix of its own."""
    own = exits.enter_context(private_stack(milter=False, extra=[]))
    login = ClientLogin("bench", secrets.token_hex(20))
    servers = {
        "gatepost": Server(
            own.layout.sockets / "sasl", own.supervisor.pid("sasl"), own.provision.credential({}), own
        )
    }
    for name, start in (("dovecot", _dovecot), ("floor", _floor)):
        path, pid = exits.enter_context(start(login))
        asks = Parameter("smtpd_sasl_path", str(path), "benchmark")
        servers[name] = Server(
            path, pid, login, exits.enter_context(private_stack(milter=False, extra=[asks]))
        )
    return servers


def _by_postfix(server: Server, sessions: int) -> AuthFigures:
    order = Order(
        port=server.stack.ports[0],
        ca_file=str(server.stack.layout.ca_file),
        message_file="",
        messages=sessions,
        sessions=10,
        per_connection=1,
        username=server.login.username,
        password=server.login.password,
    )
    before = accounting.cpu_seconds({"server": server.pid})["server"]
    outcome = run_load(order)
    spent = accounting.cpu_seconds({"server": server.pid})["server"] - before
    return AuthFigures(spent / sessions * 1000, sessions / outcome.seconds)


def _run(server: Server, logins: int) -> AuthFigures:
    response = base64.b64encode(f"\0{server.login.username}\0{server.login.password}".encode()).decode()
    client = Client(server.path)
    for number in range(1, 200):
        client.login(number, response)
    before, began = accounting.cpu_seconds({"server": server.pid}), time.monotonic()
    for number in range(200, 200 + logins):
        client.login(number, response)
    seconds = time.monotonic() - began
    spent = accounting.cpu_seconds({"server": server.pid})["server"] - before["server"]
    client.close()
    return AuthFigures(spent / logins * 1000, logins / seconds)


def _floor(login: ClientLogin) -> AbstractContextManager[tuple[Path, int]]:
    return floor.running("sasl", login.username)


def _dovecot(login: ClientLogin) -> AbstractContextManager[tuple[Path, int]]:
    digest = base64.b64encode(hashlib.sha256(login.password.encode()).digest()).decode()
    return dovecot.running({login.username: f"{{SHA256.b64}}{digest}"}, "plain login")
