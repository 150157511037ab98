"""Mail load against a gateway while something happens to it: every answer is kept, nothing is excused.

A few sessions of several messages each, one after the other in each thread, at a bounded rate. A 4xx, a
connection that ends, is what RFC 5321 has clients try again; anything else the gateway does is a violation.
"""

from __future__ import annotations

import secrets
import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.ansible.receiving import DOMAIN

_PER_SESSION = 5
_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Submission:
    """Where and as whom to submit: `name` is what the certificate at `address` must say, by `authority`."""

    address: str
    username: str
    password: str
    authority: str
    name: str

    @contextmanager
    def session(self) -> Iterator[smtplib.SMTP]:
        """A session on port 587, encrypted and logged in."""
        context = ssl.create_default_context(cadata=self.authority)
        with smtplib.SMTP(self.address, 587, timeout=90) as session:
            setattr(session, "_host", self.name)  # noqa: B010 - what starttls() verifies; typeshed leaves it out
            session.starttls(context=context)
            session.login(self.username, self.password)
            yield session


@dataclass(slots=True)
class Load:
    """What the load saw: `accepted` tokens (250 after DATA), `deferred` attempts (4xx), `violations`."""

    submission: Submission
    sender: str
    accepted: list[str] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _workers: list[threading.Thread] = field(default_factory=list)
    _run: str = field(default_factory=lambda: secrets.token_hex(4))
    _number: int = 0

    @contextmanager
    def running(self, *, threads: int = 2, seconds: float = 300.0) -> Iterator[Load]:
        """Send until the block ends, at most so long."""
        deadline = time.monotonic() + seconds
        self._workers = [threading.Thread(target=self._work, args=(deadline,)) for _ in range(threads)]
        for worker in self._workers:
            worker.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """No more; returns when the last session has ended."""
        self._end.set()
        for worker in self._workers:
            worker.join()

    def wait_accepted(self, more: int, *, seconds: float = 60.0) -> None:
        """Wait until `more` further messages were accepted."""
        wanted, deadline = len(self.accepted) + more, time.monotonic() + seconds
        while len(self.accepted) < wanted:
            assert time.monotonic() < deadline, f"{len(self.accepted)} accepted; {self.deferred[-5:]}"
            time.sleep(0.05)

    def _work(self, deadline: float) -> None:
        while not self._end.is_set() and time.monotonic() < deadline:
            try:
                self._session()
            except smtplib.SMTPResponseException as refused:
                self._answered(refused.smtp_code, str(refused.smtp_error))
            except smtplib.SMTPRecipientsRefused as refused:
                for code, text in refused.recipients.values():
                    self._answered(code, str(text))
            except (smtplib.SMTPServerDisconnected, ConnectionResetError, ssl.SSLEOFError) as ended:
                self._note(self.deferred, f"ended: {ended}")
            except (OSError, smtplib.SMTPException) as error:
                self._note(self.violations, repr(error))
            self._end.wait(_PAUSE)

    def _session(self) -> None:
        with self.submission.session() as session:
            for _ in range(_PER_SESSION):
                if self._end.is_set():
                    return
                token = self._token()
                session.sendmail(self.sender, [f"load@{DOMAIN}"], self._message(token))
                self._note(self.accepted, token)
                self._end.wait(_PAUSE)

    def _message(self, token: str) -> bytes:
        return f"From: {self.sender}\r\nSubject: load {token}\r\n\r\nunder load\r\n".encode()

    def _token(self) -> str:
        with self._lock:
            self._number += 1
            return f"{self._run}-{self._number:06d}-end"

    def _answered(self, code: int, text: str) -> None:
        self._note(self.deferred if 400 <= code < 500 else self.violations, f"{code} {text}")

    def _note(self, where: list[str], what: str) -> None:
        with self._lock:
            where.append(what)
