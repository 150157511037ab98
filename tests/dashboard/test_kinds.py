"""What the API has beside credentials: messages, events, suppressions, webhooks, limits, counts, the log."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatepost_core.store import open_counters
from gatepost_core.store.opening import open_backend
from gatepost_core.store.webhooks import endpoints

from .asking import Dashboard
from .test_walls import held_message


@pytest.fixture(scope="module")
def username(api: Dashboard) -> str:
    made = api.ask("POST", "/credentials", api.operator, {"account": "demo", "limits": ["5/hour"]})
    name: str = made.json["username"]
    return name


@pytest.fixture(scope="module")
def message(api: Dashboard, username: str) -> str:
    return held_message(api, username)


def test_a_message_is_found_by_what_it_is_and_shown_with_what_became_of_it(
    api: Dashboard, username: str, message: str
) -> None:
    for query in (
        f"credential={username}", "to=anna@one.example.net", "from=shop@example.test", "subject=demo-alone",
        "tag=a", "status=held", "account=demo",
    ):  # fmt: skip
        found = api.ask("GET", f"/messages?{query}", api.operator).json["messages"]
        assert [one["id"] for one in found] == [message], query
    assert api.ask("GET", "/messages?to=nobody@example.net", api.operator).json["messages"] == []
    for name in (message, "Q1", "1@example.test"):
        shown = api.ask("GET", f"/messages/{name}", api.operator).json
        assert shown["id"] == message
        assert [one["recipient"] for one in shown["recipient_states"]] == ["anna@one.example.net"]
        assert {one["type"] for one in shown["events"]} >= {"accepted", "held"}
        assert {one["account"] for one in shown["events"]} == {"demo"}


def test_a_held_message_is_released_by_an_order_that_says_who_asked(api: Dashboard, message: str) -> None:
    (held,) = api.ask("GET", "/messages/held", api.operator).json["held"]
    assert (held["id"], held["asked"], held["reason"]) == (message, None, "mode hold")
    order = api.ask("POST", f"/messages/{message}/release", api.operator)
    assert order.status == 202
    assert (order.json["verb"], order.json["by"], order.json["state"]) == ("release", "operator", "open")
    (held,) = api.ask("GET", "/messages/held", api.operator).json["held"]
    assert held["asked"]["by"] == "operator"
    (entry,) = api.ask("GET", f"/audit?object={message}", api.operator).json["audit"]
    assert (entry["action"], entry["account"], entry["actor"]) == ("message.release", "demo", "operator")


def test_events_are_found_by_type_and_message(api: Dashboard, message: str) -> None:
    found = api.ask("GET", f"/events?message={message}&type=held&type=clicked", api.operator).json["events"]
    assert [one["type"] for one in found] == ["held"]
    assert api.ask("GET", "/events?type=nonsense", api.operator).status == 422
    assert "delivered" in api.ask("GET", "/events/types", api.operator).json["types"]
    pages, path = [], "/events?limit=1"
    while path:
        page = api.ask("GET", path, api.operator).json
        pages += [one["id"] for one in page["events"]]
        path = (page["next"] or "").removeprefix("/api/v1")
    assert len(pages) == len(set(pages)) >= 2


def test_an_address_is_suppressed_and_reached_again(api: Dashboard, username: str) -> None:
    own = api.provision.token("suppressions", account="demo")
    made = api.ask("POST", "/suppressions", own, {"address": "Ann@Example.org", "credential": username})
    assert made.status == 201
    assert (made.json["account"], made.json["reason"], made.json["scope"]) == ("demo", "manual", "credential")
    path = f"/suppressions/{made.json['id']}"
    assert api.ask("GET", path, own).json["state"] == "in force"
    assert len(api.ask("GET", "/suppressions?address=ann@example.org", own).json["suppressions"]) == 1
    assert api.ask("DELETE", path, own).status == 204
    assert api.ask("GET", path, own).json["state"] == "removed"
    assert api.ask("DELETE", path, own).status == 404
    assert api.ask("GET", "/suppressions", own).json["suppressions"] == []
    for body, field in (
        ({"address": "no address"}, "address"),
        ({"address": "a@b.test", "tag": "x"}, "tag"),
        ({"address": "a@b.test", "note": "a\nb"}, "note"),
        ({"address": "a@b.test", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ):
        told = api.ask("POST", "/suppressions", own, body)
        assert (told.status, told.json["errors"][0]["field"]) == (422, field)


def test_a_webhook_is_changed_and_only_operators_let_it_be_at_a_private_address(api: Dashboard) -> None:
    with open_backend(api.settings.store).directory(write=True) as connection:
        asked = endpoints.Asked("https://hooks.example.org/x")
        endpoints.add(connection, "demo", asked, "wh_one", b"sealed", datetime.now(UTC))
    own = api.provision.token("webhooks", account="demo")
    changed = api.ask("PATCH", "/webhooks/wh_one", own, {"types": ["bounced"], "label": "crm"})
    assert (changed.json["types"], changed.json["label"]) == (["bounced"], "crm")
    assert api.ask("PATCH", "/webhooks/wh_one", own, {"allow_private": True}).status == 403
    assert api.ask("PATCH", "/webhooks/wh_one", own, {"url": "http://127.0.0.1/"}).status == 422
    private = {"allow_private": True, "url": "http://127.0.0.1/"}
    assert api.ask("PATCH", "/webhooks/wh_one", api.operator, private).json["url"] == "http://127.0.0.1/"
    assert api.ask("PATCH", "/webhooks/wh_one", own, {"url": "http://127.0.0.1/other"}).status == 403
    assert api.ask("POST", "/webhooks/wh_one/disable", own).json["state"] == "off"
    assert api.ask("POST", "/webhooks/wh_one/enable", own).json["state"] == "active"
    assert "sealed" not in str(api.ask("GET", "/webhooks/wh_one", own).json)
    assert api.ask("DELETE", "/webhooks/wh_one", own).status == 204
    assert api.ask("GET", "/webhooks", own).json["webhooks"] == []


def test_domains_limits_and_counts_are_shown(api: Dashboard, username: str, message: str) -> None:
    assert message
    (domain,) = api.ask("GET", "/domains", api.operator).json["domains"]
    shown = api.ask("GET", f"/domains/{domain['name']}", api.operator).json
    assert {one["algorithm"] for one in shown["keys"]} == {"rsa", "ed25519"}
    assert "sealed" not in str(shown)
    counters = open_counters(api.settings.limits.counters, api.settings.store.journal)
    counters.look([])
    counters.reset("none", "the test")
    counters.close()
    (limit,) = api.ask("GET", f"/limits?credential={username}", api.operator).json["limits"]
    assert (limit["limit"], limit["scope"], limit["most"], limit["used"]) == (
        "messages=5/hour",
        "credential",
        5,
        0,
    )
    every = api.ask("GET", "/limits?account=demo", api.operator).json
    assert [one["name"] for one in every["limits"]] == [username]
    counted = api.ask("GET", "/stats?account=demo", api.operator).json
    assert [(one["credential"], one["accepted"]) for one in counted["stats"]] == [(username, 1)]


def test_a_user_is_made_with_a_link_changed_signed_out_and_removed(api: Dashboard) -> None:
    wrong = api.ask("POST", "/users", api.operator, {"name": "bob@example.com"})
    assert (wrong.status, wrong.json["errors"][0]["field"]) == (422, "roles")
    made = api.ask("POST", "/users", api.operator, {"name": "bob@example.com", "roles": {"demo": "editor"}})
    assert (made.status, made.json["roles"]) == (201, {"demo": "editor"})
    assert "/welcome/" in made.json["link"]
    again = api.ask("POST", "/users/bob@example.com/link", api.operator)
    assert again.json["link"] != made.json["link"]
    listed = api.ask("GET", "/users", api.operator).json["users"]
    assert "bob@example.com" in [one["name"] for one in listed]
    assert not any("link" in one for one in listed)
    changed = api.ask("PATCH", "/users/bob@example.com", api.operator, {"roles": {"demo": "viewer"}})
    assert changed.json["roles"] == {"demo": "viewer"}
    blind = api.ask("PATCH", "/users/bob@example.com", api.operator, {"roles": {"demo": None}})
    assert blind.status == 409
    assert api.ask("GET", "/users/bob@example.com/sessions", api.operator).json == {"sessions": []}
    assert api.ask("DELETE", "/users/bob@example.com/sessions", api.operator).status == 204
    assert api.ask("DELETE", "/users/bob@example.com", api.operator).status == 204
    assert api.ask("GET", "/users/bob@example.com", api.operator).status == 404
