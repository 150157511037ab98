"""Contents of the spool's entries: what was written is read again, and nothing else is taken for it."""

from __future__ import annotations

import json
import random
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import MessageRecord, Mode, ids, spooled
from tests.steps import World, assert_linear

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
LISTS = st.lists(ANY, max_size=4).map(tuple)
NUMBERS = st.integers(0, 2**63 - 1)
ZONES = st.just(UTC) | st.just(timezone(timedelta(hours=-7)))
TIMES = st.datetimes(timezones=ZONES, max_value=datetime.max - timedelta(days=2)).filter(  # noqa: DTZ901
    lambda at: at.year > 1900
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats(allow_nan=False, allow_infinity=False) | ANY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.builds(
    MessageRecord,
    id=st.binary(min_size=13, max_size=13).map(ids.from_bytes),
    created_at=TIMES,
    credential_id=NUMBERS,
    account_id=NUMBERS,
    username=ANY,
    queue_id=ANY,
    sender=ANY,
    recipients=LISTS,
    header_from=ANY,
    subject=ANY,
    message_id=ANY,
    size=NUMBERS,
    size_after=NUMBERS,
    tags=LISTS,
    features=LISTS,
    applied=LISTS,
    skipped=st.dictionaries(ANY, ANY, max_size=3),
    seconds=st.dictionaries(ANY, st.floats(0, 100), max_size=3),
    mode=st.sampled_from(Mode),
    metadata=st.dictionaries(ANY, JSON, max_size=3),
)
RECORD = MessageRecord(
    id=ids.new(1_790_000_000_000),
    created_at=datetime(2026, 11, 27, 14, 55, 59, 123456, UTC),
    credential_id=7,
    account_id=3,
    username="gpx",
    queue_id="4XyZ123abc",
    sender="jörg@example.test",
    recipients=("a@example.test", "b@example.test"),
    header_from="j@example.test",
    subject="Grüße\r\n\x1b[31m",
    message_id="<1@example.test>",
    size=100,
    size_after=2**40,
    tags=("a", "ü"),
    features=("inlinecss",),
    applied=("inlinecss",),
    skipped={"trackclicks": "signed message"},
    seconds={"inlinecss": 0.001},
    metadata={"order": [1, 2.5, None]},
)


def read(record: MessageRecord) -> spooled.Accepted:
    return spooled.read_accepted(ids.to_bytes(record.id), spooled.accepted(record))


def as_record(row: spooled.Row) -> MessageRecord:
    """Return a row as the record that it was."""
    values = row._asdict()
    for name in ("recipients", "tags", "features", "applied"):
        values[name] = tuple(json.loads(values[name]))
    for name in ("skipped", "seconds", "metadata"):
        values[name] = json.loads(values[name])
    created = datetime.fromisoformat(row.created_at).replace(tzinfo=UTC)
    return MessageRecord(**{**values, "created_at": created, "mode": Mode(row.mode)})


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: MessageRecord) -> None:
    found = read(record)
    assert as_record(found.row) == record
    assert tuple(found.recipients) == record.recipients
    assert tuple(found.tags) == record.tags


@given(NUMBERS, TIMES, ANY)
def test_a_login_comes_back_as_it_was(credential: int, at: datetime, ip: str) -> None:
    found = spooled.read_used(spooled.used(credential, at, ip))
    assert (found.credential_id, found.ip) == (credential, ip)
    assert datetime.fromisoformat(found.at).replace(tzinfo=UTC) == at


@given(ANY.filter(bool), ANY, TIMES, st.dictionaries(ANY, JSON, max_size=3))
def test_an_event_comes_back_as_it_was(type_: str, to: str, at: datetime, detail: dict[str, Any]) -> None:
    found = spooled.read_event(spooled.event(type_, RECORD.id, to, at, detail))
    assert (found.type, found.message, found.recipient) == (type_, RECORD.id, to)
    assert json.loads(found.detail) == detail
    assert datetime.fromisoformat(found.at).replace(tzinfo=UTC) == at


def test_a_row_has_all_that_a_record_has() -> None:
    assert set(spooled.Row._fields) == {field.name for field in fields(MessageRecord)} - {"status"}


