"""What integration tests do to a gateway: log in, send with three clients, wait, and break things."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from gatepost_core.domain import MessageRecord
from gatepost_core.spool import ends
from gatepost_core.store import messages
from gatepost_core.store.ingest import lag
from gatepost_core.store.sqlite.engine import open_engine
from gatepost_stack import client, delivery
from gatepost_stack.delivery import Delivered
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.refs import plain
from tests.waiting import until

Port = Literal["mx", "submission", "submissions"]
Mechanism = Literal["PLAIN", "LOGIN"]
PORTS: tuple[Port, ...] = ("mx", "submission", "submissions")
MECHANISMS: tuple[Mechanism, ...] = ("PLAIN", "LOGIN")
SENDER = "alice@example.test"

_numbers = count(1)


def fresh_recipient() -> str:
    """Return an address that no other test sends to."""
    return f"r{next(_numbers)}.{os.getpid()}@example.org"


def text_message(subject: str = "Hello", sender: str = SENDER, body: str = "Hello.\r\n") -> bytes:
    """Return a small text message with CR LF line ends."""
    return f"From: <{sender}>\r\nTo: <bob@example.org>\r\nSubject: {subject}\r\n\r\n{body}".encode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a client program ended, and all that it printed."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running stack as clients and operators see it."""

    stack: Stack

    def port(self, role: Port) -> int:
        return self.stack.ports[PORTS.index(role)]

    @property
    def ca_file(self) -> str:
        return str(self.stack.layout.ca_file)

    @contextmanager
    def connect(self, role: Port = "submission", *, tls: bool = True) -> Iterator[smtplib.SMTP]:
        """Open a session, inside TLS with a verified certificate unless ``tls`` is off."""
        way: client.Tls = "none" if not tls else "wrapped" if role == "submissions" else "starttls"
        with client.session(HOST, self.port(role), way, self.stack.layout.ca_file) as connection:
            yield connection

    @contextmanager
    def logged_in(
        self, login: ClientLogin, role: Port = "submission", mechanism: Mechanism = "PLAIN"
    ) -> Iterator[smtplib.SMTP]:
        """Open a session and log in with one mechanism."""
        with self.connect(role) as connection:
            client.log_in(
                connection, login.username, login.password, "plain" if mechanism == "PLAIN" else "login"
            )
            yield connection

    def swaks(self, role: Port, *options: str, login: ClientLogin | None = None, tls: bool = True) -> Outcome:
        """Run swaks(1) against a port."""
        command = ["swaks", "--server", HOST, "--port", str(self.port(role)), "--timeout", "30"]
        if tls:
            command.append("--tls-on-connect" if role == "submissions" else "--tls")
            command += ["--tls-verify", "--tls-ca-path", self.ca_file]
        if login:
            command += ["--auth-user", login.username, "--auth-password", login.password]
        return _run([*command, *options])

    def curl(
        self, role: Port, login: ClientLogin, mechanism: Mechanism, recipient: str, file: Path
    ) -> Outcome:
        """Send a file with curl(1)."""
        scheme = "smtps" if role == "submissions" else "smtp"
        options = ["--silent", "--show-error", "--verbose", "--max-time", "30", "--ssl-reqd"]
        identity = ["--cacert", self.ca_file, "--user", f"{login.username}:{login.password}"]
        envelope = ["--mail-from", SENDER, "--mail-rcpt", recipient, "--upload-file", str(file)]
        url = [f"{scheme}://{HOST}:{self.port(role)}", "--login-options", f"AUTH={mechanism}"]
        return _run(["curl", *url, *options, *identity, *envelope])

    def delivered(self, recipient: str, seconds: float = 30.0) -> Delivered:
        """Wait for the message to ``recipient`` to reach the sink."""
        return delivery.wait_for(self.stack.layout.delivered, delivery.to(recipient), seconds)

    def all_delivered(self) -> list[Delivered]:
        """Return everything that is in the sink."""
        return list(delivery.delivered(self.stack.layout.delivered))

    def caught_up(self) -> None:
        """Wait until the store has all that was accepted by now."""
        before = ends(self.stack.settings.spool.directory)

        def taken() -> bool:
            with self.journal() as connection:
                return lag.reaches(lag.taken(connection, before), before)

        until(taken, lambda: f"the store to have what was accepted; events says:\n{self.log('events')}")

    def records(self, username: str, limit: int = 100) -> list[MessageRecord]:
        """Return the newest records of a credential's messages, all that were accepted by now among them."""
        self.caught_up()
        with self.journal() as connection:
            return messages.recent(connection, limit=limit, username=username)

    def recorded(self, number: str) -> MessageRecord:
        """Return the record of a message that was accepted; ``number``: its id or queue id."""
        self.caught_up()
        with self.journal() as connection:
            return messages.get(connection, number)

    @contextmanager
    def journal(self) -> Iterator[Connection]:
        """Read the journal; each statement sees what is committed by then."""
        engine = open_engine(self.stack.settings.store.journal, reading=True)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def log(self, name: str) -> str:
        """Return the log of ``postfix``, ``events``, ``sasl``, ``policy``, ``milter`` or ``sink``."""
        return (self.stack.layout.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def logged(self, name: str, pattern: str, seconds: float = 30.0) -> str:
        """Wait until a log holds what matches; return all of it. Lines of routine come a moment late."""

        def look() -> str | None:
            found = self.log(name)
            return found if re.search(pattern, found) else None

        return until(look, lambda: f"{pattern!r} in the log of {name}:\n{self.log(name)}", seconds)

    def workers(self, daemon: str) -> list[int]:
        """Return the process ids of a daemon's workers."""
        parent = self.stack.supervisor.pid(daemon)
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [int(pid) for pid in children.split()]

    def kill_worker(self, daemon: str) -> None:
        """Kill one worker of a daemon with SIGKILL."""
        os.kill(self.workers(daemon)[0], signal.SIGKILL)

    def kill_parent(self, daemon: str) -> None:
        """Kill a daemon's parent with SIGKILL, and wait until it is ready again."""
        starts = self.stack.supervisor.starts(daemon)
        os.kill(self.stack.supervisor.pid(daemon), signal.SIGKILL)
        self.stack.supervisor.wait_ready(daemon, starts + 1)


def _run(command: Sequence[str]) -> Outcome:
    run = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", timeout=60)
    return Outcome(run.returncode, run.stdout + run.stderr)


def write_main_cf(stack: Stack, text: str) -> None:
    """Replace main.cf in one piece, as a program of Postfix that starts just now must not read half of it.

    It is dated back: they wait for seconds before they read a file that has just been written.
    """
    file = stack.layout.postfix / "main.cf"
    changed = file.with_name("main.cf.changed")
    changed.write_text(text)
    before = time.time() - 60
    os.utime(changed, (before, before))
    changed.replace(file)


def whole(answer: tuple[int, bytes | str]) -> str:
    """Return smtplib's answer as one line, with all that it ends in."""
    text = answer[1]
    return f"{answer[0]} {text.decode() if isinstance(text, bytes) else text}"


def refusal(error: smtplib.SMTPResponseException) -> str:
    """Return an SMTP error's reply as one line, without the reference that one of ours ends in."""
    return plain(whole((error.smtp_code, error.smtp_error)))


def reply(answer: tuple[int, bytes]) -> str:
    """Return smtplib's answer as one line, without the reference that one of ours ends in."""
    return plain(whole(answer))
