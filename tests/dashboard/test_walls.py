"""Every call of the API as nobody, as a viewer, as another account: no change, and nothing that tells of it.

The calls are those of the app's own OpenAPI document: one that is not in the table here fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost_core.domain import ids
from gatepost_core.domain.access import ROLES, Role
from gatepost_core.store import accounts, credentials
from gatepost_core.store.opening import open_backend
from gatepost_core.store.webhooks import endpoints
from tests.core.ingest.test_holding import BY_MILTER, held_by_us
from tests.core.ingest.test_settling import logged
from tests.core.ingest.world import World as Node
from tests.core.ingest.world import accepted, numbered

from .asking import API, Dashboard

SECRET = "belongs-to-demo-alone"


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked for: a body, and the query. ``made``: it makes a new thing, of the account it names.

    ``operators``: nobody else may even look.
    """

    body: Any = None
    query: str = ""
    made: bool = False
    operators: bool = False


OF_ACCOUNT = "?account={name}"
CALLS = {
    ("GET", "/accounts"): Call(),
    ("POST", "/accounts"): Call({"name": "third"}, made=True),
    ("GET", "/accounts/{name}"): Call(),
    ("PATCH", "/accounts/{name}"): Call({"keep_days": 3}),
    ("GET", "/credentials"): Call(query=OF_ACCOUNT),
    ("POST", "/credentials"): Call({"account": "{name}", "label": "x"}, made=True),
    ("GET", "/credentials/{username}"): Call(),
    ("PATCH", "/credentials/{username}"): Call({"label": "y"}),
    ("DELETE", "/credentials/{username}"): Call(),
    ("POST", "/credentials/{username}/rotate"): Call({}),
    ("POST", "/credentials/{username}/disable"): Call(),
    ("POST", "/credentials/{username}/enable"): Call(),
    ("GET", "/users"): Call(operators=True),
    ("POST", "/users"): Call({"name": "eve", "operator": True}, made=True),
    ("GET", "/users/{user}"): Call(),
    ("PATCH", "/users/{user}"): Call({"enabled": False}),
    ("DELETE", "/users/{user}"): Call(),
    ("POST", "/users/{user}/link"): Call(),
    ("GET", "/users/{user}/sessions"): Call(),
    ("DELETE", "/users/{user}/sessions"): Call(),
    ("GET", "/tokens"): Call(query=OF_ACCOUNT),
    ("POST", "/tokens"): Call({"account": "{name}", "name": "x", "scopes": ["read"]}, made=True),
    ("GET", "/tokens/{token_id}"): Call(),
    ("DELETE", "/tokens/{token_id}"): Call(),
    ("GET", "/domains"): Call(query=OF_ACCOUNT),
    ("GET", "/domains/{domain}"): Call(),
    ("GET", "/messages"): Call(query="?credential={username}"),
    ("GET", "/messages/held"): Call(query="?credential={username}"),
    ("GET", "/messages/{message}"): Call(),
    ("POST", "/messages/{message}/release"): Call(),
    ("POST", "/messages/{message}/drop"): Call(),
    ("GET", "/events"): Call(query="?message={message}"),
    ("GET", "/events/types"): Call(),
    ("GET", "/suppressions"): Call(query="?address=ann@example.org"),
    ("POST", "/suppressions"): Call(
        {"account": "{name}", "address": "bob@example.org", "credential": "{username}"}, made=True
    ),
    ("GET", "/suppressions/{number}"): Call(),
    ("DELETE", "/suppressions/{number}"): Call(),
    ("GET", "/webhooks"): Call(query=OF_ACCOUNT),
    ("GET", "/webhooks/{handle}"): Call(),
    ("PATCH", "/webhooks/{handle}"): Call({"label": "mine"}),
    ("POST", "/webhooks/{handle}/enable"): Call(),
    ("POST", "/webhooks/{handle}/disable"): Call(),
    ("DELETE", "/webhooks/{handle}"): Call(),
    ("GET", "/limits"): Call(query="?credential={username}"),
    ("GET", "/stats"): Call(query="?credential={username}"),
    ("GET", "/audit"): Call(query="?object={username}"),
}
# What is no wall's business: when a token was used last.
TABLES = (
    "accounts", "credentials", "secrets", "audit", "idempotency_keys", "sender_domains", "suppressions",
    "webhooks", "users", "user_roles",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """Two accounts; ``of_demo`` are names of one's things, ``nowhere`` of none."""

    api: Dashboard
    other: str
    viewer: str
    of_demo: dict[str, str]
    nowhere: dict[str, str] = field(
        default_factory=lambda: {
            "name": "nowhere",
            "username": "gpwherever",
            "token_id": "2" * 21,
            "message": "2" * 21,
            "number": "2" * 21,
            "user": "nobody",
            "handle": "wh_nowhere",
            "domain": "else.where",
        }
    )

    def state(self) -> list[Any]:
        tokens = [(row[0], row[1], row[4]) for row in self.api.rows("tokens")]
        with open_backend(self.api.settings.store).journal() as connection:
            orders = [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM hold_orders")]
        return [tokens, orders, *(self.api.rows(table) for table in TABLES)]

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
    username, message = credential.json["username"], held_message(api, credential.json["username"])
    suppressed = {"account": "demo", "address": "ann@example.org", "note": SECRET}
    entry = api.ask("POST", "/suppressions", api.operator, suppressed)
    with open_backend(api.settings.store).directory(write=True) as connection:
        endpoints.add(
            connection,
            "demo",
            endpoints.Asked("https://hooks.example.org/x", label=SECRET),
            "wh_demo",
            b"sealed",
            datetime.now(UTC),
        )
    names = {"name": "demo", "username": username, "token_id": token.json["id"], "message": message}
    made = api.ask("POST", "/users", api.operator, {"name": "owner-of-demo", "roles": {"demo": "owner"}})
    names |= {"user": made.json["name"]}
    names |= {"number": entry.json["id"], "handle": "wh_demo", "domain": "example.test"}
    return World(api, other, viewer, names)


def held_message(api: Dashboard, username: str) -> str:
    """Have the journal tell of a held message of the account demo, and return its id."""
    with open_backend(api.settings.store).directory() as connection:
        owner = credentials.get(connection, username)
    made = datetime.now(UTC)
    record = numbered(
        1,
        id=ids.new(int(made.timestamp() * 1000)),
        created_at=made,
        username=username,
        credential_id=owner.id,
        account_id=owner.account_id,
        subject=SECRET,
        recipients=("anna@one.example.net",),
    )
    api.settings.spool.directory.mkdir(exist_ok=True)
    node = Node(api.settings.spool.directory, api.settings.store)
    node.write(accepted(record), held_by_us(record))
    logged(node, record, "held", "", reason=BY_MILTER)
    node.restart_writers()
    return record.id


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
    asked = CALLS[call]
    named = "{" in call[1] or asked.made or asked.operators or "{name}" in asked.query
    assert there[0] in ((403, 404) if named else (200, 404))
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
    for path, key in (("/messages", "messages"), ("/messages/held", "held"), ("/events", "events")):
        assert api.ask("GET", path, world.other).json[key] == []
        assert api.ask("GET", path, world.viewer).json[key] != []
    for path, key in (("/suppressions", "suppressions"), ("/webhooks", "webhooks"), ("/domains", "domains")):
        assert api.ask("GET", path, world.other).json[key] == []
        assert len(api.ask("GET", path, world.viewer).json[key]) == 1


def test_an_account_that_has_the_number_of_one_that_is_gone_sees_nothing_of_its_mail(world: World) -> None:
    """SQLite gives the number of a removed row to the next."""
    api = world.api
    api.ask("POST", "/accounts", api.operator, {"name": "brief"})
    with open_backend(api.settings.store).directory(write=True) as connection:
        gone = accounts.remove(connection, "brief")
    with open_backend(api.settings.store).journal(write=True) as connection:
        connection.exec_driver_sql("UPDATE messages SET account_id = ?", (gone.id,))
        connection.exec_driver_sql("UPDATE events SET account_id = ?", (gone.id,))
    api.ask("POST", "/accounts", api.operator, {"name": "next"})
    with open_backend(api.settings.store).directory() as connection:
        assert accounts.get(connection, "next").id == gone.id
    token = api.provision.token("all", account="next")
    for path, key in (("/messages", "messages"), ("/messages/held", "held"), ("/events", "events")):
        assert api.ask("GET", path, token).json[key] == []
        assert api.ask("GET", path, api.operator).json[key] != []
    assert api.ask("GET", f"/messages/{world.of_demo['message']}", token).status == 404
