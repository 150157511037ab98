"""API tokens: what they may do, from where, until when; and no more than who makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gatepost_core.domain.access import EVERY

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
