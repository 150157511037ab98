"""Places that credentials send from, on the command line: shown, added, forgotten; and what would be held."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.domain.rules.places import Place, owner_of, read_place
from gatepost_core.settings import load
from gatepost_core.store import open_places
from tests.places import countries, network, write

from .command import Gatepost
from .test_credential import stored

NOW = 1_790_000_000
HERE, THERE = "198.51.100.7", "203.0.113.7"


@pytest.fixture
def located(gatepost: Gatepost) -> Gatepost:
    """A gateway that has databases of both kinds."""
    folder = gatepost.folder
    countries(folder / "country.mmdb", NL="198.51.100.0/24", BR="203.0.113.0/24")
    write(folder / "asn.mmdb", {"198.51.100.0/24": network(64500)}, "GeoLite2-ASN")
    with gatepost.config.open("a") as config:
        config.write(
            f'[hold]\ncountry_database = "{folder}/country.mmdb"\nnetwork_database = "{folder}/asn.mmdb"\n'
        )
    return gatepost


def user_of(gatepost: Gatepost, *kinds: str) -> str:
    words = [word for kind in kinds for word in ("--hold-new-places", kind)]
    user: str = gatepost.add_credential(*words)["username"]
    return user


def sent(gatepost: Gatepost, user: str, *texts: str) -> Sequence[Place]:
    """Have a message come from places, as the milter has it; return those that are new."""
    seen = open_places(load(gatepost.config, environ={}).limits.counters)
    found = seen.admit(owner_of(stored(gatepost, user)), [*map(read_place, texts)], "m1", NOW)
    seen.close()
    return found.new


def names(gatepost: Gatepost, user: str, *words: str) -> list[str]:
    result = gatepost("credential", "places", user, "--json", *words)
    assert result.code == 0, result.err
    return [one["place"] for one in result.data]


def test_the_rule_is_shown_with_what_is_known(located: Gatepost) -> None:
    user = user_of(located, "network", "country")
    shown = located("credential", "show", user, "--json").data
    assert (shown["hold_places"], shown["places"]) == (["country", "network"], [])
    assert "has sent from\tnowhere yet" in located("credential", "show", user).out
    assert sent(located, user, "NL", "AS64500") == ()
    (place, other) = located("credential", "show", user, "--json").data["places"]
    assert place == {
        "kind": "country",
        "place": "NL",
        "since": "2026-09-21T14:13:20Z",
        "last_used_at": "2026-09-21T14:13:20Z",
        "known_by": "message m1",
    }
    assert other["place"] == "AS64500"
    assert "has sent from\tNL, AS64500" in located("credential", "show", user).out
    lifted = located("credential", "set", user, "--hold-new-places", "none", "--json").data
    assert lifted["hold_places"] == []


def test_places_are_added_and_forgotten_by_hand(located: Gatepost) -> None:
    user = user_of(located, "country")
    assert names(located, user, "--add", "nl", "--add", "country:unknown") == ["NL", "unknown"]
    assert [place.name for place in sent(located, user, "BR")] == ["BR"]
    assert names(located, user, "--forget", "NL") == ["unknown"]
    assert names(located, user, "--forget", "country:unknown") == []
    assert [place.name for place in sent(located, user, "NL")] == ["NL"]
    assert names(located, user, "--forget", "all") == []
    assert sent(located, user, "BR") == ()
    assert names(located, user) == ["BR"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--add", "Holland"], "'Holland' is no place; expected something like NL"),
        (["--add", "all"], "there is no such place"),
        (["--forget", "all", "--forget", "NL"], "'all' is no place"),
    ],
)
def test_what_is_no_place_is_named_and_changes_nothing(
    located: Gatepost, words: list[str], text: str
) -> None:
    user = user_of(located, "country")
    sent(located, user, "NL")
    result = located("credential", "places", user, "--json", *words)
    assert (result.code, text in result.error) == (2, True), result
    assert names(located, user) == ["NL"]


def test_where_there_is_no_room_it_is_said(located: Gatepost) -> None:
    user = user_of(located, "network")
    many = [f"AS{number}" for number in range(1, 102)]
    result = located("credential", "places", user, *(word for one in many for word in ("--add", one)))
    assert (result.code, "100 are known already: AS101" in result.err) == (2, True)
    assert len(names(located, user)) == 100


@pytest.mark.parametrize("noun", ["credential add", "credential set", "account set"])
def test_without_a_database_there_is_no_such_rule(gatepost: Gatepost, noun: str) -> None:
    user = user_of(gatepost)
    words = {"credential add": ("--account", "acme"), "credential set": (user,), "account set": ("acme",)}
    result = gatepost(*noun.split(), *words[noun], "--hold-new-places", "network", "--json")
    assert result.code == 2
    assert "the setting hold.network_database is empty" in result.error
    assert gatepost(*noun.split(), *words[noun], "--hold-new-places", "none").code == 0


def played(gatepost: Gatepost, user: str, *client: str) -> str:
    """Return what policy test and explain say of a message, which is the same."""
    words = ("--credential", user, *client, "--json")
    steps = gatepost("policy", "test", "--to", "bob@example.org", *words).data["steps"]
    (step,) = [one for one in steps if one["rule"] == "new places held"]
    mail = gatepost.folder / "message.eml"
    mail.write_text("From: <a@example.test>\nTo: <bob@example.org>\n\nHello.\n")
    explained: dict[str, Any] = gatepost("explain", str(mail), *words).data
    last = explained["answers"][-1]
    if step["reply"]:
        assert (last["reply"], explained["accepted"]) == (step["reply"], False)
        return str(step["reply"])
    said = step["reason"].removeprefix("held: ")
    assert said in last["reason"] or f"places: {said}" in explained["notes"], explained
    return str(step["reason"])


def test_what_would_be_held_is_said_beforehand_and_nothing_is_learned_by_that(located: Gatepost) -> None:
    user = user_of(located, "country", "network")
    assert "it is not known where it comes from" in played(located, user)
    assert played(located, user, "--client", HERE) == (
        "country NL is the first, and learned, network AS64500 is the first, and learned"
    )
    assert names(located, user) == []
    sent(located, user, "NL", "AS64500")
    assert played(located, user, "--client", HERE) == "country NL is known, network AS64500 is known"
    assert played(located, user, "--client", THERE) == (
        f"held: new country BR and new network private, client {THERE}; it has sent from NL, AS64500"
    )
    located("credential", "set", user, "--mode", "hold")
    assert played(located, user, "--client", THERE).startswith("held: new country BR")
    located("credential", "set", user, "--mode", "sandbox")
    found = located("policy", "test", "--to", "b@example.org", "--credential", user, "--client", THERE)
    assert "new places" not in found.out


def test_what_cannot_be_told_is_said_as_the_client_hears_it(located: Gatepost) -> None:
    user = user_of(located, "country")
    (located.folder / "country.mmdb").write_bytes(b"half of a file")
    assert played(located, user, "--client", HERE) == (
        f"451 4.3.0 What credential {user} sends from new places is held, and where its client is cannot be "
        "told just now; try again later"
    )


def places_check(gatepost: Gatepost) -> list[tuple[str, str]]:
    found = gatepost("doctor", "--only", "places", "--all", "--json").data["findings"]
    return [(one["status"], one["found"]) for one in found]


def test_doctor_names_a_file_that_cannot_be_read_is_old_or_is_missing_for_a_rule(
    located: Gatepost, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_of(located, "country")
    assert [status for status, _ in places_check(located)] == ["good", "good"]
    monkeypatch.setattr("mmdb_writer.time.time", lambda: 1_500_000_000)
    countries(located.folder / "country.mmdb", NL="198.51.100.0/24")
    assert places_check(located)[0] == ("note", "GeoLite2-Country of 2017-07-14")
    file = located.folder / "country.mmdb"
    file.unlink()
    (found,) = places_check(located)
    assert found == (
        "fault",
        f"cannot be looked at: hold.country_database = {file}: No such file or directory",
    )
    text = located.config.read_text().replace(f'country_database = "{file}"', "")
    located.config.write_text(text)
    (found,) = places_check(located)
    assert "hold.country_database is not set" in found[1]


def test_what_is_known_comes_back_with_a_backup(located: Gatepost, tmp_path: Path) -> None:
    user = user_of(located, "country")
    sent(located, user, "NL")
    archive = tmp_path / "backup.tar.gz"
    assert located("backup", "create", str(archive)).code == 0
    assert located("backup", "verify", str(archive)).code == 0
    names(located, user, "--forget", "all", "--add", "BR")
    assert located("backup", "restore", str(archive)).code == 0
    assert names(located, user) == ["NL"]
    place = load(located.config, environ={}).limits.counters.with_name("places.db")
    assert place.stat().st_mode & 0o777 == 0o664
    assert list(place.parent.glob("places.db.before-*"))
