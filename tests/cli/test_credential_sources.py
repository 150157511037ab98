"""``gatepost credential``: passwords that others know or made, and networks."""

from __future__ import annotations

import subprocess
import sys

import pytest
from argon2 import PasswordHasher

from .command import Gatepost

HASH = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("from elsewhere")


@pytest.mark.parametrize("source", ["pam", "ldap"])
def test_a_credential_of_a_directory_has_a_name_and_no_password(gatepost: Gatepost, source: str) -> None:
    words = ["add", "--account", "acme", "--source", source, "--username", "lena", "--json"]
    assert gatepost("credential", *words).data == {"username": "lena"}
    shown = gatepost("credential", "show", "lena", "--json").data
    assert (shown["source"], shown["state"]) == (source, "active")
    rotated = gatepost("credential", "rotate", "lena", "--json")
    assert rotated.code != 0
    assert f"kept by {source}" in rotated.error


def test_a_name_for_ldap_is_kept_as_a_login_with_it_arrives(gatepost: Gatepost) -> None:
    words = ["add", "--account", "acme", "--source", "ldap", "--username", " Lena  Meier ", "--json"]
    assert gatepost("credential", *words).data == {"username": "lena meier"}


def test_an_imported_hash_makes_a_credential_and_is_never_shown(gatepost: Gatepost) -> None:
    words = ["add", "--account", "acme", "--username", "lena@a.test", "--password-hash", HASH, "--json"]
    assert gatepost("credential", *words).data == {"username": "lena@a.test"}
    for shown in (["show", "lena@a.test"], ["list"]):
        assert HASH.split("$")[-1] not in gatepost("credential", *shown, "--json").out
    assert gatepost("credential", "set", "lena@a.test", "--password-hash", HASH).code == 0
    new = gatepost("credential", "rotate", "lena@a.test", "--json").data
    assert new["password"].startswith("gps_")


def test_a_hash_can_come_from_standard_input(gatepost: Gatepost) -> None:
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(gatepost.folder / "gatepost.toml")]
    words = ["credential", "add", "--account", "acme", "--username", "lars", "--password-hash", "-"]
    done = subprocess.run([*command, *words], input=HASH + "\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_networks_are_set_shown_and_lifted_beside_senders(gatepost: Gatepost) -> None:
    words = ["--network", "192.0.2.7", "--network", "2001:DB8::/32", "--sender", "a.test"]
    user = gatepost.add_credential(*words)["username"]
    shown = gatepost("credential", "show", user, "--json").data
    assert shown["networks"] == ["192.0.2.7/32", "2001:db8::/32"]
    changed = gatepost("credential", "set", user, "--no-networks", "--json").data
    assert (changed["networks"], changed["senders"]) == ([], ["a.test"])
    changed = gatepost("credential", "set", user, "--network", "10.0.0.0/8", "--no-senders", "--json").data
    assert (changed["networks"], changed["senders"]) == (["10.0.0.0/8"], [])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--source", "ldap"], "--username is needed"),
        (["--password-hash", HASH], "--username is needed"),
        (["--source", "pam", "--username", "x", "--password-hash", HASH], "cannot be given together"),
        (["--username", "x", "--password-hash", "$2y$10$x"], "not argon2id"),
        (["--username", "x", "--password-hash", HASH.replace("m=64", "m=9999999")], "costs too much"),
        (["--username", " "], "cannot be a user name"),
        (["--network", "192.0.2.7/24"], "is not a network"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_made(
    gatepost: Gatepost, words: list[str], says: str
) -> None:
    result = gatepost("credential", "add", "--account", "acme", "--json", *words)
    assert result.code == 2
    assert says in result.error
    assert gatepost("credential", "list", "--json").data == []
