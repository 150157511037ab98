"""Receivers that misbehave, and customers who want the gateway to reach what they cannot reach themselves."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from gatepost_events.webhooks import schedule
from tests.sasl import pki

from .calls import call, client
from .clock import sender
from .receiver import Receiver, receiving, reset, status
from .world import Hooked


@contextmanager
def speaking(say: Callable[[socket.socket], None]) -> Iterator[str]:
    """Give the URL of a server that reads a request's beginning and then says what it likes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, suppress(OSError):
                        connection.settimeout(10)
                        connection.recv(65_536)
                        say(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)
    thread.join(20)


def again_and_again(beginning: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def say(connection: socket.socket) -> None:
        connection.sendall(beginning)
        while True:
            connection.sendall(piece)

    return say


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (again_and_again(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 10_000), "no HTTP"),
        (again_and_again(b"HTTP/1.1 200 OK\r\n", b"X-Field: value\r\n" * 1_000), "no HTTP|no answer"),
        (again_and_again(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 100), "no answer within 1 s"),
        (again_and_again(b"", b"\r\n" * 10_000), "no answer within 1 s|no HTTP"),
        (lambda connection: connection.sendall(b"HELLO\r\n\r\n"), "no HTTP"),
        (lambda connection: connection.sendall(b""), "closed before"),
        (lambda connection: connection.sendall(b"HTTP/1.1 200"), "closed before|no HTTP"),
    ],
    ids=["a field without end", "fields", "interim answers", "line ends", "no HTTP", "nothing", "a piece"],
)
def test_an_answer_that_is_none_is_a_failure_and_takes_no_memory(
    say: Callable[[socket.socket], None], why: str
) -> None:
    with speaking(say) as url, client(1.0) as to:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answer = call(to, url)
        assert not answer.ok
        assert any(one in answer.text for one in why.split("|")), answer.text
        assert len(answer.text) <= 500
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_who_does_not_answer_in_time_is_left(receiver: Receiver) -> None:
    receiver.plan = [receiver.hang, receiver.trickle]
    with client(1.0) as to:
        for _ in range(2):
            began = time.monotonic()
            answer = call(to, receiver.url)
            assert (answer.ok, answer.status, answer.text) == (False, 0, "no answer within 1 s")
            assert 1.0 <= time.monotonic() - began < 5.0


def test_of_an_answer_that_is_well_the_rest_is_not_read(receiver: Receiver) -> None:
    receiver.plan = [receiver.flood]
    with client(10.0) as to:
        began = time.monotonic()
        assert call(to, receiver.url).ok
        assert time.monotonic() - began < 5.0


def test_a_redirect_is_a_failure_and_leads_nowhere(receiver: Receiver) -> None:
    for code in (301, 302, 303, 307, 308):
        receiver.plan = [status(code, Location=receiver.url + "/elsewhere")]
        with client() as to:
            answer = call(to, receiver.url)
        assert (answer.ok, answer.status) == (False, code)
        assert "redirects are not followed" in answer.text
    assert {one.path for one in receiver.got} == {"/hook"}


def test_what_an_endpoint_says_is_shown_in_one_short_line(receiver: Receiver) -> None:
    receiver.plan = [status(503, X_Other="a")]
    with client() as to:
        assert call(to, receiver.url).text == "503 Service Unavailable: no"


