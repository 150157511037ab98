"""gatepost-tracker as it runs: real sockets, a store on disk, the spool."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from gatepost_core.domain import ids, spooled
from gatepost_core.keys.tokens import (
    ClickTokens,
    OpenTokens,
    Origin,
    PixelTokens,
    TrackingMode,
    UnsubscribeTokens,
    Unsubscription,
)
from gatepost_core.spool import read
from gatepost_core.store import domains
from gatepost_core.store.images import FileImageStore
from tests.core.running import PATIENCE, Running
from tests.core.stores import Store, make_store
from tests.waiting import until

HOST = "click.example.test"
MESSAGE = ids.new(1_700_000_000_000)
PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 100


@dataclass
class Tracker:
    """A daemon, and what asks it."""

    store: Store
    port: int
    daemon: Running

    def ask(
        self, target: str, method: str = "GET", host: str = HOST, body: bytes | None = None, **fields: str
    ) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, target, body, {"Host": host, **named})
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]  # for the assertions
        connection.close()
        return answer

    def events(self) -> list[tuple[str, str, dict[str, str]]]:
        found = read(self.store.settings.spool.directory / "tracker", {}, 1000)
        events = [spooled.read_event(entry.content) for batch in found for entry in batch.entries]
        assert {event.message for event in events} <= {MESSAGE}
        return [(event.type, event.recipient, json.loads(event.detail)) for event in events]

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
            return answer


def origin(mode: TrackingMode = TrackingMode.IDENTIFIED, host: str = HOST) -> Origin:
    return Origin(host, 1, MESSAGE, mode)


def running(folder: Path, *settings: str) -> Iterator[Tracker]:
    store = make_store(folder)
    listener = socket.create_server(("127.0.0.1", 0))
    arguments = ["-m", "gatepost_tracker.main", "--config", str(store.config)]
    for setting in ("tracker.workers=1", *settings):
        arguments += ["--set", setting]
    with listener, Running(arguments, folder, listener=listener) as daemon:
        yield Tracker(store, listener.getsockname()[1], daemon)


def test_whoever_follows_the_hidden_link_is_a_program_whatever_it_says(tracker: Tracker) -> None:
    path = f"/h/{PixelTokens(tracker.store.keyring).issue(origin())}"
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    assert tracker.ask(path, "HEAD").status == 200
    answer = tracker.ask(path, User_Agent=agent)
    assert answer.status == 200
    assert answer.getheader("Location") is None
    assert tracker.ask(f"{path}x").status == tracker.ask("/h/").status == 404
    ((type_, _, detail),) = until(tracker.events)
    assert (type_, detail["verdict"], detail["reason"]) == ("clicked", "scanner", spooled.HONEY)


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    yield from running(tmp_path)


def link(store: Store, path: str = "/a/b?c=%20d&e=1", **how: object) -> str:
    made = ClickTokens(store.keyring).issue("https", "www.example.org", path, origin(**how))  # type: ignore[arg-type]
    return f"/{made}{path}"


def test_a_click_leads_to_where_the_link_led_and_is_in_the_spool_by_then(tracker: Tracker) -> None:
    target = link(tracker.store)
    answer = tracker.ask(target, User_Agent="Mail 1.0")
    assert (answer.status, answer.headers["Location"]) == (302, "https://www.example.org/a/b?c=%20d&e=1")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers
    (event,) = tracker.events()
    url = "https://www.example.org/a/b?c=%20d&e=1"
    detail = {"url": url, "ip": "127.0.0.1", "agent": "Mail 1.0", "verdict": "unknown", "reason": ""}
    assert event == ("clicked", "", detail)


def test_what_is_not_what_was_signed_leads_nowhere_and_leaves_nothing(tracker: Tracker) -> None:
    target = link(tracker.store)
    other = link(tracker.store, host="click.other.test")
    for wrong, host in (
        (f"{target}x", HOST),
        (target.replace("/a/", "/b/"), HOST),
        (target[:5] + ("A" if target[5] != "A" else "B") + target[6:], HOST),
        (other, HOST),
        (target, "www.example.org"),
        ("/", HOST),
        ("/favicon.ico", HOST),
        ("/u/abc", HOST),
        ("/o/abc.gif", HOST),
        ("/i/../../secret", HOST),
        (f"//www.example.org/{target}", HOST),
    ):
        answer = tracker.ask(wrong, host=host)
        assert answer.status == 404, wrong
        assert b"This link does not work" in answer.body  # type: ignore[attr-defined]
        assert "Location" not in answer.headers
    assert tracker.events() == []


def test_head_makes_no_event_and_prefetching_one_that_is_no_persons(tracker: Tracker) -> None:
    target = link(tracker.store)
    head = tracker.ask(target, "HEAD")
    assert (head.status, head.headers["Location"]) == (302, "https://www.example.org/a/b?c=%20d&e=1")
    assert tracker.events() == []
    assert tracker.ask(target, Sec_Purpose="prefetch;prerender").status == 302
    ((_, _, detail),) = tracker.events()
    assert (detail["verdict"], detail["reason"]) == ("proxy", "prefetch")


def test_anonymous_tracking_keeps_neither_address_nor_program(tracker: Tracker) -> None:
    target = link(tracker.store, mode=TrackingMode.ANONYMOUS)
    assert tracker.ask(target, User_Agent="Mail 1.0").status == 302
    ((_, _, detail),) = tracker.events()
    assert set(detail) == {"url", "tracking", "verdict", "reason"}
    assert (detail["url"], detail["tracking"]) == ("https://www.example.org/a/b", "anonymous")
    log = tracker.daemon.wait_log("type=clicked")
    line = next(line for line in log.splitlines() if "type=clicked" in line)
    assert not any(word in line for word in ("127.0.0.1", "Mail", MESSAGE, "c="))


def test_opens_are_counted_by_the_pixel_and_by_remote_images(tracker: Tracker) -> None:
    pixel = PixelTokens(tracker.store.keyring).issue(origin())
    answer = tracker.ask(f"/o/{pixel}.gif")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/gif")
    assert answer.body.startswith(b"GIF89a")  # type: ignore[attr-defined]
    token = OpenTokens(tracker.store.keyring).issue("http", "img.example.org", "/x.png", origin())
    answer = tracker.ask(f"/{token}/x.png")
    assert (answer.status, answer.headers["Location"]) == (302, "http://img.example.org/x.png")
    assert [(kind, detail.get("url")) for kind, _, detail in tracker.events()] == [
        ("opened", None),
        ("opened", "http://img.example.org/x.png"),
    ]


def test_a_hosted_image_is_cached_for_good_and_nothing_else_is_served(tracker: Tracker) -> None:
    store = FileImageStore(tracker.store.settings.images.directory)
    name = store.put(1, PNG, "image/png", 10_000)
    answer = tracker.ask(f"/i/{name}")
    assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "image/png", PNG)  # type: ignore[attr-defined]
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    again = tracker.ask(f"/i/{name}", If_None_Match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, b"")  # type: ignore[attr-defined]
    store.path(1, name).write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>")
    assert tracker.ask(f"/i/{name}").status == 404
    assert tracker.ask(f"/i/{'0' * 64}.png").status == 404


def unsubscribe(store: Store) -> str:
    told = Unsubscription(origin(), "bob+<b>@example.org")
    return f"/u/{UnsubscribeTokens(store.keyring).issue(told)}"


def test_looking_at_the_unsubscribe_page_changes_nothing_and_its_button_and_one_click_do(
    tracker: Tracker,
) -> None:
    target = unsubscribe(tracker.store)
    page = tracker.ask(target)
    assert page.status == 200
    assert b"<button>" in page.body  # type: ignore[attr-defined]
    assert b"bob+&lt;b&gt;@example.org" in page.body  # type: ignore[attr-defined]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert tracker.ask(target, "POST", body=b"something=else").status == 400
    assert tracker.events() == []
    assert tracker.ask(target, "POST", body=b"List-Unsubscribe=One-Click").status == 200
    assert tracker.ask(target, "POST", body=b"confirm=yes").status == 200
    assert tracker.events() == [
        ("unsubscribed", "bob+<b>@example.org", {"scope": "credential", "how": how, "credential_id": "1"})
        for how in ("one-click", "page")
    ]


def test_without_the_spool_links_lead_on_and_an_unsubscribe_is_asked_again(tracker: Tracker) -> None:
    """A file in the folder's place: also root cannot write there."""
    folder = tracker.store.settings.spool.directory / "tracker"
    held = folder.with_name("held")
    folder.rename(held)
    folder.touch()
    target = unsubscribe(tracker.store)
    answer = tracker.ask(target, "POST", body=b"List-Unsubscribe=One-Click")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
    assert tracker.ask(link(tracker.store)).status == 302
    folder.unlink()
    held.rename(folder)
    answer = tracker.ask(target, "POST", body=b"List-Unsubscribe=One-Click")
    assert answer.status == 200
    until(lambda: {kind for kind, _, _ in tracker.events()} == {"clicked", "unsubscribed"})


