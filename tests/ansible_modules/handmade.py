"""A mail server that somebody made by hand, private and on loopback: routes, relays and logins of its own.

What it sends elsewhere than through a gateway ends at `Elsewhere`, servers of its own without TLS.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from gatepost_stack import layout, process
from gatepost_stack.instance import _GUARD, _INTERNAL_SERVICES, _daemon_directory
from tests.waiting import until

Found = TypeVar("Found")
NAME = "house.test"
LOGIN = ("other", "s3cret")
_MAIN = """\
# The house's own; please keep.
compatibility_level = 3.6
myhostname = {name}
mydestination =
local_recipient_maps =
virtual_mailbox_domains = {name}
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {mail}
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {queue}
data_directory = {data}
maillog_file = {log}
maillog_file_prefixes = {logs}
queue_run_delay = 2s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
"""


@dataclass
class Elsewhere:
    """A server without TLS that keeps what it gets: `mail` holds senders, recipients and texts."""

    login: bool = False
    mail: list[tuple[str, list[str], str]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        text = envelope.content if isinstance(envelope.content, bytes) else b""
        self.mail.append((envelope.mail_from or "", envelope.rcpt_tos, text.decode(errors="replace")))
        return "250 kept"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.users.append(data.login.decode())
        return AuthResult(success=(data.login.decode(), data.password.decode()) == LOGIN)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Listen on a free port; yields host and port as a route names them."""
        controller = Controller(
            self, "127.0.0.1", _free_port(), server_hostname="elsewhere.invalid", auth_require_tls=False,
            authenticator=self.authenticate if self.login else None,
        )  # fmt: skip
        controller.start()
        try:
            yield f"[127.0.0.1]:{controller.port}"
        finally:
            controller.stop()

    def got(self, recipient: str) -> tuple[str, list[str], str]:
        """Wait for the message to ``recipient``."""
        return until(lambda: next((one for one in self.mail if recipient in one[1]), None), recipient)


class HandMade:
    """The server. Use as a context manager; `main` are lines for main.cf."""

    def __init__(self, folder: Path, main: str) -> None:
        self.place = layout.plan(folder)
        self.place.prepare()
        self.mail = self.place.runtime / "mail"
        (self.mail / "all").mkdir(parents=True)
        os.chown(self.mail / "all", 8, 8)
        self.log_file = self.place.logs / "postfix.log"
        self.place.logs.chmod(0o755)
        own = _MAIN.format(
            name=NAME, mail=self.mail, queue=self.place.queue, data=self.place.data, log=self.log_file,
            logs=self.place.logs,
        )  # fmt: skip
        self.tables = self.place.runtime / "client"
        self.tables.mkdir()
        self.write("main.cf", own + main)
        self.write("master.cf", _INTERNAL_SERVICES + "virtual unix - n n - - virtual\n")
        self.state = self.place.runtime / "state.json"
        self.before = self.files

    def write(self, name: str, text: str) -> None:
        path = self.place.postfix / name
        path.write_text(text)
        # Postfix's programs wait for a file to settle that has just been changed.
        os.utime(path, (time.time() - 60, time.time() - 60))

    @property
    def files(self) -> tuple[str, str]:
        return (self.place.postfix / "main.cf").read_text(), (self.place.postfix / "master.cf").read_text()

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def __enter__(self) -> HandMade:
        self.command("postfix", "check")
        command = [*_GUARD, f"{_daemon_directory()}/master", "-c", str(self.place.postfix)]
        self.master = process.start(command, self.log_file)
        try:
            until((self.place.queue / "public/pickup").exists, lambda: f"Postfix\n{self.log}")
        except BaseException:
            process.stop(self.master)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process.stop(self.master)
        self.place.close()

    def command(self, *words: str, text: str = "") -> str:
        """Run one of Postfix's programs on this server."""
        environment = {**os.environ, "MAIL_CONFIG": str(self.place.postfix)}
        done = subprocess.run(
            [f"/usr/sbin/{words[0]}", *words[1:]], input=text, capture_output=True, text=True, check=True,
            env=environment,
        )  # fmt: skip
        return done.stdout

    def shell(self, code: str) -> None:
        """Run shell commands as root on this server."""
        path = f"/usr/sbin:/sbin:{os.environ['PATH']}"
        environment = {**os.environ, "MAIL_CONFIG": str(self.place.postfix), "PATH": path}
        done = subprocess.run(
            ["sh", "-ec", code], capture_output=True, text=True, check=False, env=environment
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def reload(self) -> None:
        """Have Postfix read its files as they are now."""
        for name in ("main.cf", "master.cf"):
            os.utime(self.place.postfix / name, (time.time() - 60, time.time() - 60))
        self.command("postfix", "reload")

    def send(self, recipient: str, sender: str = f"root@{NAME}") -> None:
        """Hand in a message as a program on the server does."""
        self.command("sendmail", "-i", "-f", sender, recipient, text=f"From: {sender}\nSubject: x\n\nhello\n")

    def logged(self, *texts: str) -> str:
        """Wait until a line of the log has all of these texts; returns it."""

        def found() -> str | None:
            lines = (line for line in self.log.splitlines() if all(text in line for text in texts))
            return next(lines, None)

        return until(found, lambda: f"{texts} in the log\n{self.log[-3000:]}")

    def mailbox(self, text: str) -> str:
        """Wait for a message with ``text`` in the server's own mailbox."""

        def found() -> str | None:
            every = (path.read_text(errors="replace") for path in (self.mail / "all").rglob("new/*"))
            return next((message for message in every if text in message), None)

        return until(found, lambda: f"{text!r} in the mailbox\n{self.log[-3000:]}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    return port
