"""gatepost token: made and told once, listed, removed; and what commands change is in the audit log."""

from __future__ import annotations

import json
from contextlib import closing
from sqlite3 import connect

from .command import Gatepost


def test_a_token_is_printed_once_and_can_be_removed(gatepost: Gatepost) -> None:
    made = gatepost(
        "token", "add", "shop", "--account", "acme", "--scope", "credentials,messages:read", "--network",
        "192.0.2.0/24", "--expires", "90d", "--json",
    ).data  # fmt: skip
    assert made["token"].startswith("gpt_")
    assert made["scopes"] == ["credentials:read", "credentials:write", "messages:read"]
    assert (made["account"], made["networks"], made["expired"]) == ("acme", ["192.0.2.0/24"], False)
    listed = gatepost("token", "list", "--json").data
    assert [one["name"] for one in listed] == ["shop"]
    assert made["token"] not in json.dumps(listed)
    assert "credentials, messages:read" in gatepost("token", "show", made["id"]).out
    assert gatepost("token", "list", "--account", "acme", "--json").data == listed
    assert gatepost("token", "remove", made["id"], "--json").code == 0
    assert gatepost("token", "list", "--json").data == []
    assert gatepost("token", "show", made["id"]).code == 3


def test_what_is_no_scope_is_told(gatepost: Gatepost) -> None:
    told = gatepost("token", "add", "x", "--scope", "mail:send")
    assert told.code == 2
    assert "'mail:send' is no scope" in told.err
    assert gatepost("token", "add", "x", "--scope", "all", "--account", "nobody").code == 3


def test_what_commands_change_is_in_the_audit_log_with_who_ran_them(gatepost: Gatepost) -> None:
    made = gatepost("credential", "add", "--account", "acme", "--label", "a", "--json").data
    name = made["username"]
    assert gatepost("credential", "set", name, "--label", "b", "--feature", "dkim", "--json").code == 0
    assert gatepost("credential", "rotate", name, "--json").code == 0
    assert gatepost("credential", "remove", name, "--json").code == 0
    with closing(connect(gatepost.folder / "store" / "directory.db")) as store:
        found = store.execute("SELECT actor_kind, actor, account, action, object, before, after FROM audit")
        entries = found.fetchall()
    assert [entry[3] for entry in entries] == [
        "account.add", "credential.add", "credential.set", "credential.rotate", "credential.remove",
    ]  # fmt: skip
    assert {entry[0] for entry in entries} == {"node"}
    assert all(entry[1] and entry[2] == "acme" for entry in entries)
    assert json.loads(entries[2][5]) == {"label": "a", "features": {"dkim": False}}
    assert json.loads(entries[2][6]) == {"label": "b", "features": {"dkim": True}}
    assert made["password"] not in str(entries)


def test_domains_webhooks_and_suppressions_are_in_the_audit_log_and_no_address_that_is_to_be_forgotten(
    gatepost: Gatepost,
) -> None:
    for words in (
        "domain add example.org --account acme",
        "domain rotate example.org",
        "account add beta",
        "domain grant example.org --to beta",
        "webhook add https://hooks.example.org/x --account acme",
        "suppression add ann@example.org --account acme --note hers",
        "suppression forget ann@example.org --yes",
        "domain remove example.org --yes",
    ):
        assert gatepost(*words.split(), "--json").code == 0, words
    with closing(connect(gatepost.folder / "store" / "directory.db")) as store:
        found = store.execute("SELECT action, object, before, after FROM audit").fetchall()
    noted = [
        "account.add", "domain.add", "domain.rotate", "account.add", "domain.grant", "webhook.add",
        "suppression.add", "suppression.forget", "domain.remove",
    ]  # fmt: skip
    assert sorted(entry[0] for entry in found) == sorted(noted)
    assert "ann@example.org" not in str(found)
    assert "whsec_" not in str(found)
