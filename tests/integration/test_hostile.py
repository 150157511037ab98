"""Hostile and parallel mail through the real daemons: every message is answered, and no worker dies of it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from gatepost_core.domain import FeatureValue
from gatepost_milter.editing.message import Plan, render
from gatepost_stack.provision import ClientLogin
from tests.corpus.maker import message
from tests.integration.harness import SENDER, Gateway, fresh_recipient
from tests.integration.processes import peak, reset_peak
from tests.milter.test_hostile import HOSTILE

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
}
SESSIONS, MESSAGES = 5, 40
# A worker's 60 MB, and 200 bytes for each byte of the largest HTML that is looked at (a megabyte).
MEMORY_MOST = 260_000_000
# A field of 10,000 bytes is cut by Postfix, so that it may be an override, or none.
_REFUSED = {
    "an override's name of 10,000 bytes": b"X-Gatepost-",
    "9,000 header fields": b"550 5.6.0 More than 1000 header fields would have to be changed",
    "100,000 header fields": b"550 5.6.0 The message has more than 10000 header fields",
}


def test_hostile_messages_are_delivered_or_refused_with_a_reason_and_the_workers_live(
    gateway: Gateway,
) -> None:
    login = gateway.stack.provision.credential(ALL)
    before = gateway.workers("milter")
    for name, make in HOSTILE.items():
        recipient = fresh_recipient()
        for worker in before:
            reset_peak(worker)
        with gateway.logged_in(login) as connection:
            connection.mail(SENDER, ["body=8bitmime"])
            connection.rcpt(recipient)
            code, reply = connection.data(render(make(), Plan()))
        assert max(map(peak, before)) < MEMORY_MOST, name
        refusal = b"%d %s" % (code, reply)
        assert code == 250 or (code == 550 and name in _REFUSED and _REFUSED[name] in refusal), (name, reply)
        if code == 250:
            assert gateway.delivered(recipient, 60).message, name
    assert gateway.workers("milter") == before


def test_parallel_sessions_with_all_features_lose_nothing_and_keep_the_workers(gateway: Gateway) -> None:
    login = gateway.stack.provision.credential(ALL)
    before = gateway.workers("milter")
    with ThreadPoolExecutor(SESSIONS) as pool:
        sent = [
            address
            for some in pool.map(lambda number: _session(gateway, login, number), range(SESSIONS))
            for address in some
        ]
    assert len(sent) == SESSIONS * MESSAGES * 3
    deadline, missing = time.monotonic() + 60, set(sent)
    while missing and time.monotonic() < deadline:
        gateway.delivered(min(missing), 60)
        missing -= {address for item in gateway.all_delivered() for address in item.recipients}
    assert not missing
    assert gateway.workers("milter") == before


def _session(gateway: Gateway, login: ClientLogin, number: int) -> list[str]:
    """Send messages of the corpus to three recipients each; return the recipients."""
    recipients: list[str] = []
    with gateway.logged_in(login) as connection:
        for place in range(MESSAGES):
            three = [f"p{number}.{place}.{part}@example.org" for part in range(3)]
            assert connection.sendmail(SENDER, three, message(number * MESSAGES + place)) == {}
            recipients += three
    return recipients
