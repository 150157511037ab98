"""The first hour: what ``gatepost`` says alone, and what ``credential add`` ends with."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gatepost_core.postfix import connecting
from gatepost_core.settings import load

from .command import Gatepost, make


def next_step(gatepost: Gatepost) -> str:
    """The command that is marked as the next one."""
    result = gatepost()
    assert (result.code, result.err) == (0, "")
    found = re.search(r"^next  (.*)$", result.out, re.MULTILINE)
    assert found
    return found[1]


def test_alone_it_shows_the_next_step_and_each_step_leads_to_the_one_after_it(tmp_path: Path) -> None:
    gatepost = make(tmp_path, upgraded=False)
    for words in ("store upgrade", "account add acme", "domain add example.com", "credential add"):
        command = next_step(gatepost)
        assert command.startswith(f"gatepost {words}")
        assert gatepost(*shlex.split(command)[1:]).code == 0
    assert next_step(gatepost) == "gatepost postfix-settings --apply"


def test_alone_it_shows_the_steps_also_where_the_store_cannot_be_read(gatepost: Gatepost) -> None:
    (gatepost.folder / "store" / "directory.db").write_bytes(b"no database" * 1000)
    result = gatepost()
    assert result.code == 0
    assert "gatepost account add acme" in result.out
    assert "done" not in result.out


def test_a_new_credential_comes_with_where_to_connect_and_a_line_that_tries_it(gatepost: Gatepost) -> None:
    text = gatepost.config.read_text()
    gatepost.config.write_text(text + '[postfix]\nhostname = "mail.example.net"\nscope = "host"\n')
    result = gatepost("credential", "add", "--account", "acme", "--sender", "*.example.com")
    assert "mail.example.net: 587 (STARTTLS), 2525 (STARTTLS), 465 (TLS from the first byte)." in result.err
    made = dict(line.split("\t") for line in result.out.splitlines())
    words = shlex.split(result.err.splitlines()[-1])
    assert words[:5] == ["swaks", "--server", "mail.example.net", "--port", "587"]
    assert words[words.index("--auth-user") + 1] == made["username"]
    assert words[words.index("--auth-password") + 1] == made["password"]
    assert words[words.index("--from") + 1] == "you@mail.example.com"


@pytest.mark.parametrize(
    ("senders", "domain", "expected"),
    [
        ((), "", "you@example.com"),
        ((), "shop.test", "you@shop.test"),
        (("shop.test",), "other.test", "you@shop.test"),
        (("info@shop.test", "shop.test"), "", "info@shop.test"),
    ],
)
def test_the_line_s_sender_is_one_that_the_credential_may_use(
    senders: tuple[str, ...], domain: str, expected: str
) -> None:
    assert connecting.example_sender(senders, domain) == expected


def test_what_clients_reach_can_be_told_apart_from_what_postfix_serves(tmp_path: Path) -> None:
    file = tmp_path / "gatepost.toml"
    file.write_text('[clients]\nhost = "smtp.example.org"\nports = [465]\nca_file = "/etc/ca.pem"\n')
    told = connecting.gateway(load(file, environ={}))
    assert told.described() == "Clients connect to smtp.example.org: 465 (TLS from the first byte)."
    assert "--tls-on-connect --tls-verify --tls-ca-path /etc/ca.pem" in told.swaks("u", "p", "a@b.test")