def test_links_lead_on_while_the_store_is_gone(tracker: Tracker) -> None:
    database = tracker.store.folder / "directory.db"
    for path in tracker.store.folder.glob("directory.db*"):
        path.rename(path.with_name(f"moved-{path.name}"))
    assert not database.exists()
    assert tracker.ask(link(tracker.store)).status == 302
    assert tracker.ask(link(tracker.store) + "x").status == 404


def test_a_retired_click_domain_is_answered_and_asked_for_certificates(tracker: Tracker) -> None:
    assert tracker.ask(f"/ask?domain={HOST}").status == 200
    assert tracker.ask("/ask?domain=elsewhere.example").status == 404
    with tracker.store.writing() as connection:
        (domain,) = [one for one in domains.list_all(connection) if one.click_domain == HOST]
        domains.set_click_domain(connection, domain.name, "new.example.test", domain.created_at)
    until(lambda: tracker.ask("/ask?domain=new.example.test").status == 200)
    assert tracker.ask(f"/ask?domain={HOST}").status == 200
    assert tracker.ask(link(tracker.store)).status == 302


def test_events_of_one_link_are_bounded_and_every_click_is_answered(tmp_path: Path) -> None:
    for tracker in running(tmp_path, "tracker.events_per_link=3", "tracker.events_per_message=5"):
        first, second = link(tracker.store), link(tracker.store, "/other")
        assert {tracker.ask(first).status for _ in range(6)} == {302}
        assert {tracker.ask(second).status for _ in range(6)} == {302}
        assert len(tracker.events()) == 5


