"""LDAP against real OpenLDAP servers: who is who, and every fault is told apart from a wrong password."""

from __future__ import annotations

import itertools
import random
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from gatepost_core.settings import load
from gatepost_sasl.authenticator import BackendUnavailable, Denied
from gatepost_sasl.backends.build_ldap import password_check
from gatepost_sasl.backends.ldap import LdapCheck
from gatepost_sasl.backends.ldap_servers import Address, Order, tls_context
from gatepost_sasl.backends.template import VerifiedUser
from tests.sasl import pki, slapd
from tests.sasl.slapd import BASE, PASSWORD, READER, READER_PASSWORD, Slapd
from tests.waiting import until

DIRECT = f"uid={{user}},ou=people,{BASE}"
Make = Callable[..., LdapCheck]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.make(tmp_path_factory.mktemp("pki") / "tls")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: pki.Authority) -> Iterator[Slapd]:
    with slapd.running(tmp_path_factory.mktemp("ldap") / "one", authority) as running:
        yield running


@pytest.fixture
def make(server: Slapd, authority: pki.Authority) -> Iterator[Make]:
    """Make back ends from settings, search and bind at the one server unless told otherwise."""
    made: list[LdapCheck] = []

    def build(**settings: object) -> LdapCheck:
        values: dict[str, object] = {
            "servers": server.uri,
            "ca_file": authority.ca_file,
            "base": BASE,
            "bind_dn": READER,
            "bind_password": READER_PASSWORD,
            "receive_timeout": 1,
            "connect_timeout": 1,
            "threads": 2,
            "group_features": "marketing => inlinecss",
            **settings,
        }
        overrides = {f"ldap.{name}": str(value) for name, value in values.items()}
        check = password_check(
            load(overrides=overrides, environ={}).ldap, frozenset({"mail"}), lambda _: None
        )
        made.append(check)
        return check

    yield build
    for check in made:
        check.close()


def fault(check: LdapCheck, name: str = "lena", password: str = PASSWORD) -> str:
    """Return the text of the fault that a login meets, within the deadline."""
    began = time.monotonic()
    with pytest.raises(BackendUnavailable) as caught:
        check.check(name, password)
    assert time.monotonic() - began < 9.5
    return str(caught.value)


@pytest.mark.parametrize("user", slapd.USERS)
@pytest.mark.parametrize("way", [{}, {"user_template": DIRECT}])
def test_users_with_any_characters_in_their_names_log_in(make: Make, way: dict[str, str], user: str) -> None:
    check = make(**way)
    for _ in range(3):
        known = check.check(user, PASSWORD)
        assert isinstance(known, VerifiedUser)
        assert known.name == user
        assert known.attributes["mail"] == (f"{user}@example.org",)
        assert isinstance(check.check(user, "wrong"), Denied)


@pytest.mark.parametrize("way", [{}, {"user_template": DIRECT}])
@pytest.mark.parametrize("name", ["nobody", "*", "lena)(uid=*", "lena,ou=people", "le*", "\\2a", "lena\\"])
def test_no_name_is_more_than_a_value(make: Make, way: dict[str, str], name: str) -> None:
    assert isinstance(make(**way).check(name, PASSWORD), Denied)


def test_a_user_without_a_password_cannot_log_in(make: Make) -> None:
    assert isinstance(make().check("nopw", "x"), Denied)


def test_one_person_has_one_name_whatever_the_filter_lets_in(make: Make) -> None:
    check = make(filter="(|(uid={user})(mail={user}))")
    for name in ("lena", "LENA", "lena@example.org"):
        known = check.check(name, PASSWORD)
        assert isinstance(known, VerifiedUser)
        assert known.name == "lena"


def test_a_filter_that_matches_two_entries_refuses(make: Make) -> None:
    assert isinstance(make(filter="(|(uid=lena)(uid=lars)(uid={user}))").check("lena", PASSWORD), Denied)


def test_groups_come_from_the_attribute_and_from_a_search(make: Make) -> None:
    group = f"cn=marketing,ou=groups,{BASE}"
    searched = make(group_base=BASE, group_attribute="").check("lena", PASSWORD)
    assert isinstance(searched, VerifiedUser)
    assert searched.groups == (group,)
    none = make(group_base=BASE).check("lars", PASSWORD)
    assert isinstance(none, VerifiedUser)
    assert none.groups == ()


