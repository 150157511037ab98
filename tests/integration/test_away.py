"""The journal is locked, then gone, then the directory as well, while mail and clicks go on and daemons die.

Twelve seconds of it; ``GATEPOST_AWAY=60`` takes a minute, as is promised.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gatepost_core.store import database_file
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message

AWAY = float(os.environ.get("GATEPOST_AWAY", "12"))  # seconds in all
LINKS = 100  # of one message
EVERY = 0.03  # seconds from click to click
LETTER = (
    "From: <alice@example.test>\r\nTo: <bob@example.org>\r\nSubject: links\r\nMIME-Version: 1.0\r\n"
    "Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n{}</body></html>\r\n"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Stack(tmp_path_factory.mktemp("away"), tracker=0) as stack:
        yield Gateway(stack)


class Clicks:
    """Follows one link after the other; a browser asks again where a connection ends without an answer."""

    def __init__(self, links: dict[str, str]) -> None:
        self._links = links
        self.asked = Counter[str]()  # by destination; each was answered once
        self.wrong: list[str] = []

    def go_on(self, over: threading.Event) -> None:
        for link, destination in self._links.items():
            if over.wait(EVERY):
                return
            self._follow(link, destination)

    def _follow(self, link: str, destination: str) -> None:
        parts = urlsplit(link)
        for _ in range(20):
            self.asked[destination] += 1
            with closing(HTTPConnection(parts.netloc, timeout=20)) as connection:
                try:
                    connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
                    answer = connection.getresponse()
                except (OSError, HTTPException):
                    continue
                if (answer.status, answer.headers.get("Location")) != (302, destination):
                    self.wrong.append(f"{answer.status} for {destination}")
                return
        self.wrong.append(f"no answer for {destination}")


class Mails:
    """Sends one message after the other; ``accepted`` are the subjects of those that were taken."""

    def __init__(self, gateway: Gateway, login: ClientLogin) -> None:
        self._gateway = gateway
        self._login = login
        self.accepted: list[str] = []

    def go_on(self, over: threading.Event) -> None:
        with self._gateway.logged_in(self._login) as client:
            while not over.wait(0.1):
                subject = f"number {len(self.accepted)}"
                client.sendmail(SENDER, [fresh_recipient()], text_message(subject))
                self.accepted.append(subject)


@contextmanager
def moved(folder: Path, name: str) -> Iterator[None]:
    """Have a database and what belongs to it elsewhere meanwhile."""
    files = list(folder.glob(f"{name}.db*"))
    for file in files:
        file.rename(folder / f"away-{file.name}")
    try:
        yield
    finally:
        for file in files:
            (folder / f"away-{file.name}").rename(file)


@contextmanager
def going_on(*loads: Callable[[threading.Event], None]) -> Iterator[None]:
    over = threading.Event()
    with ThreadPoolExecutor(len(loads)) as pool:
        running = [pool.submit(load, over) for load in loads]
        try:
            yield
        finally:
            over.set()
        for one in running:
            one.result()


def kill(gateway: Gateway, daemon: str, *, parent: bool) -> None:
    if parent:
        gateway.kill_parent(daemon)
    else:
        with suppress(ProcessLookupError, IndexError):
            os.kill(gateway.workers(daemon)[0], signal.SIGKILL)


def links_of(gateway: Gateway, login: ClientLogin, number: int) -> dict[str, str]:
    """Send messages with so many links in all; return links and where they lead."""
    found: dict[str, str] = {}
    for message in range(-(-number // LINKS)):
        recipient = fresh_recipient()
        places = [f"https://www.example.org/{message}/{one}" for one in range(LINKS)]
        body = LETTER.format("".join(f'<a href="{place}">x</a>\r\n' for place in places))
        with gateway.logged_in(login) as client:
            client.sendmail(SENDER, [recipient], body.encode())
        text = gateway.delivered(recipient).message.decode()
        found |= dict(zip(re.findall(r'href="([^"]+)"', text), places, strict=True))
    return found


def test_while_databases_are_away_and_daemons_die_nothing_fails_or_is_lost_or_told_twice(
    gateway: Gateway,
) -> None:
    login = gateway.stack.provision.credential({"trackclicks": True})
    plain = gateway.stack.provision.credential()
    clicks = Clicks(links_of(gateway, login, int(AWAY * 2 / EVERY)))
    mails = Mails(gateway, plain)
    gateway.caught_up()
    folder = database_file(gateway.stack.settings.store.journal).parent
    rest = threading.Event()
    with going_on(clicks.go_on, mails.go_on):
        with closing(sqlite3.connect(folder / "journal.db", timeout=60, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            rest.wait(AWAY / 6)
            kill(gateway, "tracker", parent=False)
            kill(gateway, "events", parent=False)
            rest.wait(AWAY / 6)
        with moved(folder, "journal"):
            rest.wait(AWAY / 6)
            kill(gateway, "tracker", parent=True)
            os.kill(gateway.stack.supervisor.pid("events"), signal.SIGKILL)
            rest.wait(AWAY / 6)
    with going_on(clicks.go_on), moved(folder, "journal"), moved(folder, "directory"):
        rest.wait(AWAY / 6)
        kill(gateway, "tracker", parent=False)
        rest.wait(AWAY / 6)
    assert clicks.wrong == []
    gateway.caught_up()
    with gateway.journal() as connection:
        query = "SELECT subject, count(*) FROM messages WHERE username = ? GROUP BY subject"
        recorded: dict[str, int] = dict(connection.exec_driver_sql(query, (plain.username,)).fetchall())
        query = "SELECT json_extract(detail, '$.url'), count(*) FROM events WHERE type = 'clicked' GROUP BY 1"
        told: dict[str, int] = dict(connection.exec_driver_sql(query).fetchall())
        query = "SELECT message_id, type FROM events ORDER BY sequence"
        order = connection.exec_driver_sql(query).fetchall()
    assert recorded == dict.fromkeys(mails.accepted, 1)
    assert told.keys() == clicks.asked.keys()
    assert {place for place, number in told.items() if not 1 <= number <= clicks.asked[place]} == set()
    seen: set[str] = set()
    for message, type_ in order:
        assert type_ == "accepted" or message in seen, f"{type_} of a message before it was accepted"
        seen.add(message)