def test_times_are_those_that_the_journal_always_had() -> None:
    assert read(RECORD).row.created_at == "2026-11-27 14:55:59.123456"


@pytest.mark.parametrize(
    ("number", "length"), [(1_000, 2_000), (200_000, 30), (1_000, 1_000)], ids=["long", "many", "umlauts"]
)
def test_very_many_or_very_long_recipients_leave_room_for_the_record(number: int, length: int) -> None:
    """A mailing to as many as Postfix lets one message have is recorded, and says how many are missing."""
    letter = "ü" if (number, length) == (1_000, 1_000) else "x"
    everybody = tuple(f"{n}{letter * length}" for n in range(number))
    record = replace(RECORD, recipients=everybody)
    content = spooled.accepted(record)
    assert len(content) <= 1_000_000
    found = read(record)
    assert found.row.skipped != read(RECORD).row.skipped
    assert f"{len(found.recipients)} of {number} are kept" in found.row.skipped
    assert len(content) > 200_000
    assert found.row.subject == RECORD.subject


def test_half_of_a_surrogate_pair_is_no_reason_to_lose_a_record() -> None:
    assert read(replace(RECORD, subject="a\udcffb")).row.subject == "a?b"


@pytest.mark.parametrize("seed", range(30))
def test_damaged_contents_are_refused_or_read_as_something_that_can_be_kept(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a test that can be repeated
    whole = bytearray(spooled.accepted(RECORD))
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.randrange(3) == 0:
            del data[chance.randrange(len(data)) :]
        for reader in (
            lambda data: spooled.read_accepted(bytes(13), data),
            spooled.read_used,
            spooled.read_event,
        ):
            try:
                found = reader(bytes(data))
            except ValueError:
                continue
            for value in found[0] if isinstance(found, spooled.Accepted) else found:
                str(value).encode("utf-8")


LOGIN = spooled.used(7, RECORD.created_at, "192.0.2.1")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"[1]",
        b"[" * 100_000,
        b"\xff",
        LOGIN.replace(b"[7", b"[-1"),
        LOGIN.replace(b"[7", b"[" + b"9" * 30),
        LOGIN.replace(b"[7", b"[" + b"9" * 10_000),
        LOGIN.replace(b"[7", b"[7.5"),
        LOGIN.replace(b"[7", b"[true"),
        LOGIN.replace(b"2026", b"2x26"),
        LOGIN.replace(b" 14:55:59.123456", b""),
        LOGIN.replace(b"192.0.2.1", b"\\uDC00"),
        LOGIN.replace(b"192.0.2.1", b'1","2'),
    ],
)  # fmt: skip
def test_what_is_no_login_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        spooled.read_used(content)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"live"', b'"elsewhere"'), (b'["a",', b"[1,"), (b'{"order"', b'["order"'), (b"[7", b"[]")],
)
def test_what_is_no_record_is_refused(old: bytes, new: bytes) -> None:
    content = spooled.accepted(RECORD).replace(old, new)
    if content != spooled.accepted(RECORD):
        with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
            spooled.read_accepted(bytes(13), content)


@pytest.mark.parametrize(
    ("type_", "message", "to", "size"),
    [
        ("", RECORD.id, "", 1),
        ("x" * 33, RECORD.id, "", 1),
        ("x", "no id", "", 1),
        ("x", RECORD.id, "y" * 1_001, 1),
        ("x", RECORD.id, "", 9_000),
    ],
    ids=["no type", "type", "id", "recipient", "detail"],
)
def test_an_event_that_is_too_large_is_never_written(type_: str, message: str, to: str, size: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has words of its own
        spooled.event(type_, message, to, RECORD.created_at, {"why": "z" * size})


def test_reading_takes_steps_by_the_bytes_that_are_read(world: World) -> None:
    module = world.load("gatepost_core.domain.spooled")
    assert_linear(
        world,
        lambda size: spooled.accepted(replace(RECORD, recipients=("a@example.test",) * size)),
        lambda content: module.read_accepted(bytes(13), content),
    )
