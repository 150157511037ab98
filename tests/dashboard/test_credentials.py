"""Credentials over the API: made, found, changed, and the password in one answer only."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields

import pytest

from gatepost_core.domain import Options, State
from gatepost_core.domain.rules.catalogue import RULES
from gatepost_core.keys import Keyring
from gatepost_core.keys.passwords import matching
from gatepost_core.store import credentials
from gatepost_core.store.opening import open_backend
from gatepost_dashboard.api import bodies

from .asking import Dashboard


def fits(api: Dashboard, username: str, password: str) -> bool:
    """Say whether a login with the password would be let in."""
    with open_backend(api.settings.store).directory() as connection:
        credential = credentials.get(connection, username)
    keyring = Keyring.load(api.settings.keys.directory)
    found = matching(keyring, credential, password, credential.created_at)
    return found is not None and credential.state is State.ACTIVE


def test_a_credential_is_made_with_a_password_that_is_told_once(api: Dashboard) -> None:
    wanted = {
        "account": "demo",
        "label": "Größe <b>",
        "features": {"trackclicks": True, "tags": ["invoice", "may"], "tracking": "anonymous"},
        "senders": ["example.test"],
        "limits": ["5/hour"],
        "header_add": ["X-Campaign: May"],
    }
    made = api.ask("POST", "/credentials", api.operator, wanted)
    assert made.status == 201
    username, password = made.json["username"], made.json["password"]
    assert made.headers["location"] == f"/api/v1/credentials/{username}"
    assert fits(api, username, password)
    shown = api.ask("GET", f"/credentials/{username}", api.operator)
    assert shown.json["label"] == "Größe <b>"
    assert shown.json["features"]["tags"] == ["invoice", "may"]
    assert shown.json["features"]["tracking"] == "anonymous"
    assert shown.json["senders"] == ["example.test"]
    assert shown.json["limits"] == ["messages=5/hour"]
    assert shown.json["header_add"] == ["X-Campaign: May"]
    listed = api.ask("GET", "/credentials?label=gr%C3%B6", api.operator)
    assert [one["username"] for one in listed.json["credentials"]] == [username]
    rotated = api.ask("POST", f"/credentials/{username}/rotate", api.operator, {"overlap_seconds": 0})
    new = rotated.json["password"]
    assert fits(api, username, new)
    assert not fits(api, username, password)
    everything = b"".join(path.read_bytes() for path in api.folder.rglob("*") if path.is_file())
    for secret in (password, new, api.operator):
        assert secret.encode() not in everything
        assert secret not in api.running.log
        for path in ("/credentials", f"/credentials/{username}", "/tokens"):
            assert secret.encode() not in api.ask("GET", path, api.operator).body


def test_what_is_left_out_of_a_change_stays_and_null_means_as_the_account_has_it(api: Dashboard) -> None:
    made = api.ask(
        "POST",
        "/credentials",
        api.operator,
        {"account": "demo", "label": "a", "senders": ["example.test"], "features": {"dkim": True}},
    ).json
    path = f"/credentials/{made['username']}"
    changed = api.ask("PATCH", path, api.operator, {"features": {"trackopens": True}, "mode": "sandbox"})
    assert changed.json["label"] == "a"
    assert changed.json["senders"] == ["example.test"]
    assert changed.json["features"]["dkim"]
    assert changed.json["features"]["trackopens"]
    assert changed.json["mode"] == "sandbox"
    assert api.ask("PATCH", path, api.operator, {"senders": None}).json["senders"] == []
    ended = api.ask("PATCH", path, api.operator, {"expires_at": "2031-01-01T00:00:00+01:00"})
    assert ended.json["expires_at"] == "2030-12-31T23:00:00Z"
    assert api.ask("PATCH", path, api.operator, {"expires_at": None}).json["expires_at"] is None


def test_a_credential_is_disabled_enabled_and_removed(api: Dashboard) -> None:
    made = api.ask("POST", "/credentials", api.operator, {"account": "demo"}).json
    path = f"/credentials/{made['username']}"
    assert api.ask("POST", f"{path}/disable", api.operator).json["state"] == "disabled"
    assert not fits(api, made["username"], made["password"])
    assert api.ask("GET", "/credentials?state=disabled", api.operator).json["credentials"]
    assert api.ask("POST", f"{path}/enable", api.operator).json["state"] == "active"
    assert fits(api, made["username"], made["password"])
    assert api.ask("DELETE", path, api.operator).status == 204
    assert api.ask("GET", path, api.operator).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"features": {"nope": True}}, "features.nope"),
        ({"features": {"dkim": "on"}}, "features.dkim"),
        ({"features": {"images": True}}, "features.images"),
        ({"features": {"tags": ["a\u202eb"]}}, "features.tags"),
        ({"features": {"metadata": "x"}}, "features.metadata"),
        ({"senders": ["not an address"]}, "senders"),
        ({"networks": ["192.0.2.7/24"]}, "networks"),
        ({"limits": ["many"]}, "limits"),
        ({"header_add": ["From: me@example.test"]}, "header_add"),
        ({"label": "a\nb"}, "label"),
        ({"label": "x" * 256}, "label"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2031-01-01T00:00:00"}, "expires_at"),
        ({"route": "nowhere"}, "route"),
        ({"mode": "fast"}, "mode"),
        ({"hours": ["always"]}, "hours"),
        ({"password_hash": "md5"}, "password_hash"),
        ({"username": "a b"}, "username"),
        ({"what": 1}, "what"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_by_its_field(
    api: Dashboard, body: dict[str, object], field: str
) -> None:
    before = api.rows("credentials")
    answer = api.ask("POST", "/credentials", api.operator, {"account": "demo", **body})
    assert answer.status == 422, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert field in [one["field"] for one in answer.json["errors"]]
    assert api.rows("credentials") == before


def test_every_rule_option_and_feature_of_a_credential_can_be_set() -> None:
    fields = set(bodies.CredentialChange.model_fields)
    assert set(RULES) <= fields
    assert {one.name for one in dataclass_fields(Options)} <= fields
    assert set(RULES) <= set(bodies.AccountChange.model_fields)


def test_a_rule_that_nothing_tells_is_refused(api: Dashboard) -> None:
    told = api.ask("POST", "/credentials", api.operator, {"account": "demo", "hold_places": ["country"]})
    assert (told.status, told.json["errors"][0]["field"]) == (422, "hold_places")


def test_only_operators_choose_names_other_back_ends_and_routes(api: Dashboard) -> None:
    own = api.provision.token("all", account="demo")
    for body in ({"username": "shop"}, {"source": "pam", "username": "x"}, {"route": "fast"}):
        assert api.ask("POST", "/credentials", own, body).status == 403
    made = api.ask("POST", "/credentials", own, {})
    assert (made.status, made.json["account"]) == (201, "demo")
    assert (
        api.ask("POST", "/credentials", api.operator, {"account": "demo", "username": "shop"}).status == 201
    )
    again = api.ask("POST", "/credentials", api.operator, {"account": "demo", "username": "shop"})
    assert again.status == 409


def test_pages_follow_each_other_until_all_is_seen_once(api: Dashboard) -> None:
    for _ in range(5):
        api.ask("POST", "/credentials", api.operator, {"account": "demo", "label": "paged"})
    seen, path = [], "/credentials?label=paged&limit=2"
    while path:
        answer = api.ask("GET", path, api.operator)
        seen += [one["username"] for one in answer.json["credentials"]]
        path = (answer.json["next"] or "").removeprefix("/api/v1")
        assert ("link" in answer.headers) == bool(path)
    assert len(seen) == len(set(seen)) == 5
    for cursor in ("x", "Y3JlZGVudGlhbHMK", "dG9rZW5zCjE", "é"):
        told = api.ask(
            "GET", f"/credentials?after={cursor.encode().hex() if cursor == 'é' else cursor}", api.operator
        )
        assert told.status == 422


def test_a_change_is_in_the_audit_log_with_who_and_from_where_and_without_a_secret(api: Dashboard) -> None:
    made = api.ask("POST", "/credentials", api.operator, {"account": "demo", "label": "before"}).json
    api.ask("PATCH", f"/credentials/{made['username']}", api.operator, {"label": "after"})
    kind, actor, address, account, action, name, before, after = (
        api.rows("audit")[-1][1:2] + api.rows("audit")[-1][3:]
    )
    assert (kind, actor, address) == ("token", "operator", "127.0.0.1")
    assert (account, action, name) == ("demo", "credential.set", made["username"])
    assert ('"before"' in before, '"after"' in after) == (True, True)
    assert made["password"] not in str(api.rows("audit"))
