"""Every call of the API as nobody, as a viewer, as another account: no change, and nothing that tells of it.

The calls are those of the app's own OpenAPI document: one that is not in the table here fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from gatepost_core.domain.access import ROLES, Role

from .asking import API, Dashboard

SECRET = "belongs-to-demo-alone"


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked for: a body, and the query. ``made``: it makes a new thing, of the account it names."""

    body: Any = None
    query: str = ""
    made: bool = False
    open: bool = False


CALLS = {
    ("GET", "/accounts"): Call(),
    ("POST", "/accounts"): Call({"name": "third"}, made=True),
    ("GET", "/accounts/{name}"): Call(),
    ("PATCH", "/accounts/{name}"): Call({"keep_days": 3}),
    ("GET", "/credentials"): Call(query="?account={name}"),
    ("POST", "/credentials"): Call({"account": "{name}", "label": "x"}, made=True),
    ("GET", "/credentials/{username}"): Call(),
    ("PATCH", "/credentials/{username}"): Call({"label": "y"}),
    ("DELETE", "/credentials/{username}"): Call(),
    ("POST", "/credentials/{username}/rotate"): Call({}),
    ("POST", "/credentials/{username}/disable"): Call(),
    ("POST", "/credentials/{username}/enable"): Call(),
    ("GET", "/tokens"): Call(query="?account={name}"),
    ("POST", "/tokens"): Call({"account": "{name}", "name": "x", "scopes": ["read"]}, made=True),
    ("GET", "/tokens/{token_id}"): Call(),
    ("DELETE", "/tokens/{token_id}"): Call(),
}
# What is no wall's business: when a token was used last.
TABLES = ("accounts", "credentials", "secrets", "audit", "idempotency_keys", "sender_domains")


@dataclass(frozen=True, slots=True)
class World:
    """Two accounts; ``of_demo`` are names of one's things, ``nowhere`` of none."""

    api: Dashboard
    other: str
    viewer: str
    of_demo: dict[str, str]
    nowhere: dict[str, str] = field(
        default_factory=lambda: {"name": "nowhere", "username": "gpwherever", "token_id": "2" * 21}
    )

    def state(self) -> list[Any]:
        tokens = [(row[0], row[1], row[4]) for row in self.api.rows("tokens")]
        return [tokens, *(self.api.rows(table) for table in TABLES)]

    def ask(self, call: tuple[str, str], names: dict[str, str], token: str | None) -> tuple[int, str]:
        """Return status and body of a call about these names, with names taken out of the body."""
        method, path = call
        text = f"{path}{CALLS[call].query}"
        body = CALLS[call].body
        for name, value in names.items():
            text = text.replace(f"{{{name}}}", value)
            if isinstance(body, dict):
                body = {key: value if one == f"{{{name}}}" else one for key, one in body.items()}
        answer = self.api.ask(method, text, token, body)
        said = answer.body.decode()
        for value in names.values():
            said = said.replace(value, "NAME")
        return answer.status, said


@pytest.fixture(scope="module")
def world(api: Dashboard) -> World:
    made = api.ask("POST", "/accounts", api.operator, {"name": "other"})
    assert made.status == 201
    credential = api.ask("POST", "/credentials", api.operator, {"account": "demo", "label": SECRET})
    token = api.ask("POST", "/tokens", api.operator, {"name": SECRET, "account": "demo", "scopes": ["read"]})
    viewer = api.provision.token(*sorted(ROLES[Role.VIEWER]), account="demo")
    other = api.provision.token("all", account="other")
    names = {"name": "demo", "username": credential.json["username"], "token_id": token.json["id"]}
    return World(api, other, viewer, names)


def calls_of(api: Dashboard) -> set[tuple[str, str]]:
    paths = api.ask("GET", "/openapi.json").json["paths"]
    return {(method.upper(), path.removeprefix(API)) for path, ways in paths.items() for method in ways}


def test_every_call_of_the_api_is_in_the_table(api: Dashboard) -> None:
    assert calls_of(api) == set(CALLS)


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_nobody_and_a_token_that_is_none_are_told_to_authenticate(
    world: World, call: tuple[str, str]
) -> None:
    before = world.state()
    for token in (None, "", "gpt_nonsense", world.api.operator[:-1], f"{world.api.operator}x", "ü"):
        status, said = world.ask(call, world.of_demo, token if token != "ü" else "%FC")
        assert status == 401
        assert SECRET not in said
    assert world.state() == before


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_another_account_sees_and_changes_nothing_and_cannot_tell_that_it_is_there(
    world: World, call: tuple[str, str]
) -> None:
    before = world.state()
    there = world.ask(call, world.of_demo, world.other)
    assert there == world.ask(call, world.nowhere, world.other)
    assert there[0] in ((403, 404) if CALLS[call].made or "{" in call[1] or CALLS[call].query else (200,))
    assert SECRET not in there[1]
    assert "demo" not in there[1]
    assert world.state() == before


@pytest.mark.parametrize("call", [one for one in CALLS if one[0] != "GET"], ids=" ".join)
def test_who_may_only_look_changes_nothing(world: World, call: tuple[str, str]) -> None:
    before = world.state()
    assert world.ask(call, world.of_demo, world.viewer)[0] == 403
    assert world.state() == before


def test_lists_of_an_account_hold_its_own_things_alone(world: World) -> None:
    api = world.api
    assert [one["name"] for one in api.ask("GET", "/accounts", world.other).json["accounts"]] == ["other"]
    assert api.ask("GET", "/credentials", world.other).json["credentials"] == []
    assert {one["account"] for one in api.ask("GET", "/tokens", world.other).json["tokens"]} == {"other"}
    assert [one["label"] for one in api.ask("GET", "/credentials", world.viewer).json["credentials"]] == [
        SECRET
    ]
    every = api.ask("GET", "/credentials", api.operator).json["credentials"]
    assert SECRET in [one["label"] for one in every]
