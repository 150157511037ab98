"""Who may see and change what: scopes, accounts, and nobody beyond his own."""

from __future__ import annotations

import itertools

import pytest

from gatepost_core.domain.access import (
    EVERY,
    KINDS,
    OPERATORS_ONLY,
    ROLES,
    Actor,
    ActorKind,
    Role,
    ScopeError,
    may,
    node,
    scopes,
)


def token(account: str | None, *texts: str) -> Actor:
    return Actor(ActorKind.TOKEN, "1", "t", account, scopes(texts))


def test_the_command_may_do_everything() -> None:
    root = node("root")
    for kind, write, account in itertools.product(KINDS, (False, True), ("acme", None)):
        assert may(root, kind, write=write, account=account) == (not write or "write" in KINDS[kind])


def test_an_account_is_a_wall_whatever_the_scopes() -> None:
    own = token("acme", "all")
    assert may(own, "credentials", write=True, account="acme")
    for account in ("other", "ACME", "", None):
        for kind in KINDS:
            assert not may(own, kind, write=False, account=account)
    assert not may(own, "accounts", write=True, account="acme")


def test_writing_is_no_reading_and_reading_is_no_writing() -> None:
    writer, reader = token(None, "credentials:write"), token(None, "credentials:read")
    assert may(writer, "credentials", write=True, account="acme")
    assert not may(writer, "credentials", write=False, account="acme")
    assert may(reader, "credentials", write=False, account="acme")
    assert not may(reader, "credentials", write=True, account="acme")
    assert not may(reader, "tokens", write=False, account="acme")


def test_roles_are_sets_of_scopes_of_which_each_has_those_of_the_next() -> None:
    assert ROLES[Role.VIEWER] < ROLES[Role.EDITOR] < ROLES[Role.OWNER] == EVERY - OPERATORS_ONLY
    assert not [one for one in ROLES[Role.VIEWER] if one.endswith(":write")]
    assert not [one for one in ROLES[Role.EDITOR] if one.partition(":")[0] in ("users", "tokens", "audit")]


@pytest.mark.parametrize(
    "text", ["", "mail:send", "credentials:", "credentials:all", ":read", "events:write"]
)
def test_what_is_no_scope_is_named(text: str) -> None:
    with pytest.raises(ScopeError, match="is no scope"):
        scopes([text])
    with pytest.raises(ScopeError):
        scopes([])
    with pytest.raises(ScopeError, match="more than 100"):
        scopes(["read"] * 101)
