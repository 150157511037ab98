"""Hostile messages, three of each at once: whoever sends beside them, with whatever login, waits for nobody.

The plain run holds that nothing is refused and no worker is lost; how long it took is measured when asked for
(``-m measurement``). That the readers take linear work is counted in ``tests/milter``.
"""

from __future__ import annotations

import smtplib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from gatepost_core.domain import FeatureValue
from gatepost_stack.provision import ClientLogin
from tests.hostile.messages import BY_OVERRIDE, MESSAGES, by_override
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message

COPIES = 3
_FINAL = ("250", "550")
WAIT_MOST = 2.0  # seconds; usual are 0.03
ALL: dict[str, FeatureValue] = {
    "trackclicks": True,
    "trackopens": True,
    "preventscam": True,
    "inlinecss": True,
    "images": "hosted",
    "trackbounces": True,
    "unsubscribe": True,
    "privacy": True,
    "feedbackid": True,
    "dkim": True,
}


@dataclass
class Innocent:
    """Somebody who logs in and sends again and again; ``waits`` are in seconds, with what was beside."""

    gateway: Gateway
    login: ClientLogin
    beside: list[str] = field(default_factory=lambda: [""])
    waits: list[tuple[float, str]] = field(default_factory=list[tuple[float, str]])
    faults: list[str] = field(default_factory=list[str])

    def send_until(self, done: threading.Event) -> None:
        while not done.is_set():
            beside, began = self.beside[0], time.monotonic()
            try:
                with self.gateway.logged_in(self.login) as connection:
                    connection.sendmail(SENDER, [fresh_recipient()], text_message())
            except (smtplib.SMTPException, OSError) as error:
                self.faults.append(f"beside {beside}: {error}")
            self.waits.append((time.monotonic() - began, beside))


def hostile() -> Iterator[tuple[str, bytes]]:
    for name, make in MESSAGES.items():
        yield name, make()
        if name in BY_OVERRIDE:
            yield f"{name}, by override", by_override(make())


def sent(gateway: Gateway, login: ClientLogin, raw: bytes) -> tuple[int, bytes]:
    with gateway.logged_in(login) as connection:
        assert connection.sock is not None
        connection.sock.settimeout(300)  # on a busy machine what is hostile may take long, and only that
        connection.mail(SENDER, ["body=8bitmime"])
        connection.rcpt(fresh_recipient())
        return connection.data(raw)


def attacked(gateway: Gateway) -> tuple[list[Innocent], dict[str, set[str]]]:
    """Send all of it; return the innocents and what the hostile messages were answered."""
    featured, plain, other = (gateway.stack.provision.credential(one) for one in (ALL, {}, {}))
    beside = [""]
    innocents = [Innocent(gateway, login, beside) for login in (featured, plain, other)]
    answers: dict[str, set[str]] = {}
    done = threading.Event()
    with ThreadPoolExecutor(COPIES + len(innocents)) as pool:
        running = [pool.submit(innocent.send_until, done) for innocent in innocents]
        try:
            for name, raw in hostile():
                beside[0] = name
                login = plain if name.endswith("by override") else featured
                copies = [pool.submit(sent, gateway, login, raw) for _ in range(COPIES)]
                replies = [copy.result() for copy in copies]
                answers[name] = {f"{code} {reply.decode()[:60]}" for code, reply in replies}
        finally:
            done.set()
        for one in running:
            one.result()
    return innocents, answers


def judged(gateway: Gateway) -> list[Innocent]:
    before = {name: gateway.workers(name) for name in ("sasl", "policy", "milter")}
    innocents, answers = attacked(gateway)
    for innocent in innocents:
        assert innocent.faults == []
        assert innocent.waits
    # Each is taken, or refused for what it is; none is put off, which would bring it back again and again.
    put_off = {name: found for name, found in answers.items() if not all(one[:3] in _FINAL for one in found)}
    assert put_off == {}
    assert {name: gateway.workers(name) for name in before} == before
    return innocents


@pytest.mark.timeout(900)
def test_nobody_is_refused_beside_hostile_messages_and_no_worker_is_lost(gateway: Gateway) -> None:
    assert len(MESSAGES) >= 40
    longest(judged(gateway))


@pytest.mark.measurement
@pytest.mark.timeout(900)
def test_an_innocent_sender_waits_less_than_two_seconds(gateway: Gateway) -> None:
    assert longest(judged(gateway)) < WAIT_MOST


def longest(innocents: list[Innocent]) -> float:
    """Return the longest wait; the worst are printed, each with what was sent beside it."""
    waits = sorted((wait for innocent in innocents for wait in innocent.waits), reverse=True)
    print(f"usual wait beside them {waits[len(waits) // 2][0]:.2f} s")
    print("longest waits: " + ", ".join(f"{wait:.2f} s beside {name}" for wait, name in waits[:8]))
    return waits[0][0]
