"""Requests that somebody changed, over real sockets: nothing leads anywhere else, and the daemon goes on.

3,000 of them, or as many as GATEPOST_ATTACKS says.
"""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from gatepost_core.keys.tokens import PixelTokens
from gatepost_core.store import domains
from gatepost_core.store.claims import click_hosts
from tests.tracker.test_clicks import HOST, Tracker, link, origin, running, unsubscribe
from tests.tracker.test_hostile import TRIES, mutated, same_page
from tests.waiting import until

_BOUNDS = ("tracker.events_per_link=1000000", "tracker.events_per_message=1000000")


def requests(tracker: Tracker) -> list[bytes]:
    """Return requests of every kind, as browsers and proxies write them."""
    keys, path = tracker.store.keyring, "/a/b?c=%20d&e=1"
    pixel, told = PixelTokens(keys).issue(origin()), unsubscribe(tracker.store)
    head = f"Host: {HOST}\r\nUser-Agent: Mail 1.0\r\nX-Forwarded-For: 192.0.2.1\r\n"
    one_click = "List-Unsubscribe=One-Click"
    chunked = f"{len(one_click):x}\r\n{one_click}\r\n0\r\n\r\n"
    return [
        text.encode()
        for text in (
            f"GET {link(tracker.store, path)} HTTP/1.1\r\n{head}\r\n",
            f"GET http://{HOST}{link(tracker.store, path)} HTTP/1.1\r\n{head}Connection: close\r\n\r\n",
            f"HEAD {link(tracker.store, path)} HTTP/1.0\r\n{head}\r\n",
            f"GET /o/{pixel}.gif HTTP/1.1\r\n{head}Sec-Purpose: prefetch\r\n\r\n",
            f"POST {told} HTTP/1.1\r\n{head}Content-Length: {len(one_click)}\r\n\r\n{one_click}",
            f"POST {told} HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n{chunked}",
            f"GET /ask?domain={HOST} HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n{head}\r\n",
        )
    ]


def test_whatever_comes_is_answered_or_refused_and_leads_only_to_what_was_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEPOST_ATTACKS", raising=False)  # no setting of a daemon
    chance = random.Random(80)  # noqa: S311 - mutations
    for tracker in running(tmp_path, "tracker.proxies=127.0.0.0/8", *_BOUNDS):
        good, followed = requests(tracker), 0
        for number in range(TRIES):
            try:
                answer = tracker.raw(mutated(chance, good[number % len(good)]))
            except (ConnectionResetError, BrokenPipeError):
                continue  # it hung up on what is no HTTP before all of it had come
            statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+) ", answer)]
            assert all(200 <= status < 500 for status in statuses), answer
            for url in re.findall(rb"(?m)^Location: (.*)\r$", answer):
                followed += 1
                assert same_page(url.decode()), answer
        assert followed > TRIES // 50
        for type_, recipient, detail in tracker.events():
            assert recipient == ("bob+<b>@example.org" if type_ == "unsubscribed" else "")
            assert type_ != "clicked" or same_page(detail["url"])
        assert tracker.ask(link(tracker.store)).status == 302
        for word in ("request failed", "worker ended", "not kept"):
            assert word not in tracker.daemon.log


def test_a_host_that_was_given_up_answers_no_token_any_more(tmp_path: Path) -> None:
    for tracker in running(tmp_path):
        with tracker.store.writing() as connection:
            (domain,) = [one for one in domains.list_all(connection) if one.click_domain == HOST]
            domains.set_click_domain(connection, domain.name, "new.example.test", domain.created_at)
        until(lambda: tracker.ask("/ask?domain=new.example.test").status == 200)  # noqa: B023
        assert tracker.ask(link(tracker.store)).status == 302
        with tracker.store.writing() as connection:
            click_hosts.forget(connection, HOST)
        until(lambda: tracker.ask(f"/ask?domain={HOST}").status == 404)  # noqa: B023
        before = len(tracker.events())
        for target in (link(tracker.store), unsubscribe(tracker.store)):
            answer = tracker.ask(target)
            assert answer.status == 404
            assert "Location" not in answer.headers
        assert len(tracker.events()) == before
