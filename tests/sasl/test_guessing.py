"""Guessing is held off, whoever it is; nobody learns from it who exists, and no outsider locks a user out."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gatepost_core.domain.logins.guessing import Guard, Hold, Rules, network_of, parse_networks
from gatepost_core.serving import Later, Send
from gatepost_core.serving.counting import SharedCounters
from gatepost_sasl.authenticator import Denied, Granted, Peer, Verdict
from gatepost_sasl.backends.turns import Turns
from gatepost_sasl.session import AuthSession, Configuration, EndedLogin

HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture
def guard() -> Iterator[Guard]:
    tables = users, networks, wide = [SharedCounters(256) for _ in range(3)]
    yield Guard(users, networks, Rules(limit=5, network_limit=20, lockout=60.0), wide)
    for table in tables:
        table.close()


def failure(guard: Guard, username: str, address: str, now: float) -> Hold:
    return guard.failed(guard.attempt(username, address, now), now)


def fail(guard: Guard, times: int, username: str = "alice", address: str = HERE, now: float = 0.0) -> None:
    for _ in range(times):
        failure(guard, username, address, now)


def test_a_user_is_locked_out_at_the_limit_in_that_network_only(guard: Guard) -> None:
    fail(guard, 4)
    assert guard.attempt("alice", HERE, 0.0).locked == ""
    assert failure(guard, "alice", HERE, 0.0).lockout == "user"
    assert guard.attempt("alice", HERE, 1.0).locked == "user"
    assert guard.attempt("alice", ELSEWHERE, 1.0).locked == ""
    assert guard.attempt("bob", HERE, 1.0).locked == ""


@pytest.mark.parametrize("address", [HERE, "2001:db8::1", "no address"])
def test_a_login_where_nothing_was_counted_costs_no_reading_of_counters(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = users, networks, wide = [SharedCounters(256) for _ in range(3)]
    guard, reads = Guard(users, networks, Rules(limit=5, network_limit=20), wide), list[bytes]()
    read = SharedCounters.read

    def counted(table: SharedCounters, key: bytes, now: float, forget: float) -> tuple[int, float]:
        reads.append(key)
        return read(table, key, now, forget)

    monkeypatch.setattr(SharedCounters, "read", counted)
    fail(guard, 3, "mallory", ELSEWHERE)
    reads.clear()
    assert guard.attempt("alice", address, 0.0).locked == ""
    assert not reads
    fail(guard, 1, "alice", address)
    assert guard.attempt("alice", address, 0.0).failures == 1
    assert reads
    for table in tables:
        table.close()


def test_many_names_from_one_network_lock_the_network_out(guard: Guard) -> None:
    for number in range(19):
        assert failure(guard, f"user{number}", HERE, 0.0).lockout == ""
    assert failure(guard, "one more", HERE, 0.0).lockout == "network"
    assert guard.attempt("alice", HERE, 1.0).locked == "network"
    assert guard.attempt("alice", ELSEWHERE, 1.0).locked == ""


def test_a_lockout_ends_by_itself_and_leaves_one_attempt(guard: Guard) -> None:
    fail(guard, 5)
    assert guard.attempt("alice", HERE, 59.9).locked == "user"
    assert guard.attempt("alice", HERE, 60.0).locked == ""
    assert failure(guard, "alice", HERE, 60.0).lockout == "user"
    assert guard.attempt("alice", HERE, 61.0).locked == "user"


def test_failures_are_forgotten_in_time(guard: Guard) -> None:
    fail(guard, 4)
    assert failure(guard, "alice", HERE, 240.0).lockout == ""
    assert guard.attempt("alice", HERE, 240.0).locked == ""


def test_a_success_forgets_the_user_s_failures_but_not_the_network_s(guard: Guard) -> None:
    for _ in range(5):
        fail(guard, 4)
        guard.succeeded(guard.attempt("alice", HERE, 0.0))
    assert guard.attempt("alice", HERE, 0.0).locked == "network"
    assert guard.attempt("alice", HERE, 0.0).failures == 0


def test_another_spelling_of_a_name_is_the_same_user(guard: Guard) -> None:
    for spelling in ("alice", "ALICE", "Alice ", " al ice", "aliCE"):
        failure(guard, spelling, HERE, 0.0)
    assert guard.attempt("alice", HERE, 0.0).locked == "user"


def test_a_client_that_goes_on_while_locked_out_does_not_lock_its_network_out(guard: Guard) -> None:
    """A forgotten device with an old password must not take the whole office along."""
    tried = 0
    for second in range(6000):
        if not guard.attempt("alice", HERE, float(second)).locked:
            failure(guard, "alice", HERE, float(second))
            tried += 1
        assert guard.attempt("bob", HERE, float(second)).locked == ""
    assert tried == 5 + 5995 // 60


def test_where_many_people_log_in_from_one_host_only_users_are_locked_out() -> None:
    tables = users, networks, wide = [SharedCounters(16) for _ in range(3)]
    rules = Rules(limit=5, network_limit=6, shared=parse_networks(("192.0.2.0/24",)))
    guard = Guard(users, networks, rules, wide)
    for number in range(50):
        failure(guard, f"user{number}", HERE, 0.0)
    assert guard.attempt("alice", HERE, 0.0).locked == ""
    fail(guard, 5)
    assert guard.attempt("alice", HERE, 0.0).locked == "user"
    for table in tables:
        table.close()


def test_a_limit_of_0_locks_nobody_out() -> None:
    tables = users, networks, wide = [SharedCounters(16) for _ in range(3)]
    guard = Guard(users, networks, Rules(limit=0, network_limit=0), wide)
    fail(guard, 500)
    assert guard.attempt("alice", HERE, 0.0).locked == ""
    for table in tables:
        table.close()


def test_an_attacker_who_floods_both_tables_stays_locked_out_and_a_right_password_gets_in() -> None:
    tables = users, networks, wide = [SharedCounters(8) for _ in range(3)]
    guard = Guard(users, networks, Rules(limit=5, network_limit=20), wide)
    fail(guard, 5)
    for number in range(20_000):
        failure(guard, f"name{number}", f"2001:db8:{number % 65_536:x}::1", 1.0)
    hold = failure(guard, "alice", HERE, 2.0)
    assert guard.attempt("alice", HERE, 2.0).locked == "user"
    assert hold.lockout == "user"
    assert guard.attempt("somebody new", ELSEWHERE, 2.0).locked == ""
    for table in tables:
        table.close()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.0/24"),
        ("::ffff:192.0.2.7", "192.0.2.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", ""),
        ("unknown", "unknown"),
    ],
)
def test_an_address_stands_for_its_network(address: str, network: str) -> None:
    assert network_of(address, Rules(ipv4_prefix=24)) == (network.encode(), 100)


class Alice:
    """A back end that knows alice, and how often it was asked."""

    asked = 0

    def at_once(self, username: str, password: str, peer: Peer) -> Verdict:
        return self.authenticate(username, password, peer)

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        del peer
        self.asked += 1
        return Granted(username) if (username, password) == ("alice", "secret") else Denied("wrong")


def attempts(guard: Guard, backend: Alice, username: str, password: str, times: int) -> list[Send]:
    """Log in again and again in one session; return the answers."""
    session = AuthSession(Configuration(backend, lambda _: None, failure_delay=0.25, guard=guard))
    session.receive(b"VERSION\t1\t0\n", 0.0)
    response = base64.b64encode(f"\0{username}\0{password}".encode())
    answers = []
    for number in range(times):
        line = b"AUTH\t%d\tPLAIN\trip=%s\tsecured\tresp=%s\n" % (number, HERE.encode(), response)
        (output,) = session.receive(line, 0.0)
        assert isinstance(output, Send)
        answers.append(Send(output.data.replace(b"\t%d\t" % number, b"\tN\t"), output.not_before))
    return answers


def test_delays_grow_and_stay_below_what_postfix_waits_for(guard: Guard) -> None:
    delays = [answer.not_before for answer in attempts(guard, Alice(), "alice", "guess", 8)]
    assert delays == [0.25, 0.25, 0.5, 1.0, 2.0, 2.0, 2.0, 2.0]


def test_known_and_unknown_names_are_answered_alike_from_first_to_last(guard: Guard) -> None:
    backend = Alice()
    assert attempts(guard, backend, "alice", "guess", 9) == attempts(guard, backend, "nobody", "guess", 9)


def test_a_right_password_is_refused_in_the_same_words_at_the_same_time_while_locked_out(
    guard: Guard,
) -> None:
    backend = Alice()
    wrong = attempts(guard, backend, "alice", "guess", 6)[-1]
    asked = backend.asked
    assert attempts(guard, backend, "alice", "secret", 1) == [wrong]
    assert backend.asked == asked


def test_a_lockout_is_reported_when_it_begins_and_while_it_lasts(guard: Guard) -> None:
    logins: list[EndedLogin] = []
    session = AuthSession(Configuration(Alice(), logins.append, guard=guard))
    session.receive(b"VERSION\t1\t0\n", 0.0)
    response = base64.b64encode(b"\0alice\0guess")
    for number in range(6):
        session.receive(b"AUTH\t%d\tPLAIN\trip=x\tsecured\tresp=%s\n" % (number, response), 0.0)
    assert [login.lockout for login in logins] == ["", "", "", "", "user", "user"]
    assert [login.result for login in logins] == ["denied"] * 5 + ["locked"]
    assert logins[-1].reason == "user locked out"


def test_who_has_a_48_of_ipv6_does_not_get_attempts_for_each_64_in_it(guard: Guard) -> None:
    let_through = 0
    for number in range(150):
        address = f"2001:db8:0:{number * 256 + 1:x}::1"  # each in a /56 of its own
        for _ in range(5):
            if not guard.attempt("alice", address, 0.0).locked:
                failure(guard, "alice", address, 0.0)
                let_through += 1
    assert let_through == 4 * 5
    assert guard.attempt("alice", "2001:db8:0:ffff::1", 1.0).locked == "user"
    assert guard.attempt("alice", "2001:db8:1::1", 1.0).locked == ""
    assert guard.attempt("bob", "2001:db8:0:ffff::1", 1.0).locked == ""


def test_many_names_from_one_56_lock_it_out_at_twice_a_64_s_limit(guard: Guard) -> None:
    for number in range(40):
        address = f"2001:db8:0:{number:x}::1"
        assert guard.attempt(f"user{number}", address, 0.0).locked == ""
        failure(guard, f"user{number}", address, 0.0)
    assert guard.attempt("alice", "2001:db8:0:ff::1", 1.0).locked == "network"
    assert guard.attempt("alice", "2001:db8:0:100::1", 1.0).locked == ""


def test_a_user_s_own_mistakes_do_not_add_up_where_he_logs_in_in_between(guard: Guard) -> None:
    for number in range(15):
        address = f"2001:db8::{number:x}"
        assert guard.attempt("alice", address, 0.0).locked == ""
        failure(guard, "alice", address, 0.0)
        guard.succeeded(guard.attempt("alice", address, 0.0), 0.0)
    assert guard.attempt("alice", ELSEWHERE, 0.0).late == 0.0


def test_a_user_guessed_from_everywhere_is_slow_from_strange_networks_and_locked_out_nowhere(
    guard: Guard,
) -> None:
    late = []
    for number in range(200):
        attempt = guard.attempt("alice", f"198.51.100.{number}", 0.0)
        late.append(attempt.late)
        guard.failed(attempt, 0.0)
    assert late[:14] == [0.0] * 10 + [2.0, 4.0, 8.0, 16.0]
    assert late == sorted(late)
    own = guard.attempt("alice", HERE, 1.0)
    assert own.locked == ""
    assert own.late >= 16
    guard.succeeded(own, 1.0)  # from here on nothing is late for whoever logged in
    assert guard.attempt("alice", HERE, 2.0).late == 0.0
    assert guard.attempt("alice", ELSEWHERE, 2.0).late >= 16
    assert guard.attempt("bob", ELSEWHERE, 2.0).late == 0.0


def test_a_good_answer_is_as_late_as_a_bad_one_to_who_guesses_from_everywhere(guard: Guard) -> None:
    for number in range(12):
        guard.failed(guard.attempt("alice", f"198.51.100.{number}", 0.0), 0.0)
    (bad,) = attempts(guard, Alice(), "alice", "guess", 1)
    (good,) = attempts(guard, Alice(), "alice", "secret", 1)
    assert good.data.startswith(b"OK")
    assert good.not_before is not None
    assert bad.not_before is not None
    assert min(bad.not_before, good.not_before) >= 8 * 0.25


class Slow:
    """A back end that takes its time: it answers when ``end`` says so, and counts those that wait for it."""

    def __init__(self) -> None:
        self.asked = 0
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()
        self._end = threading.Event()

    def at_once(self, username: str, password: str, peer: Peer) -> None:
        del username, password, peer

    def authenticate(self, username: str, password: str, peer: Peer) -> Verdict:
        del username, peer
        with self._lock:
            self.asked += 1
            self._now += 1
            self.most = max(self.most, self._now)
        self._end.wait()
        with self._lock:
            self._now -= 1
        return Granted("alice") if password == "secret" else Denied("wrong")

    def end(self) -> None:
        self._end.set()


def at_once(workers: int, backend: Slow, passwords: list[str], rules: Rules) -> list[bytes]:
    """Log in with all passwords at once, spread over workers; return the answers."""
    users, networks, wide = SharedCounters(64), SharedCounters(64), SharedCounters(64)
    under_way = [SharedCounters(64) for _ in range(workers)]
    guards = [Guard(users, networks, rules, wide, under_way, slot) for slot in range(workers)]
    configurations = [
        Configuration(backend, lambda _: None, guard=one, turn=Turns(one).turn) for one in guards
    ]
    works, now = [], time.monotonic()
    for number, password in enumerate(passwords):
        session = AuthSession(configurations[number % workers])
        session.receive(b"VERSION\t1\t0\n", 0.0)
        response = base64.b64encode(f"\0alice\0{password}".encode())
        (later,) = session.receive(b"AUTH\t1\tPLAIN\trip=192.0.2.7\tsecured\tresp=%s\n" % response, now)
        assert isinstance(later, Later)
        works.append(later.work)
    with ThreadPoolExecutor(len(passwords)) as pool:
        done = [pool.submit(work) for work in works]
        backend.end()
        outputs = [one.result() for one in done]
    for table in (users, networks, wide, *under_way):
        table.close()
    return [output.data if isinstance(output, Send) else b"closed" for (output,) in outputs]


def test_parallel_guesses_at_a_slow_back_end_are_no_more_than_one_after_the_other() -> None:
    backend = Slow()
    answers = at_once(2, backend, ["guess"] * 80, Rules(limit=10))
    assert backend.asked == 10
    assert all(answer.startswith(b"FAIL") for answer in answers)


def test_parallel_guesses_at_many_names_are_bounded_by_the_network_s_limit() -> None:
    backend = Slow()
    at_once(2, backend, ["guess"] * 80, Rules(limit=0, network_limit=20))
    assert backend.asked == 20


def test_parallel_logins_with_the_right_password_wait_for_each_other_and_all_get_in() -> None:
    backend = Slow()
    answers = at_once(2, backend, ["secret"] * 80, Rules(limit=10))
    assert backend.asked == 80
    assert backend.most <= 10
    assert all(answer.startswith(b"OK") for answer in answers)


def test_a_right_password_gets_in_among_guesses_that_leave_an_attempt() -> None:
    answers = at_once(2, Slow(), ["guess"] * 5 + ["secret"] * 20 + ["guess"] * 4, Rules(limit=10))
    assert sum(answer.startswith(b"OK") for answer in answers) == 20


def test_what_a_killed_worker_had_begun_is_given_back_by_the_next() -> None:
    users, networks, under_way = SharedCounters(64), SharedCounters(64), SharedCounters(64)
    guard = Guard(users, networks, Rules(limit=2), users, [under_way])
    for _ in range(2):
        assert guard.enter(guard.attempt("alice", HERE, 0.0), 0.0) == "begun"
    assert guard.enter(guard.attempt("alice", HERE, 0.0), 0.0) == "wait"
    under_way.empty()
    assert guard.enter(guard.attempt("alice", HERE, 0.0), 0.0) == "begun"
    for table in (users, networks, under_way):
        table.close()
