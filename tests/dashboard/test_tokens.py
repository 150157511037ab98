"""API tokens: what they may do, from where, until when; and no more than who makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gatepost_core.domain.access import EVERY
from gatepost_core.store import accounts
from gatepost_core.store.opening import open_backend

from .asking import Dashboard


def test_a_token_does_what_its_scopes_say_and_is_told_once(api: Dashboard) -> None:
    made = api.ask("POST", "/tokens", api.operator, {"name": "t", "scopes": ["credentials:read"]})
    assert made.status == 201
    token = made.json["token"]
    assert token.startswith("gpt_")
    assert api.ask("GET", "/credentials", token).status == 200
    refused = api.ask("POST", "/credentials", token, {"account": "demo"})
    assert refused.status == 403
    assert "credentials:write" in refused.json["detail"]
    assert api.ask("GET", "/tokens", token).status == 403
    shown = api.ask("GET", f"/tokens/{made.json['id']}", api.operator).json
    assert "token" not in shown
    assert shown["last_used_ip"] == "127.0.0.1"
    assert api.ask("DELETE", f"/tokens/{made.json['id']}", api.operator).status == 204
    assert api.ask("GET", "/credentials", token).status == 401


def test_nobody_makes_a_token_that_can_more_than_his_own(api: Dashboard) -> None:
    own = api.provision.token("tokens:write", "credentials:read", account="demo")
    assert api.ask("POST", "/tokens", own, {"name": "t", "scopes": ["credentials"]}).status == 403
    assert api.ask("POST", "/tokens", own, {"name": "t", "scopes": ["all"]}).status == 403
    made = api.ask("POST", "/tokens", own, {"name": "t", "scopes": ["credentials:read"]})
    assert (made.status, made.json["account"]) == (201, "demo")
    whole = api.provision.token("all", account="demo")
    made = api.ask("POST", "/tokens", whole, {"name": "t", "scopes": ["all"]})
    assert set(made.json["scopes"]) == EVERY - {"accounts:write"}
    refused = api.ask("POST", "/tokens", whole, {"name": "t", "scopes": ["accounts:write"]})
    assert refused.json["errors"][0]["field"] == "scopes"


def test_a_token_counts_for_nothing_from_elsewhere_and_after_its_end(api: Dashboard) -> None:
    far = api.ask(
        "POST", "/tokens", api.operator, {"name": "t", "scopes": ["read"], "networks": ["192.0.2.0/24"]}
    ).json["token"]
    assert api.ask("GET", "/credentials", far).status == 401
    # Whoever is no proxy of ours is who connects, whatever he says.
    assert api.ask("GET", "/credentials", far, headers={"X-Forwarded-For": "192.0.2.1"}).status == 401
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    brief = api.ask("POST", "/tokens", api.operator, {"name": "t", "scopes": ["read"], "expires_at": soon})
    assert brief.status == 201
    past = (datetime.now(UTC) - timedelta(seconds=2)).isoformat()
    told = api.ask("POST", "/tokens", api.operator, {"name": "t", "scopes": ["read"], "expires_at": past})
    assert told.json["errors"][0]["field"] == "expires_at"


def test_what_is_no_scope_and_no_network_is_told_by_its_field(api: Dashboard) -> None:
    for body, field in (
        ({"scopes": ["credentials:send"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["read"], "networks": ["everywhere"]}, "networks"),
        ({"scopes": ["read"], "name": " "}, "name"),
    ):
        told = api.ask("POST", "/tokens", api.operator, {"name": "t", **body})
        assert (told.status, told.json["errors"][0]["field"]) == (422, field)


def test_a_bounded_token_makes_none_that_may_do_more(api: Dashboard) -> None:
    end = datetime.now(UTC) + timedelta(days=1)
    bounds = {"networks": ["127.0.0.0/8", "192.0.2.0/24"], "expires_at": end.isoformat()}
    asked = {"name": "t", "scopes": ["tokens", "read"], **bounds}
    bounded = api.ask("POST", "/tokens", api.operator, asked).json["token"]
    for more in (
        {"networks": ["0.0.0.0/0"]},
        {"networks": ["192.0.2.0/24", "2001:db8::/32"]},
        {"expires_at": (end + timedelta(seconds=1)).isoformat()},
    ):
        told = api.ask("POST", "/tokens", bounded, {"name": "t", "scopes": ["read"], **more})
        assert told.status == 403, told.json
    same = api.ask("POST", "/tokens", bounded, {"name": "t", "scopes": ["read"]})
    assert same.json["networks"] == bounds["networks"]
    assert datetime.fromisoformat(same.json["expires_at"]) == end.replace(microsecond=0)
    narrower = {"networks": ["127.0.0.1/32"], "expires_at": (end - timedelta(hours=1)).isoformat()}
    assert api.ask("POST", "/tokens", bounded, {"name": "t", "scopes": ["read"], **narrower}).status == 201


def test_users_are_made_by_who_may_do_everything_himself(api: Dashboard) -> None:
    """A user that a narrower token made, or let in anew, could do more than that token."""
    few = {"name": "t", "scopes": ["users", "read"]}
    near = {"name": "t", "scopes": ["all"], "networks": ["127.0.0.0/8"]}
    soon = {"name": "t", "scopes": ["all"], "expires_at": "2100-01-01T00:00:00Z"}
    for body in (few, near, soon):
        token = api.ask("POST", "/tokens", api.operator, body).json["token"]
        assert api.ask("POST", "/users", token, {"name": "eve", "operator": True}).status == 403
        for way, path in (("POST", "/operator/link"), ("PATCH", "/operator"), ("DELETE", "/operator")):
            asked = {"without_second": True} if way == "PATCH" else None
            assert api.ask(way, f"/users{path}", token, asked).status == 403
        assert api.ask("GET", "/users", token).status == 200


def test_an_account_of_an_old_name_sees_nothing_of_what_the_earlier_one_did(api: Dashboard) -> None:
    with open_backend(api.settings.store).directory(write=True) as connection:
        accounts.add(connection, "reused", datetime.now(UTC) - timedelta(days=2))
    for _ in range(2):
        token = api.ask(
            "POST", "/tokens", api.operator, {"name": "t", "account": "reused", "scopes": ["all"]}
        )
        asked = {"label": "of the first"}
        made = api.ask("POST", "/credentials", token.json["token"], asked)
        api.ask("DELETE", f"/credentials/{made.json['username']}", token.json["token"])
        api.ask("DELETE", f"/tokens/{token.json['id']}", api.operator)
        with open_backend(api.settings.store).directory(write=True) as connection:
            accounts.remove(connection, "reused")
            accounts.add(connection, "reused", datetime.now(UTC))
    later = api.ask("POST", "/tokens", api.operator, {"name": "t", "account": "reused", "scopes": ["all"]})
    listed = api.ask("GET", "/audit", later.json["token"])
    assert [one["action"] for one in listed.json["audit"]] == ["token.add"]
    assert len(api.ask("GET", "/audit?account=reused", api.operator).json["audit"]) > 4
