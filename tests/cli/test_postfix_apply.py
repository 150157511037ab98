"""``gatepost postfix-settings`` looks at the Postfix that is there, and sets and takes back by itself."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest

from gatepost_stack import certificate
from tests.ansible_modules.conftest import House

from .command import Gatepost, Result

MAIN_OF_DEBIAN = """\
# See /usr/share/postfix/main.cf.dist for a commented, more complete version
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
compatibility_level = 3.6
myhostname = mail.example.test
mydomain = example.test
mydestination = $myhostname, mail, localhost.localdomain, , localhost
alias_maps =
relayhost =
mailbox_size_limit = 0
inet_interfaces = all
"""
# A service a line: what there is on 587 and 465 in master.cf, by whatever name.
TAKEN = {
    "submission": "submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n",
    "587": "587 inet n - y - - smtpd\n",
    "smtps": "smtps inet n - y - - smtpd\n  -o smtpd_tls_wrappermode=yes\n",
    "submissions": "submissions inet n - y - - smtpd\n",
    "address": "192.0.2.7:smtps inet n - y - - smtpd\n",
}


class Here:
    """The command, and a Postfix configuration made by hand that its settings name."""

    def __init__(self, gatepost: Gatepost, house: House) -> None:
        self.gatepost, self.house = gatepost, house
        self.kept = gatepost.folder / "kept"
        folder = gatepost.folder / "tls"
        folder.mkdir()
        certificate.make(folder, "mail.example.test")
        lines = [
            "[postfix]",
            f'config_directory = "{house.folder}"',
            f'tls_certificate_file = "{folder}/server.pem"',
            f'tls_key_file = "{folder}/server.key"',
            "ports = [587, 465]",
        ]
        gatepost.config.write_text(gatepost.config.read_text() + "\n".join(lines) + "\n")

    def __call__(self, *words: str, scope: str = "") -> Result:
        before = ["--set", f"postfix.scope={scope}"] if scope else []
        return self.gatepost(*before, "postfix-settings", *words, "--keep", str(self.kept))

    def debian(self) -> None:
        """Make it a Postfix as Debian installs it."""
        _, master = self.house.files
        main = MAIN_OF_DEBIAN + "".join(
            f"{line}\n" for line in self.house.files[0].splitlines() if "_directory" in line
        )
        entries = [line for line in master.splitlines() if not line.startswith(("10025", "  -o", "#"))]
        self.house.write(main, "".join(f"{entry}\n" for entry in entries))


@pytest.fixture
def here(gatepost: Gatepost, house: House) -> Here:
    return Here(gatepost, house)


@pytest.fixture
def house(tmp_path: Path) -> House:
    place = tmp_path / "house"
    place.mkdir()
    return House(place)


def test_what_is_set_is_shown_kept_and_taken_back_to_the_byte(here: Here) -> None:
    before = here.house.files
    done = here("--apply", "--yes")
    assert done.code == 0, done.err
    assert "+submission inet n - n - - smtpd" in done.out
    assert "+enable_long_queue_ids = yes" in done.out
    assert not [line for line in done.out.splitlines() if line.startswith("-") and line[:3] != "---"]
    assert "gatepost doctor" in done.out or "does not run" in done.out
    assert all(old in new for old, new in zip(before, here.house.files, strict=True))
    (copies,) = (here.kept / "copies").iterdir()
    assert ((copies / "main.cf").read_text(), (copies / "master.cf").read_text()) == before
    assert here.kept.stat().st_mode & 0o777 == 0o700
    again = here("--apply", "--yes")
    assert (again.code, "nothing was changed" in again.out) == (0, True)
    assert here("--undo", "--yes").code == 0
    assert here.house.files == before
    assert here("--undo", "--yes").code == 1


def test_nothing_is_set_without_somebody_who_agrees(here: Here) -> None:
    before = here.house.files
    refused = here("--apply")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert "+submission inet" in refused.out
    assert (here.house.files, here.kept.exists()) == (before, False)


def test_a_script_reads_what_changed(here: Here) -> None:
    data = json.loads(here("--apply", "--yes", "--json").out)
    assert {"enable_long_queue_ids", "submission/inet", "submissions/inet"} <= set(data["changed"])
    assert Path(data["copies"], "main.cf").exists()


@pytest.mark.parametrize("entry", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("words", [("--apply", "--yes"), ("--format", "postconf")], ids=["apply", "postconf"])
@pytest.mark.parametrize("scope", ["ports", "host"])
def test_a_service_of_others_on_our_ports_is_never_taken_over(
    here: Here, entry: str, words: tuple[str, ...], scope: str
) -> None:
    here.debian()
    main, master = here.house.files
    here.house.write(main, master + entry)
    refused = here(*words, scope=scope)
    assert refused.code == 1
    assert refused.out == ""
    assert "belongs to a service that is already in master.cf" in refused.err
    assert entry.splitlines()[0] in refused.err
    assert here.house.files == (main, master + entry)


def test_a_port_of_another_program_is_named(here: Here) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        refused = here.gatepost(
            "--set", f"postfix.ports={port}", "postfix-settings", "--apply", "--yes", "--keep", str(here.kept)
        )
    assert refused.code == 1
    assert f"port {port} is taken by another program" in refused.err


@pytest.mark.parametrize("words", [("--apply", "--yes"), ("--format", "postconf")], ids=["apply", "postconf"])
def test_scope_host_would_stop_this_host_s_mail_and_is_refused(here: Here, words: tuple[str, ...]) -> None:
    before = here.house.files
    refused = here(*words, scope="host")
    assert (refused.code, refused.out) == (1, "")
    assert "takes mail for house.example (mydestination)" in refused.err
    assert "takes mail for other.example (relay_domains)" in refused.err
    assert "would get 530" in refused.err
    assert here.house.files == before
    assert "warning: scope 'host' would end" in here(scope="host").err


def test_scope_host_on_a_postfix_as_debian_installs_it_warns_and_is_done(here: Here) -> None:
    here.debian()
    before = here.house.files
    done = here("--apply", "--yes", scope="host")
    assert done.code == 0, done.err
    assert (
        "mail that comes in for mail.example.test, mail, localhost.localdomain, localhost will get 530"
        in done.err
    )
    assert here.house.postconf("-h", "smtpd_relay_restrictions").startswith("$gatepost_policy")
    assert here("--apply", "--yes", scope="host").code == 0
    assert here("--undo", "--yes", scope="host").code == 0
    assert here.house.files == before


@pytest.mark.parametrize(
    ("there", "after"), [("3.6", "3.6"), ("3.10", "3.10"), ("9999", "9999"), ("2", "3.6")]
)
def test_compatibility_level_is_never_lowered(here: Here, there: str, after: str) -> None:
    here.debian()
    main, master = here.house.files
    here.house.write(main.replace("level = 3.6", f"level = {there}"), master)
    assert here("--apply", "--yes", scope="host").code == 0
    assert here.house.postconf("-h", "compatibility_level") == after


def test_a_certificate_that_does_not_exist_is_named_before_anything_is_set(here: Here) -> None:
    (here.gatepost.folder / "tls" / "server.key").unlink()
    before = here.house.files
    for words in (("--apply", "--yes"), ("--format", "postconf")):
        refused = here(*words)
        assert (refused.code, refused.out) == (1, "")
        assert "server.key does not exist" in refused.err
        assert "postfix.tls_key_file" in refused.err
    assert here.house.files == before
    assert here("--apply", "--yes", "--force").code == 0


def test_files_made_with_host_are_told_of_and_never_switched(here: Here) -> None:
    here.debian()
    assert here("--apply", "--yes", scope="host").code == 0
    (here.kept / "by-hand.json").unlink()  # made by hand, with a release that remembered nothing
    made = here.house.files
    for words in (("--apply", "--yes"), ("--format", "postconf")):
        refused = here(*words)
        assert (refused.code, refused.out) == (1, "")
        assert 'put scope = "host" into section [postfix]' in refused.err
    assert here.house.files == made
    upgraded = here.gatepost("store", "upgrade")
    assert 'was made with postfix.scope = "host"' in upgraded.err
    assert len(here.gatepost("store", "upgrade", "--json").data["notes"]) == 1
    findings = here.gatepost("doctor", "--only", "postfix-main-cf", "--json").data["findings"]
    assert 'was made with postfix.scope = "host"' in findings[0]["found"]
    # Once the settings name it, all is as it was, and the next release may add to it.
    assert here("--apply", "--yes", scope="host").code == 0
    assert here.house.files == made


def test_what_an_earlier_release_s_text_set_is_taken_over_and_can_be_undone(here: Here) -> None:
    before = here.house.files
    assert here("--apply", "--yes").code == 0
    (here.kept / "by-hand.json").unlink()
    main, master = here.house.files
    here.house.write(main, master.replace("smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 0"))
    assert here("--apply", "--yes").code == 0
    assert "smtpd_tls_loglevel = 0" not in here.house.files[1]
    assert here("--undo", "--yes").code == 0
    assert "gatepost" not in here.house.files[1]
    assert before[1] == here.house.files[1]


def test_where_a_play_is_in_charge_the_command_leaves_it_to_the_play(here: Here) -> None:
    here.kept.mkdir()
    (here.kept / "postfix.json").write_text('{"entries": {"main": {}, "master": {}}}')
    refused = here("--apply", "--yes")
    assert refused.code == 1
    assert "run the play" in refused.err


def test_a_postfix_that_delivers_to_itself_only_is_told(here: Here) -> None:
    main, master = here.house.files
    here.house.write(f"{main}default_transport = error:local delivery only\n", master)
    done = here("--apply", "--yes")
    assert done.code == 0
    assert "submitted mail for other hosts comes back" in done.err


def test_what_postfix_refuses_leaves_the_files_as_they_were(here: Here) -> None:
    before = here.house.files
    words = ["--set", "postfix.milters_before=} {", "postfix-settings", "--apply", "--yes"]
    refused = here.gatepost(*words, "--keep", str(here.kept))
    assert refused.code == 1
    assert here.house.files == before
    assert not here.kept.exists()
