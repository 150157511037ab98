"""Which login a session began with: looked up once a message, and never held against the wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost_core.domain.logins import GrantedLogin
from gatepost_core.serving.login_table import LoginTable
from gatepost_policy.sessions import KnownLogins


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the process ids that the table of logins is searched for."""
    asked, find = list[int](), LoginTable.find

    def counted(table: LoginTable, pid: int, username: str) -> GrantedLogin | None:
        asked.append(pid)
        return find(table, pid, username)

    monkeypatch.setattr(LoginTable, "find", counted)
    return asked


def unheard() -> None:
    """Hear of a login that is not known."""


def test_a_message_with_many_recipients_costs_one_look_at_the_logins(
    tmp_path: Path, looked_up: list[int]
) -> None:
    LoginTable(tmp_path / "logins", writing=True).note(0x1A, "gp1", GrantedLogin(7, 3, 1.5))
    logins = KnownLogins(LoginTable(tmp_path / "logins"), unheard)
    for _ in range(100):
        assert logins.of("1a.5e8f.0.1", "gp1") == GrantedLogin(7, 3, 1.5)
    assert looked_up == [0x1A]


def test_the_next_message_of_a_process_may_be_another_login_s(tmp_path: Path, looked_up: list[int]) -> None:
    writing = LoginTable(tmp_path / "logins", writing=True)
    logins = KnownLogins(LoginTable(tmp_path / "logins"), unheard)
    assert logins.of("1a.5e8f.0.1", "gp1") is None
    writing.note(0x1A, "gp1", GrantedLogin(7, 3, 1.5))
    assert logins.of("1a.5e8f.0.1", "gp1") == GrantedLogin(7, 3, 1.5)
    assert logins.of("1a.5e8f.0.1", "gp2") is None
    writing.note(0x1A, "gp1", GrantedLogin(7, 4, 2.5))
    assert logins.of("1a.5e8f.0.2", "gp1") == GrantedLogin(7, 4, 2.5)
    assert len(looked_up) == 4


def test_what_is_remembered_of_messages_is_bounded(tmp_path: Path, looked_up: list[int]) -> None:
    LoginTable(tmp_path / "logins", writing=True).note(0x1A, "gp1", GrantedLogin(7, 3, 1.5))
    logins = KnownLogins(LoginTable(tmp_path / "logins"), unheard)
    for turn in range(2):
        for number in range(1000):
            logins.of(f"1a.{number}", "gp1")
        for _ in range(10):
            logins.of("1a." + "0" * 100_000, "gp1")
        assert len(looked_up) == (turn + 1) * 1010