def test_ldaps_is_checked_and_used(make: Make, server: Slapd) -> None:
    assert isinstance(make(servers=server.ldaps).check("lena", PASSWORD), VerifiedUser)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"bind_password": "wrong"}, "may not search: 49"),
        ({"base": "dc=elsewhere"}, "search below dc=elsewhere: 32"),
        ({"ca_file": ""}, "certificate verify failed"),
        ({"servers": "ldap://localhost:1"}, "refused"),
        ({"servers": "ldap://host.invalid"}, "host.invalid"),
    ],
)
def test_what_the_operator_must_put_right_is_our_fault_and_says_why(
    make: Make, settings: dict[str, str], says: str
) -> None:
    assert says in fault(make(**settings))


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Be a server that accepts and does what ``answer`` does with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[tuple[socket.socket, threading.Thread]] = []

        def run() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                answering = threading.Thread(target=answer, args=(connection,), daemon=True)
                kept.append((connection, answering))
                answering.start()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"//localhost:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection, answering in kept:
            # Whoever reads from it sees its end, and is done with it before it is closed.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            answering.join()
            connection.close()


def silence(connection: socket.socket) -> None:
    connection.setblocking(True)


def rubbish(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def drip(connection: socket.socket) -> None:
    """Send a long answer, one byte at a time: every single read is quick."""
    try:
        connection.sendall(b"\x30\x84\x00\x01\x00\x00")
        while True:
            connection.sendall(b"\0")
            time.sleep(0.1)
    except OSError:
        return


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.parametrize("answer", [silence, rubbish, hang_up, drip])
def test_a_server_that_does_not_speak_ldap_is_our_fault_in_time(
    make: Make, answer: Callable[[socket.socket], None], scheme: str
) -> None:
    with listening(answer) as place:
        check = make(servers=scheme + ":" + place, deadline=2)
        began = time.monotonic()
        fault(check)
        assert time.monotonic() - began < 20
    until(lambda: not check._pool.stuck, "the thread comes back")


def test_over_several_dead_servers_the_deadline_holds(make: Make) -> None:
    with listening(silence) as first, listening(silence) as second:
        check = make(servers=f"ldap:{first},ldap:{second},ldap:{first},ldap:{second}", deadline=2.5)
        began = time.monotonic()
        fault(check)
        assert time.monotonic() - began < 20


def test_the_next_server_answers_and_the_first_comes_back(make: Make, server: Slapd) -> None:
    asked: list[socket.socket] = []
    with listening(asked.append) as dead:
        check = make(servers=f"ldap:{dead},{server.uri}", threads=1)
        assert isinstance(check.check("lena", PASSWORD), VerifiedUser)
        assert len(asked) == 1
        assert isinstance(check.check("lena", PASSWORD), VerifiedUser)
        assert len(asked) == 1  # the dead one is not asked again so soon


def test_a_restart_is_picked_up_at_the_very_next_login(make: Make, server: Slapd) -> None:
    check = make(threads=1)
    assert isinstance(check.check("lena", PASSWORD), VerifiedUser)
    server.restart()
    assert isinstance(check.check("lena", PASSWORD), VerifiedUser)


def test_hung_is_our_fault_and_over_when_it_goes_on(make: Make, server: Slapd) -> None:
    check = make()
    assert isinstance(check.check("lena", PASSWORD), VerifiedUser)
    server.hang()
    try:
        fault(check)
    finally:
        server.go_on()
    assert isinstance(check.check("lena", PASSWORD), VerifiedUser)


@pytest.mark.parametrize(
    ("certificate", "says"), [("expired", "expired"), ("elsewhere", "Hostname mismatch")]
)
def test_a_certificate_that_is_not_to_be_trusted_is_our_fault(
    make: Make, server: Slapd, certificate: str, says: str
) -> None:
    server.restart(certificate)
    try:
        assert says in fault(make())
        assert says in fault(make(servers=server.ldaps))
        assert isinstance(make(verify=False).check("lena", PASSWORD), VerifiedUser)
    finally:
        server.restart()


def test_no_password_crosses_the_network_before_tls(make: Make, authority: pki.Authority) -> None:
    del authority
    heard = bytearray()

    def listen(connection: socket.socket) -> None:
        while data := connection.recv(4096):
            heard.extend(data)

    with listening(listen) as place:
        fault(make(servers="ldap:" + place))
        fault(make(servers="ldap:" + place, user_template=DIRECT))
    assert heard
    assert PASSWORD.encode() not in heard
    assert READER_PASSWORD.encode() not in heard


def test_a_server_that_failed_is_tried_by_one_login_when_its_time_has_come() -> None:
    now = [0.0]
    first, second = Address("a", 389, False), Address("b", 389, False)
    order = Order([first, second], 30, lambda: now[0])
    assert order.candidates() == [first, second]
    order.failed(first)
    assert order.candidates() == [second, first]
    now[0] = 31.0
    assert order.candidates() == [first, second]  # this one tries it
    assert order.candidates() == [second, first]
    order.works(first)
    assert order.candidates() == [first, second]


@contextmanager
def counted(port: int) -> Iterator[tuple[int, list[bytes]]]:
    """Forward to a port, and keep each request."""
    requests: list[bytes] = []

    def forward(client: socket.socket) -> None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)) as server:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    if ready is client:
                        requests.append(data)
                    (server if ready is client else client).sendall(data)

    with listening(forward) as place:
        yield int(place.rpartition(":")[2]), requests


