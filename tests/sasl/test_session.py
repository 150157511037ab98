"""The session: time and memory are bounded, and nothing that arrives makes it raise."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import StoreUnavailable
from gatepost_core.serving import Close, Output, Send
from gatepost_sasl.authenticator import BackendUnavailable, Denied, Granted, Peer, Verdict
from gatepost_sasl.session import NOT_PENDING, REFUSED, AuthSession, Configuration, EndedLogin

from .guards import HOLDS_NOBODY_OFF

ALICE = base64.b64encode(b"\0alice\0secret")


class OneUser:
    """A back end that knows alice; ``down`` is what it raises instead."""

    def __init__(self, down: Exception | None = None) -> None:
        self.down = down
        self.peers: list[Peer] = []

    def at_once(self, username: str, password: str, peer: Peer) -> Verdict:
        return self.authenticate(username, password, peer)

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        self.peers.append(peer)
        if self.down is not None:
            raise self.down
        return Granted(username) if (username, password) == ("alice", "secret") else Denied("wrong password")


def opened(backend: OneUser | None = None) -> tuple[AuthSession, list[EndedLogin]]:
    logins: list[EndedLogin] = []
    session = AuthSession(Configuration(backend or OneUser(), logins.append, HOLDS_NOBODY_OFF))
    session.start()
    assert list(session.receive(b"VERSION\t1\t0\nCPID\t1\n", 0.0)) == []
    return session, logins


def auth(number: int, mechanism: bytes = b"PLAIN", response: bytes | None = None) -> bytes:
    initial = b"" if response is None else b"\tresp=" + response
    return b"AUTH\t%d\t%s\tservice=smtp\trip=192.0.2.7\tsecured%s\n" % (number, mechanism, initial)


def data(outputs: list[Output]) -> bytes:
    return b"".join(output.data for output in outputs if isinstance(output, Send))


@pytest.mark.parametrize(
    "request_line",
    [
        auth(1, response=base64.b64encode(b"\0alice\0wrong")),
        auth(1, response=b"!!!"),
        auth(1, b"NTLM"),
        b"CONT\t9\t\n",
        auth(1, response=ALICE).replace(b"\tsecured", b""),
    ],
)
def test_every_failure_is_answered_at_the_same_time_after_the_request(request_line: bytes) -> None:
    session, _ = opened()
    (output,) = session.receive(request_line, 100.0)
    assert isinstance(output, Send)
    assert output.data.startswith(b"FAIL\t")
    assert output.not_before == 100.25


def test_a_success_is_answered_at_once() -> None:
    session, _ = opened()
    assert list(session.receive(auth(1, response=ALICE), 5.0)) == [Send(b"OK\t1\tuser=alice\n")]


@pytest.mark.parametrize("down", [StoreUnavailable("no such file"), BackendUnavailable("timed out")])
def test_a_back_end_that_is_down_closes_without_an_answer(down: Exception) -> None:
    session, logins = opened(OneUser(down))
    assert list(session.receive(auth(1, response=ALICE), 0.0)) == [Close(f"no answer: {down}", fault=True)]
    assert [(login.result, login.reason) for login in logins] == [("unavailable", str(down))]


def test_what_was_answered_before_a_fault_is_still_sent() -> None:
    session, _ = opened()
    outputs = list(session.receive(auth(1, response=ALICE) + b"VERSION\t9\t0\n", 0.0))
    assert data(outputs) == b"OK\t1\tuser=alice\n"
    assert isinstance(outputs[-1], Close)


def test_a_login_is_reported_once_with_user_peer_mechanism_and_reason() -> None:
    backend = OneUser()
    session, logins = opened(backend)
    session.receive(auth(1, b"plain", base64.b64encode(b"\0alice\0wrong")), 0.0)
    session.receive(auth(2, b"PLAIN", ALICE), 0.0)
    peer = Peer("192.0.2.7", "", "smtp", True)
    assert backend.peers == [peer, peer]
    assert logins == [
        EndedLogin("denied", "alice", peer, "PLAIN", "wrong password"),
        EndedLogin("granted", "alice", peer, "PLAIN", ""),
    ]


def test_nothing_secret_is_in_a_report_or_an_answer() -> None:
    session, logins = opened()
    said = b""
    for number, response in enumerate([ALICE, base64.b64encode(b"\0alice\0hunter2"), b"aHVudGVyMg==="]):
        said += data(list(session.receive(auth(number, response=response), 0.0)))
    assert len(logins) == 3
    for secret in ("secret", "hunter2", "aHVudGVyMg"):
        assert secret not in repr(logins)
        assert secret not in said.decode()


def test_an_exchange_that_was_given_up_expires() -> None:
    session, _ = opened()
    session.receive(auth(1, b"LOGIN"), 0.0)
    session.receive(auth(2, b"LOGIN"), 200.0)
    answers = [data(list(session.receive(b"CONT\t%d\tYWxpY2U=\n" % number, 331.0))) for number in (1, 2)]
    assert NOT_PENDING.encode() in answers[0]
    assert answers[1].startswith(b"CONT\t2\t")


def test_an_id_can_be_used_again_after_its_exchange_expired() -> None:
    session, _ = opened()
    session.receive(auth(1, b"LOGIN"), 0.0)
    (output,) = session.receive(auth(1, b"LOGIN"), 1000.0)
    assert isinstance(output, Send)


def test_exchanges_under_way_are_bounded_the_oldest_goes() -> None:
    session, _ = opened()
    for number in range(17):
        session.receive(auth(number, b"LOGIN"), 0.0)
    answers = [data(list(session.receive(b"CONT\t%d\tYWxpY2U=\n" % number, 1.0))) for number in range(17)]
    assert answers[0].startswith(b"FAIL\t0\t")
    assert all(answer.startswith(b"CONT\t") for answer in answers[1:])


def test_the_public_text_tells_nothing_about_why() -> None:
    session, _ = opened()
    assert data(list(session.receive(auth(1, response=base64.b64encode(b"\0alice\0no")), 0.0))) == (
        f"FAIL\t1\treason={REFUSED}\n".encode()
    )


COMMANDS = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"\n", b"\t", b"VERSION\t1\t0\n", b"CANCEL\t1\n", b"CONT\t1\tYWxpY2U=\n"]),
    st.builds(auth, st.integers(0, 3), st.sampled_from([b"PLAIN", b"LOGIN", b"X"]), st.none() | st.binary()),
)


@given(st.lists(COMMANDS, max_size=20))
def test_any_bytes_in_any_pieces_never_raise(pieces: list[bytes]) -> None:
    session = AuthSession(Configuration(OneUser(), lambda _: None, HOLDS_NOBODY_OFF))
    session.start()
    for piece in pieces:
        outputs = session.receive(piece, 0.0)
        assert all(output.data.endswith(b"\n") for output in outputs if isinstance(output, Send))
        if any(isinstance(output, Close) for output in outputs):
            return
