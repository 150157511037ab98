"""``gatepost credential``: a password appears once, and what is changed holds."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime, timedelta

import pytest

from gatepost_core.domain import Credential
from gatepost_core.keys import Keyring
from gatepost_core.keys.passwords import matching
from gatepost_core.store import credentials
from gatepost_core.store.sqlite.engine import open_engine
from tests.core.journals import use

from .command import Gatepost


def stored(gatepost: Gatepost, username: str) -> Credential:
    engine = open_engine(f"sqlite:///{gatepost.folder}/store/directory.db", reading=True)
    with engine.connect() as connection:
        credential = credentials.get(connection, username)
    engine.dispose()
    return credential


def valid(gatepost: Gatepost, username: str, password: str, now: datetime | None = None) -> bool:
    keyring = Keyring.load(gatepost.folder / "keys")
    return matching(keyring, stored(gatepost, username), password, now or datetime.now(UTC)) is not None


def test_add_prints_user_name_and_password_and_nothing_else(gatepost: Gatepost) -> None:
    result = gatepost("credential", "add", "--account", "acme", "--json")
    assert result.code == 0
    assert set(result.data) == {"username", "password"}
    assert result.err == ""
    assert valid(gatepost, **result.data)


def test_a_person_is_told_that_the_password_is_shown_once(gatepost: Gatepost) -> None:
    result = gatepost("credential", "add", "--account", "acme")
    assert re.search(r"^password\tgps_\w{38}$", result.out, re.MULTILINE)
    assert "will not be shown again" in result.err


def test_no_other_command_prints_the_password_nor_what_is_kept_of_it(gatepost: Gatepost) -> None:
    made = gatepost.add_credential("--label", "shop")
    user = made["username"]
    kept = stored(gatepost, user).secrets[0]
    hidden = [made["password"]]
    for value in (kept.digest, kept.scram_salt, kept.scram_stored_key, kept.scram_server_key):
        hidden += [value.hex(), repr(value)[2:-1]]
    for words in (
        ["list"],
        ["list", "--account", "acme"],
        ["show", user],
        ["set", user, "--label", "other"],
        ["disable", user],
        ["enable", user],
        ["remove", user],
    ):
        for json_words in ([], ["--json"]) if words[0] != "remove" else ([],):
            result = gatepost("credential", *words, *json_words)
            assert result.code == 0
            assert not any(text in result.out + result.err for text in hidden)


def test_list_shows_label_state_features_and_last_use(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--label", "shop", "--feature", "inlinecss", "--feature", "tags=a,b")[
        "username"
    ]
    now = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    use(f"sqlite:///{gatepost.folder}/store/journal.db", [stored(gatepost, user).id], "192.0.2.7", now)
    [shown] = gatepost("credential", "list", "--json").data
    assert shown["username"] == user
    assert shown["label"] == "shop"
    assert shown["state"] == "active"
    assert shown["features"]["inlinecss"] is True
    assert shown["features"]["trackclicks"] is False
    assert shown["features"]["tags"] == ["a", "b"]
    assert shown["last_used_at"] == now.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert shown["last_used_ip"] == "192.0.2.7"
    assert gatepost("credential", "show", user, "--json").data == {
        **shown,
        "suspensions": [],
        "places": [],
    }
    head, row = gatepost("credential", "list").out.splitlines()
    assert head.split("\t") == [
        "user name",
        "account",
        "label",
        "state",
        "mode",
        "features",
        "created",
        "last used",
    ]
    assert row.split("\t")[:6] == [user, "acme", "shop", "active", "live", "inlinecss tags=a,b"]


def test_the_last_use_of_a_removed_credential_is_not_the_next_one_s(gatepost: Gatepost) -> None:
    first = gatepost.add_credential()["username"]
    number = stored(gatepost, first).id
    use(f"sqlite:///{gatepost.folder}/store/journal.db", [number], "192.0.2.7", datetime.now(UTC))
    assert gatepost("credential", "show", first, "--json").data["last_used_ip"] == "192.0.2.7"
    gatepost("credential", "remove", first)
    second = gatepost.add_credential()["username"]
    assert stored(gatepost, second).id == number
    assert gatepost("credential", "show", second, "--json").data["last_used_ip"] is None
    assert gatepost("credential", "list", "--json").data[0]["last_used_at"] is None


def test_sandbox_mode_is_set_shown_and_ended(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--mode", "sandbox")["username"]
    assert gatepost("credential", "show", user, "--json").data["mode"] == "sandbox"
    assert gatepost("credential", "set", user, "--label", "x", "--json").data["mode"] == "sandbox"
    assert gatepost("credential", "set", user, "--mode", "live", "--json").data["mode"] == "live"
    assert gatepost("credential", "set", user, "--mode", "dry-run").code == 2
    assert gatepost("credential", "list").out.splitlines()[1].split("\t")[4] == "live"


def test_a_release_that_cannot_hold_messages_finds_such_credentials_off(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--mode", "hold")["username"]
    assert gatepost("credential", "show", user, "--json").data["mode"] == "hold"
    assert gatepost("store", "downgrade", "directory=0013").code == 0
    assert gatepost("store", "upgrade").code == 0
    shown = gatepost("credential", "show", user, "--json").data
    assert (shown["mode"], shown["state"]) == ("live", "disabled")


def test_set_changes_what_is_named_and_leaves_the_rest(gatepost: Gatepost) -> None:
    made = gatepost.add_credential("--label", "shop", "--feature", "inlinecss", "--sender", "a.test")
    user = made["username"]
    words = ["set", user, "--feature", "trackclicks", "--feature", "inlinecss=off", "--json"]
    shown = gatepost("credential", *words).data
    assert (shown["features"]["inlinecss"], shown["features"]["trackclicks"]) == (False, True)
    assert (shown["label"], shown["senders"]) == ("shop", ["a.test"])
    replaced = gatepost(
        "credential", "set", user, "--sender", "B.test", "--sender", "x@c.test", "--json"
    ).data
    assert replaced["senders"] == ["b.test", "x@c.test"]
    assert gatepost("credential", "set", user, "--no-senders", "--json").data["senders"] == []
    assert gatepost("credential", "set", user, "--label", "", "--json").data["label"] == ""
    assert valid(gatepost, made["username"], made["password"])


def test_set_without_a_change_or_with_a_contradiction_is_a_usage_error(gatepost: Gatepost) -> None:
    user = gatepost.add_credential()["username"]
    assert gatepost("credential", "set", user).code == 2
    assert gatepost("credential", "set", user, "--sender", "a.test", "--no-senders").code == 2


def test_disable_and_enable_keep_everything_else(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--feature", "inlinecss")["username"]
    before = gatepost("credential", "show", user, "--json").data
    assert gatepost("credential", "disable", user, "--json").data == {"username": user, "state": "disabled"}
    assert gatepost("credential", "show", user, "--json").data == before | {"state": "disabled"}
    assert gatepost("credential", "enable", user).code == 0
    assert gatepost("credential", "show", user, "--json").data == before


def test_rotate_prints_a_new_password_and_the_old_one_stays_for_the_overlap(gatepost: Gatepost) -> None:
    made = gatepost.add_credential()
    user = made["username"]
    new = gatepost("credential", "rotate", user, "--overlap", "2h", "--json").data
    assert new["username"] == user
    assert new["password"] != made["password"]
    now = datetime.now(UTC)
    assert valid(gatepost, user, made["password"], now + timedelta(minutes=119))
    assert not valid(gatepost, user, made["password"], now + timedelta(minutes=121))
    assert valid(gatepost, user, new["password"], now + timedelta(days=999))
    ended = gatepost("credential", "rotate", user, "--overlap", "0h", "--json").data
    assert ended["old_password_until"] is None
    assert not valid(gatepost, user, new["password"])
    assert valid(gatepost, user, ended["password"])


def test_rotate_leaves_a_day_unless_told_otherwise(gatepost: Gatepost) -> None:
    made = gatepost.add_credential()
    assert gatepost("credential", "rotate", made["username"]).code == 0
    user, password = made["username"], made["password"]
    assert valid(gatepost, user, password, datetime.now(UTC) + timedelta(hours=23))
    assert not valid(gatepost, user, password, datetime.now(UTC) + timedelta(hours=25))


def test_a_removed_credential_is_gone(gatepost: Gatepost) -> None:
    user = gatepost.add_credential()["username"]
    assert gatepost("credential", "remove", user, "--json").data == {"removed": user}
    assert gatepost("credential", "show", user).code == 3
    assert gatepost("credential", "list", "--json").data == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2099-01-31", "2099-01-31T00:00:00Z"),
        ("2099-01-31T18:00", "2099-01-31T18:00:00Z"),
        ("2099-01-31T18:00+02:00", "2099-01-31T16:00:00Z"),
        ("never", None),
    ],
)
def test_an_expiry_is_understood_as_utc(gatepost: Gatepost, text: str, expected: str | None) -> None:
    user = gatepost.add_credential("--expires", text)["username"]
    assert gatepost("credential", "show", user, "--json").data["expires_at"] == expected


def test_an_expiry_can_be_a_span_and_be_lifted(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--expires", "90d")["username"]
    ends = datetime.fromisoformat(gatepost("credential", "show", user, "--json").data["expires_at"])
    assert abs(ends - datetime.now(UTC) - timedelta(days=90)) < timedelta(minutes=1)
    lifted = gatepost("credential", "set", user, "--expires", "never", "--json").data
    assert lifted["expires_at"] is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--sender", "a b@x.test"], "'a b@x.test' cannot be used as a sender; expected an address"),
        (["--sender", "good.test", "--sender", "@x.test"], "'@x.test' cannot be used"),
        (["--sender", "a@*.x.test"], "'a@*.x.test' cannot be used"),
        (["--sender", "*"], "'*' cannot be used"),
        (["--sender", "localhost"], "'localhost' cannot be used"),
        (["--sender", "<a@x.test>"], "'<a@x.test>' cannot be used"),
        (["--feature", "colour"], "unknown feature 'colour'; known are"),
        (["--feature", "inlinecss=maybe"], "inlinecss: 'maybe' is not understood; expected on or off"),
        (["--expires", "tomorrow"], "'tomorrow' is not a time; expected 2027-01-31"),
        (["--expires", "2001-01-01"], "'2001-01-01' lies in the past"),
        (["--expires", "9999999d"], "'9999999d' is not a time"),
        (["--label", "a\nb"], "on one line"),
        (["--label", "x" * 256], "at most 255 characters"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_is_made(
    gatepost: Gatepost, words: list[str], text: str
) -> None:
    result = gatepost("credential", "add", "--account", "acme", "--json", *words)
    assert result.code == 2
    assert result.out == ""
    assert text in result.error
    assert gatepost("credential", "list", "--json").data == []


@pytest.mark.parametrize(
    ("pattern", "kept"),
    [
        ("Info@Example.TEST", "info@example.test"),
        ("exämple.test", "xn--exmple-cua.test"),
        ("*.Example.test", "*.example.test"),
        ("jörg+x@example.test", "jörg+x@example.test"),
    ],
)
def test_a_sender_is_kept_in_the_form_that_rules_compare(gatepost: Gatepost, pattern: str, kept: str) -> None:
    user = gatepost.add_credential("--sender", pattern, "--sender", kept)["username"]
    assert gatepost("credential", "show", user, "--json").data["senders"] == [kept]


def test_a_tag_that_is_no_utf_8_is_refused_by_name(gatepost: Gatepost) -> None:
    word = os.fsdecode(b"tags=caf\xe9")
    done = gatepost.process("credential", "add", "--account", "acme", "--feature", word, "--json")
    assert done.code == 2
    assert "U+DCE9 (half of a surrogate pair: the bytes are no UTF-8)" in done.error


def test_a_label_with_odd_characters_comes_back_in_json(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--label", 'Zürich "✓" \\')["username"]
    assert json.loads(gatepost("credential", "show", user, "--json").out)["label"] == 'Zürich "✓" \\'


def test_a_credential_needs_an_account_that_exists(gatepost: Gatepost) -> None:
    result = gatepost("credential", "add", "--account", "nobody", "--json")
    assert result.code == 3
    assert result.error == "no account 'nobody'; 'gatepost account list' shows all"
    assert gatepost("credential", "add").code == 2


def test_header_fields_and_permissions_are_set_shown_and_taken_back(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--header-add", "X-Team: blue", "--overrides", "ignored")["username"]
    shown = gatepost("credential", "show", user, "--json").data
    assert (shown["overrides"], shown["edit_signed"]) == ("ignored", False)
    assert (shown["header_add"], shown["header_drop"]) == (["X-Team: blue"], [])
    shown = gatepost("credential", "set", user, "--edit-signed", "--header-drop", "X-Old", "--json").data
    assert (shown["overrides"], shown["edit_signed"]) == ("ignored", True)
    assert (shown["header_add"], shown["header_drop"]) == (["X-Team: blue"], ["X-Old"])
    shown = gatepost("credential", "set", user, "--no-headers", "--no-edit-signed", "--json").data
    assert (shown["header_add"], shown["header_drop"], shown["edit_signed"]) == ([], [], False)


def test_what_suppresses_a_credentials_mail_is_set_and_shown(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--unsubscribe-scope", "tag")["username"]
    shown = gatepost("credential", "show", user, "--json").data
    assert (shown["unsubscribe_scope"], shown["transactional"]) == ("tag", False)
    assert "gets no more with the tags of that message" in gatepost("credential", "show", user).out
    shown = gatepost("credential", "set", user, "--transactional", "--json").data
    assert (shown["unsubscribe_scope"], shown["transactional"]) == ("tag", True)
    assert "bounces and complaints alone" in gatepost("credential", "show", user).out
    words = ("--no-transactional", "--unsubscribe-scope", "credential", "--json")
    shown = gatepost("credential", "set", user, *words).data
    assert (shown["unsubscribe_scope"], shown["transactional"]) == ("credential", False)


def test_a_header_field_that_could_break_a_message_is_refused_by_name(gatepost: Gatepost) -> None:
    user = gatepost.add_credential()["username"]
    for option, text in (
        ("--header-add", "From: x@y"),
        ("--header-add", "X-A: b\nBcc: c"),
        ("--header-drop", "To"),
    ):
        run = gatepost("credential", "set", user, option, text)
        assert run.code == 2
        assert option in run.err
    assert gatepost("credential", "show", user, "--json").data["header_add"] == []
