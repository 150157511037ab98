"""Claims of submissions: one message of many parallel ones has it, and nobody is left without a message."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from gatepost_core.domain import Credential, Mode, Rules, State, ids
from gatepost_core.domain.limits.submissions import (
    CLAIM_SECONDS,
    Claimed,
    ClaimState,
    Outcome,
    Submission,
    Submissions,
    submission,
)
from gatepost_core.store import StoreUnavailable, open_repeats, open_submissions

NOW = 1_800_000_000
MOST = 1_000
CONTENT, OTHER = b"c" * 32, b"o" * 32
CREDENTIAL = Credential(
    id=1,
    account_id=1,
    account="shop",
    username="gp1",
    label="",
    state=State.ACTIVE,
    features={},
    rules=Rules(),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def counters_of(folder: Path) -> Path:
    return folder / "counters" / "counters.db"


# What opens the claims that are kept in a folder, as each process of a node does for itself.
ENGINES: dict[str, Callable[[Path], Submissions]] = {
    "sqlite": lambda folder: open_submissions(counters_of(folder))
}


@pytest.fixture(params=ENGINES)
def claims(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Submissions]:
    opened = ENGINES[request.param](tmp_path)
    yield opened
    opened.close()


def wanted(
    *recipients: str, key: str = "order-1", content: bytes = CONTENT, credential: Credential = CREDENTIAL
) -> Submission:
    return submission(credential, key, content, recipients or ("bob@example.org",), sandbox=False)


def message(second: int = 0) -> str:
    return ids.new((NOW + second) * 1000)


def claim(
    claims: Submissions, one: Submission, number: str = "", at: int = 0, queue_id: str = "Q", most: int = MOST
) -> Claimed:
    return claims.claim(one, number or message(at), queue_id, NOW + at, most)


def queued(claims: Submissions, one: Submission, at: int = 0) -> str:
    """Have a message claimed, accepted and queued; return its id."""
    number = message(at)
    assert claim(claims, one, number, at).outcome is Outcome.NEW
    assert claims.accept(number, len(one.recipients), ClaimState.ACCEPTED)
    claims.queued([number])
    return number


def test_a_message_is_known_by_its_key_from_claim_to_queue(claims: Submissions) -> None:
    first = message()
    assert claim(claims, wanted(), first) == Claimed(Outcome.NEW)
    assert claim(claims, wanted()) == Claimed(Outcome.WAITS, first)
    assert claims.accept(first, 1, ClaimState.ACCEPTED)
    assert claims.accepted("", 10) == [first]
    # Nothing tells yet that it is in the queue, however long that takes.
    assert claim(claims, wanted(), at=86_000) == Claimed(Outcome.WAITS, first)
    claims.queued([first])
    assert claims.accepted("", 10) == []
    repeated = claim(claims, wanted(), at=10, queue_id="4QR")
    assert (repeated.outcome, repeated.first) == (Outcome.REPEATED, first)
    assert claims.first_of("4QR") == first
    assert claims.first_of("4QX") == ""


def test_a_claim_that_nobody_comes_back_to_is_over_after_five_minutes(claims: Submissions) -> None:
    first, second = message(), message(CLAIM_SECONDS)
    assert claim(claims, wanted(), first).outcome is Outcome.NEW
    assert claim(claims, wanted(), at=CLAIM_SECONDS - 1).outcome is Outcome.WAITS
    assert claim(claims, wanted(), second, at=CLAIM_SECONDS).outcome is Outcome.NEW
    # The first was only slow: it finds another one in its place, and must not be accepted.
    assert not claims.accept(first, 1, ClaimState.ACCEPTED)
    assert not claims.give_back(first)
    assert claims.accept(second, 1, ClaimState.ACCEPTED)


def test_a_slow_message_whose_claim_nobody_took_is_accepted_after_all(claims: Submissions) -> None:
    first = message()
    claim(claims, wanted(), first)
    assert claims.accept(first, 1, ClaimState.ACCEPTED)
    assert claim(claims, wanted(), at=2 * CLAIM_SECONDS).outcome is Outcome.WAITS


def test_a_clock_that_was_put_back_keeps_nobody_waiting_for_hours(claims: Submissions) -> None:
    claim(claims, wanted(), at=7_200)
    assert claim(claims, wanted(), at=0).outcome is Outcome.NEW


def test_what_is_given_back_is_as_if_it_had_never_come(claims: Submissions) -> None:
    first = message()
    claim(claims, wanted(), first)
    assert claims.give_back(first)
    assert not claims.give_back(first)
    # Other content, too: the first was refused, say for its size.
    second = message()
    assert claim(claims, wanted(content=OTHER), second).outcome is Outcome.NEW
    assert claims.accept(second, 1, ClaimState.ACCEPTED)
    assert claims.give_back(second)
    third = queued(claims, wanted())
    assert not claims.give_back(third)
    assert claim(claims, wanted()).outcome is Outcome.REPEATED


def test_other_content_under_a_key_is_told_while_the_key_stands(claims: Submissions) -> None:
    first = message()
    claim(claims, wanted(), first)
    other = wanted("ann@example.org", content=OTHER)
    assert claim(claims, other) == Claimed(Outcome.OTHER_CONTENT, first)
    # A claim whose milter ended holds no key for ever.
    assert claim(claims, other, at=CLAIM_SECONDS).outcome is Outcome.NEW
    assert claim(claims, wanted(), at=CLAIM_SECONDS).outcome is Outcome.OTHER_CONTENT


def test_other_recipients_of_the_same_content_are_new(claims: Submissions) -> None:
    """A smart host splits a message above 50 recipients."""
    parts = [wanted(*(f"r{part}.{number}@example.org" for number in range(50))) for part in range(3)]
    firsts = [queued(claims, part) for part in parts]
    both = wanted(*parts[0].recipients, "late@example.org", *parts[2].recipients)
    found = claim(claims, both, number := message())
    assert found.outcome is Outcome.NEW
    assert found.known == frozenset(parts[0].recipients.values()) | frozenset(parts[2].recipients.values())
    assert found.first == min(firsts[0], firsts[2])
    assert claims.accept(number, 1, ClaimState.ACCEPTED)
    # One of them is not known to be queued: all wait, and nothing is claimed for the others.
    assert claim(claims, wanted("late@example.org", "later@example.org")).outcome is Outcome.WAITS
    assert claim(claims, wanted("later@example.org")).outcome is Outcome.NEW


def test_a_recipient_is_the_same_in_each_spelling(claims: Submissions) -> None:
    queued(claims, wanted("Bob@B\u00fccher.example"))
    assert claim(claims, wanted('"bob"@xn--bcher-kva.EXAMPLE')).outcome is Outcome.REPEATED
    assert claim(claims, wanted("bob+1@xn--bcher-kva.example")).outcome is Outcome.NEW


@pytest.mark.parametrize(
    "other",
    [
        replace(CREDENTIAL, id=2, username="gp2"),
        replace(CREDENTIAL, account_id=2, account="rival"),
        replace(CREDENTIAL, created_at=datetime(2026, 2, 1, tzinfo=UTC)),
    ],
)
def test_what_one_credential_sent_tells_another_nothing(claims: Submissions, other: Credential) -> None:
    """Neither that there is such a key, nor that its content is another."""
    queued(claims, wanted())
    for content in (CONTENT, OTHER):
        number = message()
        assert claim(claims, wanted(content=content, credential=other), number) == Claimed(Outcome.NEW)
        claims.give_back(number)


def test_a_sandbox_says_nothing_of_live_mail(claims: Submissions) -> None:
    tried = submission(CREDENTIAL, "order-1", CONTENT, ["bob@example.org"], sandbox=True)
    number = message()
    assert claim(claims, tried, number).outcome is Outcome.NEW
    assert claims.accept(number, 1, ClaimState.QUEUED)
    assert claim(claims, tried).outcome is Outcome.REPEATED
    assert claim(claims, wanted()).outcome is Outcome.NEW


def test_a_credential_has_keys_for_so_many_recipients_and_its_neighbour_as_many(claims: Submissions) -> None:
    neighbour = replace(CREDENTIAL, id=2)
    first = message()
    assert claim(claims, wanted("a@x.test", "b@x.test", key="1"), first, most=3).outcome is Outcome.NEW
    assert claim(claims, wanted("c@x.test", "d@x.test", key="2"), most=3).outcome is Outcome.FULL
    assert claim(claims, wanted("c@x.test", key="2"), most=3).outcome is Outcome.NEW
    assert claim(claims, wanted("a@x.test", key="3"), most=3).outcome is Outcome.FULL
    assert claim(claims, wanted("a@x.test", key="3", credential=neighbour), most=3).outcome is Outcome.NEW
    claims.accept(first, 2, ClaimState.QUEUED)
    assert claim(claims, wanted("a@x.test", key="1"), most=3).outcome is Outcome.REPEATED
    claims.sweep(ids.first((NOW + 1) * 1000))
    assert claim(claims, wanted("a@x.test", "b@x.test", "c@x.test", key="4"), most=3).outcome is Outcome.NEW


def test_a_claim_is_never_left_in_a_file_that_was_set_aside_before(
    claims: Submissions, tmp_path: Path
) -> None:
    """When the file is back, whoever heard 451 would hear it for five minutes more."""
    claim(claims, wanted(key="before"))
    file = counters_of(tmp_path).with_name("submissions.db")
    aside = file.with_name("aside")
    file.rename(aside)
    file.mkdir()
    with pytest.raises(StoreUnavailable):
        claim(claims, wanted(key="later"))
    file.rmdir()
    aside.rename(file)
    assert claim(claims, wanted(key="later")) == claim(claims, wanted(key="another"))


def test_what_is_old_is_forgotten_and_nothing_of_it_is_left(claims: Submissions, tmp_path: Path) -> None:
    for number in range(30):
        queued(claims, wanted("a@x.test", "b@x.test", key=f"old {number}"))
        claim(claims, wanted("a@x.test", key=f"old {number}"), queue_id=f"4Q{number}")
    kept = queued(claims, wanted(key="new"), at=10)
    claim(claims, wanted(key="new"), queue_id="4QN", at=10)
    assert claims.sweep(ids.first((NOW + 5) * 1000)) == 60
    assert claims.sweep(ids.first((NOW + 5) * 1000)) == 0
    assert (claims.first_of("4Q3"), claims.first_of("4QN")) == ("", kept)
    with closing(sqlite3.connect(counters_of(tmp_path).with_name("submissions.db"))) as connection:
        rows = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
            for table in ("submissions", "claims", "owners", "repeats")
        ]
        assert rows == [1, 1, 1, 1]
        assert connection.execute("SELECT claims FROM owners").fetchone() == (1,)


def test_whoever_repeats_a_message_again_and_again_fills_no_disk(claims: Submissions) -> None:
    first = queued(claims, wanted())
    for number in range(50):
        claim(claims, wanted(), queue_id=f"4Q{number}")
    assert [claims.first_of(f"4Q{number}") for number in (0, 29, 30, 49)] == ["", "", first, first]


def _claiming(folder: Path, key: str, start: object, results: object) -> None:
    claims = ENGINES["sqlite"](folder)
    start.wait()  # type: ignore[attr-defined]
    found = [claim(claims, wanted(key=f"{key}{number}")).outcome for number in range(40)]
    results.put(found)  # type: ignore[attr-defined]
    claims.close()


def test_of_several_processes_one_has_each_message(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(4), context.Queue()
    workers = [context.Process(target=_claiming, args=(tmp_path, "k", start, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    for number in range(40):
        assert sorted(one[number] for one in found) == [Outcome.NEW, *[Outcome.WAITS] * 3]


def _waiting_its_turn(folder: Path, told: Connection) -> None:
    """Claim the same message as often as it is told to; tell what came of it, '' where another is at it."""
    claims = open_submissions(counters_of(folder))
    claims._patience = 0.0
    while told.recv():
        try:
            told.send(claim(claims, wanted()).outcome.name)
        except StoreUnavailable:
            told.send("")


def test_who_has_begun_a_claim_is_overtaken_by_nobody(tmp_path: Path) -> None:
    """Another process comes when the first has read that nobody has the message, and has not written yet."""
    context = multiprocessing.get_context("spawn")
    told, its = context.Pipe()
    other = context.Process(target=_waiting_its_turn, args=(tmp_path, its))
    other.start()
    claims = open_submissions(counters_of(tmp_path))
    assert claims.first_of("4Q") == ""  # it is open
    heard = list[str]()

    def meanwhile(statement: str) -> None:
        if statement.startswith("INSERT INTO submissions") and not heard:
            told.send(True)
            heard.append(told.recv())

    assert claims._connection is not None
    claims._connection.set_trace_callback(meanwhile)
    assert claim(claims, wanted()).outcome is Outcome.NEW
    told.send(True)
    assert [*heard, told.recv()] == ["", Outcome.WAITS.name]
    told.send(False)
    other.join()
    claims.close()


def test_a_process_that_is_killed_in_its_claim_leaves_it_whole_or_not_at_all(tmp_path: Path) -> None:
    many = wanted(*(f"r{number}@example.org" for number in range(200)))
    for rounds in range(1, 11):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            claims = ENGINES["sqlite"](tmp_path)
            while True:
                number = message()
                os.write(writing, b"x")
                claim(claims, many, number)
                claims.give_back(number)
        for _ in range(rounds):
            assert os.read(reading, 1) == b"x"
        os.kill(pid, signal.SIGKILL)
        os.close(reading)
        os.close(writing)
        os.waitpid(pid, 0)
        claims = ENGINES["sqlite"](tmp_path)
        found = claim(claims, many, number := message())
        assert found.outcome in (Outcome.NEW, Outcome.WAITS)
        claims.give_back(number if found.outcome is Outcome.NEW else found.first)
        number = message()
        assert claim(claims, many, number).outcome is Outcome.NEW
        assert claims.give_back(number)
        claims.close()


def test_a_damaged_file_is_set_aside_and_what_comes_is_accepted_anew(tmp_path: Path) -> None:
    heard: list[str] = []
    claims = open_submissions(counters_of(tmp_path), damaged=heard.append)
    queued(claims, wanted())
    claims.close()
    file = counters_of(tmp_path).with_name("submissions.db")
    file.write_bytes(b"no database" * 1_000)
    assert claim(claims, wanted()).outcome is Outcome.NEW
    assert len(heard) == 1
    assert "kept as" in heard[0]
    claims.close()


def test_claims_that_cannot_be_kept_are_a_fault_of_the_store(tmp_path: Path) -> None:
    folder = counters_of(tmp_path).parent
    folder.parent.joinpath("counters").write_text("a file in the folder's place")
    claims = open_submissions(counters_of(tmp_path))
    with pytest.raises(StoreUnavailable):
        claim(claims, wanted())
    repeats = open_repeats(counters_of(tmp_path))
    with pytest.raises(StoreUnavailable):
        repeats.first_of("4Q")


def test_whoever_looks_what_is_to_be_settled_makes_no_file(tmp_path: Path) -> None:
    claims = open_submissions(counters_of(tmp_path))
    assert claims.accepted("", 10) == []
    assert claims.sweep(message()) == 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_what_is_kept_shows_key_or_address(tmp_path: Path) -> None:
    claims = open_submissions(counters_of(tmp_path))
    queued(claims, wanted("secret.reader@example.org", key="customer-4711"))
    claims.close()
    kept = b"".join(file.read_bytes() for file in counters_of(tmp_path).parent.iterdir())
    assert b"secret.reader" not in kept
    assert b"4711" not in kept


def test_a_mode_is_no_part_of_what_is_held() -> None:
    """A message of a credential in mode hold is known by the same key as a live one."""
    held = replace(CREDENTIAL, mode=Mode.HOLD)
    assert wanted(credential=held) == wanted()