def test_who_asked_is_told_by_our_own_proxies_only(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    seen = []
    for folder, settings in (("a", ()), ("b", ("tracker.proxies=127.0.0.0/8,10.0.0.0/8",))):
        for tracker in running(tmp_path / folder, *settings):
            tracker.ask(link(tracker.store), X_Forwarded_For="203.0.113.9, 192.0.2.7, 10.0.0.1")
            seen += [detail["ip"] for _, _, detail in tracker.events()]
    assert seen == ["127.0.0.1", "192.0.2.7"]


def test_the_proxy_protocol_tells_the_client_and_nobody_gets_in_without(tmp_path: Path) -> None:
    for tracker in running(tmp_path, "tracker.proxy_protocol=true"):
        asked = f"GET {link(tracker.store)} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        assert tracker.raw(asked) == b""
        assert tracker.raw(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + asked).startswith(b"HTTP/1.1 302")
        address = socket.inet_aton("192.0.2.3") + socket.inet_aton("192.0.2.2") + b"\0\1\0\2"
        head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + address
        assert tracker.raw(head + asked).startswith(b"HTTP/1.1 302")
        assert [detail["ip"] for _, _, detail in tracker.events()] == ["192.0.2.1", "192.0.2.3"]


def test_requests_in_one_piece_are_answered_in_order(tracker: Tracker) -> None:
    one = f"GET {link(tracker.store)} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
    two = f"POST {unsubscribe(tracker.store)} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 26\r\n\r\n"
    answer = tracker.raw(f"{one}{two}List-Unsubscribe=One-Click{one}".encode())
    found = [line.split()[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    found += [line.split()[1] for line in answer.split(b"\n") if b"</html>HTTP" in line]
    assert answer.count(b"HTTP/1.1 302") == 2
    assert b"You are unsubscribed" in answer
    assert [kind for kind, _, _ in tracker.events()].count("clicked") == 2


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"b" * 5000, 413),
        (b"\x16\x03\x01\x02\0", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (f"PUT /x HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n".encode(), 405),
    ],
)
def test_what_is_too_much_or_no_request_is_refused(tracker: Tracker, data: bytes, status: int) -> None:
    assert tracker.raw(data).startswith(f"HTTP/1.1 {status} ".encode())


def test_slow_and_idle_clients_are_ended_and_others_served_meanwhile(tmp_path: Path) -> None:
    for tracker in running(tmp_path, "tracker.request_seconds=0.5", "tracker.idle_seconds=0.5"):
        with (
            socket.create_connection(("127.0.0.1", tracker.port), PATIENCE) as slow,
            socket.create_connection(("127.0.0.1", tracker.port), PATIENCE) as idle,
        ):
            slow.sendall(b"GET / HTTP/1.1\r\nHo")
            began = time.monotonic()
            assert tracker.ask(link(tracker.store)).status == 302
            for client in (slow, idle):
                with suppress(ConnectionResetError):
                    assert client.recv(10) == b""
            assert time.monotonic() - began < PATIENCE / 2


def test_a_drain_ends_the_daemon_and_what_was_clicked_is_kept(tracker: Tracker) -> None:
    with socket.create_connection(("127.0.0.1", tracker.port), PATIENCE) as idle:
        assert tracker.ask(link(tracker.store)).status == 302
        assert tracker.daemon.stop() == 0
        assert idle.recv(10) == b""
    assert len(tracker.events()) == 1
