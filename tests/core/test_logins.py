"""Who logged in on which smtpd, and whether that login still stands."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Credential, ImportedSecret, Pass, Rules, Secret, Source
from gatepost_core.domain.logins import UNKNOWN, GrantedLogin, judge, secret_mark
from gatepost_core.serving.login_table import SIZE, LoginTable, pid_of
from tests.core import making

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def secret(number: int, made: datetime, ends: datetime | None = None) -> Secret:
    return Secret("a", b"", b"", 0, b"", b"", number, made, ends)


def credential(*secrets: Secret, **values: Any) -> Credential:
    return making.credential(*secrets, id=7, created_at=NOW - 10 * HOUR, **values)


def stands(one: Credential, login: GrantedLogin, now: datetime = NOW) -> bool:
    return isinstance(judge(one, one.username, now, login), Pass)


def at(moment: datetime, mark: int = UNKNOWN, number: int = 7) -> GrantedLogin:
    return GrantedLogin(number, mark, moment.timestamp())


def test_a_session_lasts_until_the_overlap_of_its_password_ends() -> None:
    both = credential(secret(1, NOW - 9 * HOUR, NOW + HOUR), secret(2, NOW))
    for login in (at(NOW - HOUR, 1), at(NOW - HOUR), at(NOW + HOUR / 2, 1)):
        assert stands(both, login, NOW + HOUR / 2)
        assert not stands(both, login, NOW + HOUR)
    assert stands(both, at(NOW + HOUR / 2, 2), NOW + 2 * HOUR)


def test_an_imported_hash_that_was_replaced_or_ended_takes_its_sessions_along() -> None:
    first, second = ImportedSecret("one"), ImportedSecret("two")
    assert stands(credential(imported=first), at(NOW, secret_mark(first)))
    assert not stands(credential(imported=second), at(NOW, secret_mark(first)))
    assert not stands(credential(imported=replace(first, expires_at=NOW)), at(NOW, secret_mark(first)))
    assert stands(credential(imported=second), at(NOW))


def test_a_credential_of_the_same_name_and_number_made_later_is_another() -> None:
    assert not stands(credential(secret(1, NOW)), at(NOW - 11 * HOUR))
    assert not stands(credential(secret(1, NOW - HOUR)), at(NOW, 1, number=6))


def test_a_clock_that_was_ahead_when_a_credential_was_made_refuses_nobody() -> None:
    ahead = replace(credential(secret(1, NOW + 9 * HOUR)), created_at=NOW + 9 * HOUR)
    for login in (at(NOW, 1), at(NOW)):
        assert stands(ahead, login)


def test_of_a_directory_s_passwords_nothing_is_known() -> None:
    assert stands(replace(credential(), source=Source.PAM), at(NOW))


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("IPv6:2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
    ],
)
def test_networks_hold_for_a_session_however_the_address_is_written(address: str, allowed: bool) -> None:
    one = replace(credential(), rules=Rules(networks=("192.0.2.0/24", "2001:db8::/32")))
    assert isinstance(judge(one, "gp1", NOW, address=address), Pass) is allowed
    assert isinstance(judge(credential(), "gp1", NOW, address=address), Pass)


@pytest.mark.parametrize(
    ("instance", "pid"),
    [("1a2b.65f0.0.0", 0x1A2B), ("", 0), ("xyz.1", 0), ("f" * 100_000, 0xFFFFFFFF), ("-5.1", 0xFFFFFFFB)],
)
def test_the_process_id_is_the_first_part_of_the_instance(instance: str, pid: int) -> None:
    assert pid_of(instance) == pid


def test_a_login_is_found_by_the_name_and_process_that_it_was_noted_for(tmp_path: Path) -> None:
    writing, reading = LoginTable(tmp_path / "logins", writing=True), LoginTable(tmp_path / "logins")
    with pytest.raises(OSError, match="logins"):
        reading.find(1, "gp1")
    writing.note(1, "gp1", GrantedLogin(7, 3, 1.5))
    assert reading.find(1, "gp1") == GrantedLogin(7, 3, 1.5)
    assert reading.find(1, "gp2") is None
    assert reading.find(2, "gp1") is None
    writing.note(1, "gp2", GrantedLogin(8, -4, 2.5))
    assert reading.find(1, "gp1") is None
    assert reading.find(1, "gp2") == GrantedLogin(8, -4, 2.5)
    assert (tmp_path / "logins").stat().st_size == SIZE
    assert (tmp_path / "logins").stat().st_mode & 0o007 == 0


@given(
    pids=st.lists(st.sampled_from([1, 7, 256, 1025, 0x01010101, 0x07000000, 1793]), max_size=20),
    number=st.sampled_from([0, 1, 7, 0x0101010101010101, 0x0700000007]),
)
def test_a_process_is_not_taken_for_bytes_that_look_like_it(
    tmp_path_factory: pytest.TempPathFactory, pids: list[int], number: int
) -> None:
    table = LoginTable(tmp_path_factory.mktemp("alike") / "logins", writing=True)
    latest: dict[int, GrantedLogin] = {}
    for turn, pid in enumerate(pids):
        latest[pid] = GrantedLogin(number, number, float(turn + 1))
        table.note(pid, "gp1", latest[pid])
    for pid in (1, 7, 256, 1025, 0x01010101, 0x07000000, 1793):
        assert not pids or table.find(pid, "gp1") == latest.get(pid)


def test_of_too_many_processes_the_oldest_login_gives_way(tmp_path: Path) -> None:
    table = LoginTable(tmp_path / "logins", writing=True)
    for number in range(1, 4 * 8192):
        table.note(number, "gp1", GrantedLogin(1, 1, float(number)))
    assert all(table.find(number, "gp1") for number in range(3 * 8192, 4 * 8192))
    assert table.find(1, "gp1") is None
    assert (tmp_path / "logins").stat().st_size == SIZE


@given(data=st.binary(min_size=1, max_size=64), place=st.integers(0, SIZE - 1))
def test_a_damaged_file_is_no_login_of_anybody_and_is_mended_by_the_next(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, place: int
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "logins"
    login = GrantedLogin(7, 3, 1.5)
    LoginTable(path, writing=True).note(9, "gp1", login)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(data)
    try:
        found = LoginTable(path).find(9, "gp1")
    except OSError:
        found = None
    assert found in (None, login)
    LoginTable(path, writing=True).note(9, "gp1", login)
    assert LoginTable(path).find(9, "gp1") == login


def test_a_file_that_is_cut_short_or_replaced_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost_core.serving.login_table._LOOK_SECONDS", 0.0)
    path = tmp_path / "logins"
    writing, reading = LoginTable(path, writing=True), LoginTable(path)
    writing.note(1, "gp1", GrantedLogin(7, 3, 1.5))
    assert reading.find(1, "gp1")
    os.truncate(path, 100)
    with pytest.raises(OSError, match="not a table"):
        reading.find(1, "gp1")
    writing.note(1, "gp1", GrantedLogin(7, 3, 2.5))
    assert reading.find(1, "gp1") == GrantedLogin(7, 3, 2.5)
    path.unlink()
    writing.note(1, "gp1", GrantedLogin(7, 3, 3.5))
    assert reading.find(1, "gp1") == GrantedLogin(7, 3, 3.5)
    path.unlink()
    os.mkfifo(path)
    for table in (reading, writing):
        with pytest.raises(OSError, match="no file"):
            table.find(1, "gp1")