def test_a_connection_that_is_refused_or_broken_off_is_a_failure(receiver: Receiver) -> None:
    receiver.plan = [reset]
    with client() as to:
        assert not call(to, receiver.url).ok
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            answer = call(to, f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert (answer.ok, answer.text) == (False, "no connection: Connection refused")


def test_a_server_without_tls_is_told(receiver: Receiver) -> None:
    with client() as to:
        assert call(to, receiver.url.replace("http:", "https:")).text.startswith("no TLS: ")


def test_a_certificate_must_verify_and_be_of_the_name_that_was_given(tmp_path: Path) -> None:
    authority = pki.make(tmp_path / "pki", "hooks.example.com")
    for name, allowed in (("server", True), ("expired", False), ("elsewhere", False)):
        with (
            receiving(authority.folder / f"{name}.pem") as served,
            client(5.0, authority.ca_file, "127.0.0.1") as to,
        ):
            url = served.url.replace("localhost", "hooks.example.com")
            answer = call(to, url)
            assert answer.ok is allowed, answer.text
            if allowed:
                assert served.got[0].headers["host"].startswith("hooks.example.com:")
            else:
                assert "certificate" in answer.text
    with receiving(authority.folder / "server.pem") as served, client(5.0, None, "127.0.0.1") as to:
        assert "certificate" in call(to, served.url).text


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.1", "[::]", "localhost",
        "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
        "10.0.0.1", "169.254.169.254", "100.64.0.1", "[fe80::1]",
    ],
)  # fmt: skip
def test_no_form_of_a_private_address_is_connected_to(host: str, receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", host)
    with client() as to:
        answer = call(to, url, allow_private=False)
    assert not answer.ok
    assert receiver.got == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254"])
def test_a_name_that_leads_to_a_private_address_is_not_connected_to(address: str, receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "innocent.example.com")
    with client(5.0, None, address) as to:
        answer = call(to, url, allow_private=False)
    assert "may not lead there" in answer.text
    assert receiver.got == []


def test_a_name_that_changes_its_address_after_a_look_gains_nothing(receiver: Receiver) -> None:
    """Whatever a look finds is what is connected to, and that very address is judged."""
    url = receiver.url.replace("127.0.0.1", "rebinding.example.com")
    with client(5.0, None, "192.0.2.1", "127.0.0.1") as to:
        for _ in range(3):
            assert "may not lead there" in call(to, url, allow_private=False).text
    assert receiver.got == []


def test_this_host_s_own_public_address_is_not_reached_behind_its_firewall(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost_events.webhooks.resolving.forbidden", lambda _: "")
    with client(5.0, None, "127.0.0.1") as to:
        answer = call(to, receiver.url, allow_private=False)
    assert "this host itself" in answer.text
    assert receiver.got == []


def test_where_an_operator_allows_it_a_private_address_is_reached(receiver: Receiver) -> None:
    with client() as to:
        assert call(to, receiver.url).ok
        assert call(to, receiver.url.replace("127.0.0.1", "localhost")).ok  # by /etc/hosts


def answered_beside(hooked: Hooked, receiver: Receiver, line: bytes) -> tuple[list[bool], list[bool]]:
    """Return how attempts at a receiver went, and at one beside it that answers with these lines."""

    def say(handler: BaseHTTPRequestHandler) -> bool:
        handler.wfile.write(b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\n\r\n")
        return True

    with receiving() as hostile, sender(hooked) as sent:
        hostile.usual = say
        made = [hooked.add(receiver.url), hooked.add(hostile.url)]
        sent.settle()
        hooked.send()
        hooked.take()
        sent.settle()
        sent.settle()
        well, ill = ([one["ok"] for one in hooked.say("log", one["id"])] for one in made)
    assert len(receiver.got) == len(well)
    return well, ill


@pytest.mark.parametrize(
    "line",
    [
        b"503 no\r\nRetry-After: Mon, 01 Jan 2024 00:00:00 +99999999999999",
        b"500 \xff\xfe",
        b"302 no\r\nLocation: /\xff",
    ],
)
def test_what_one_endpoint_answers_costs_no_other_its_answer(
    hooked: Hooked, receiver: Receiver, line: bytes
) -> None:
    assert answered_beside(hooked, receiver, line) == ([True], [False])


def test_a_fault_in_reading_one_answer_costs_no_other_its_answer(
    hooked: Hooked, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(schedule, "asked_wait", fail)
    assert answered_beside(hooked, receiver, b"503 no") == ([True], [False])