def test_a_directory_is_asked_as_much_about_an_unknown_name_as_about_a_known_one(
    make: Make, server: Slapd
) -> None:
    with counted(server.port) as (port, requests):
        check = make(servers=f"ldap://localhost:{port}", tls="none", threads=1)
        check.check("lena", "wrong")  # connections are made
        asked = []
        for name in ("lena", "nobody", "lars", "no such name"):
            before = len(requests)
            assert isinstance(check.check(name, "wrong"), Denied)
            asked.append(len(requests) - before)
        assert asked == [2] * 4
        assert not any(b"wrong" in request and b"nobody" in request for request in requests)


# Answers that are no LDAP, or not for long; the connection ends after each, so nobody waits for more.
_RANDOM = random.Random(1)  # noqa: S311 - the same bytes each time
GARBAGE = [
    b"\x30\x00",
    b"\x30\x01\x02",
    b"\x30\x03\x02\x01\x01",
    b"\x30\x05\x02\x01\x01\x61\x00",
    b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00"[:-3],
    b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\xff\x04\x00\x04\x00",
    b"\x30\x0c\x02\x01\x63\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
    b"\x30\x0c\x02\x01\x01\x7f\x07\x0a\x01\x00\x04\x00\x04\x00",
    b"\x30\x0c\x04\x01\x01\x61\x07\x04\x01\x00\x02\x00\x05\x00",
    b"\x30\x0e\x02\x01\x01\x61\x09\x0a\x01\x00\x04\x01\xff\x04\x01\xfe",
    b"\x30\x80\x00\x00",
    b"\x30\xff" + b"\xff" * 40,
    b"\x7f" * 64,
    b"\x00" * 64,
    *[_RANDOM.randbytes(size) for size in range(2, 42)],
    *[b"\x30" + bytes([size]) + _RANDOM.randbytes(size) for size in range(1, 41)],
]


def test_a_server_that_answers_garbage_is_a_fault_and_the_next_one_is_asked(
    make: Make, server: Slapd
) -> None:
    answers = itertools.cycle(GARBAGE)
    told: list[bytes] = []

    def garbage(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(65536)
            told.append(next(answers))
            connection.sendall(told[-1])

    with listening(garbage) as place:
        alone = make(servers=f"ldap:{place}", tls="none", threads=1, breaker_faults=0)
        for _ in GARBAGE:
            fault(alone)
        assert len(told) >= len(GARBAGE)
        both = make(servers=f"ldap:{place},{server.uri}", tls="none", threads=1, retry_seconds=0)
        for _ in range(10):
            assert isinstance(both.check("lena", PASSWORD), VerifiedUser)


def test_a_chain_is_verified_alike_on_every_python(authority: pki.Authority) -> None:
    """This authority leaves out the key identifiers, as many do; Python 3.13 by itself would refuse it."""
    context = tls_context(str(authority.ca_file), verify=True)
    assert context.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
