"""``gatepost doctor`` finds each fault that it looks for, says what to do, and ends with exit code 5."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from gatepost_cli.checks import CHECKS
from gatepost_cli.checks.base import Context
from gatepost_cli.checks.certificate import tls_certificate
from gatepost_cli.checks.daemons import DAEMONS
from gatepost_cli.checks.parameters import postfix_main_cf, postfix_master_cf
from gatepost_cli.checks.postfix import forwarded
from gatepost_core import spool
from gatepost_core.domain import ids
from gatepost_core.domain.outcomes import Logged
from gatepost_core.keys import PURPOSES
from gatepost_core.postfix import main_cf, master_cf
from gatepost_core.settings import load
from gatepost_core.store.opening import open_backend
from gatepost_core.store.webhooks import endpoints
from gatepost_stack import certificate
from tests.core.ingest.world import RECORD, World, accepted
from tests.core.running import Running
from tests.sasl import pki, slapd

from .command import Gatepost, Result, make

NOW = datetime.now(UTC)


def faults(result: Result, check: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = result.data["findings"]
    return [one for one in found if one["check"] == check and one["status"] == "fault"]


@pytest.fixture
def gatepost() -> Iterator[Gatepost]:
    """Not below tmp_path, where pytest lets nobody but root through to the sockets."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield make(Path(name))


@pytest.fixture
def place(gatepost: Gatepost) -> Gatepost:
    """Add to the settings file: sockets, a certificate, a Postfix configuration as it should be."""
    folder = gatepost.folder
    (folder / "tls").mkdir()
    (folder / "spool").mkdir(0o750)
    certificate.make(folder / "tls", "mail.example.test")
    text = gatepost.config.read_text()
    for daemon in (one.name for one in DAEMONS):
        text += f'[{daemon}]\nlisten = "unix:{folder}/{daemon}"\n'
    text += f'directory = "{folder}/returned"\n'  # of bounces, the last
    text += '[postfix]\nscope = "host"\nhostname = "mail.example.test"\n'
    text += f'tls_certificate_file = "{folder}/tls/server.pem"\n'
    text += f'tls_key_file = "{folder}/tls/server.key"\n'
    gatepost.config.write_text(text)
    settings = load(gatepost.config, environ={})
    (folder / "main.cf").write_text("\n".join(one.line for one in main_cf(settings, ())) + "\n")
    (folder / "master.cf").write_text("\n".join(one.entry for one in master_cf(settings)) + "\n")
    return gatepost


def doctor(place: Gatepost, *words: str) -> Result:
    """Run it, but for what needs a Postfix that runs (tests/integration/test_doctor.py has one) or units."""
    names = ("daemons", "postfix", "ports", "outgoing", "probe", "clock")
    left_out = [word for check in names for word in ("--skip", check)]
    words = words or tuple(left_out)
    return place("doctor", "--postfix-config", str(place.folder), "--json", *words)


@pytest.fixture
def running(place: Gatepost) -> Iterator[Gatepost]:
    """The same with all daemons on their sockets."""

    def words(name: str) -> list[str]:
        helper = ["gatepost_events.holding.helper", "--listen", f"{place.folder}/hold"]
        return helper if name == "hold" else [f"gatepost_{name}.main", "--config", str(place.config)]

    daemons = [Running(["-m", *words(one.name)], place.folder) for one in DAEMONS]
    try:
        for daemon in daemons:
            daemon.wait_notice("READY=1")
        yield place
    finally:
        for daemon in daemons:
            daemon.stop()


def test_nothing_is_found_where_nothing_is_wrong(running: Gatepost) -> None:
    result = doctor(running)
    assert [one for one in result.data["findings"] if one["status"] != "good"] == []
    assert (result.code, result.data["faults"]) == (0, 0)
    assert {one["check"] for one in result.data["findings"]} == set(result.data["checks"])


def test_a_daemon_that_does_not_run_is_a_fault_of_its_socket(place: Gatepost) -> None:
    result = doctor(place)
    assert result.code == 5
    for daemon in (one.name for one in DAEMONS):
        (found,) = faults(result, f"{daemon}-socket")
        assert found["found"] == "no such socket"
        assert f"gatepost-{daemon}.socket" in found["advice"]


def test_a_socket_that_speaks_another_protocol_or_is_open_to_all_is_a_fault(running: Gatepost) -> None:
    folder = running.folder
    swapped = running.config.read_text().replace(f"unix:{folder}/policy", f"unix:{folder}/sasl")
    running.config.write_text(swapped)
    (folder / "sasl").chmod(0o666)
    result = doctor(running)
    (wrong,) = [one for one in faults(result, "policy-socket") if "no answer" in one["found"]]
    assert "it said" in wrong["found"]
    assert any("mode 0666" in one["found"] for one in faults(result, "sasl-socket"))


@pytest.mark.parametrize("said", ["mode 0777", "records wait, the first for 2 hours", "bytes taken"])
def test_a_spool_that_is_open_to_others_or_is_not_taken_is_a_fault(place: Gatepost, said: str) -> None:
    folder = spool.stream(place.folder / "spool", "milter")
    old = NOW.timestamp() - 7200
    writer = spool.Writer(folder, size=1 << 20, most=1 << 21)
    writer.append(accepted(replace(RECORD, id=ids.new(int(old * 1000)))))
    (segment,) = spool.segments(folder)
    os.utime(segment.path, (old, old))
    with (folder / "0.spare").open("wb") as spare:
        spare.truncate(1_900_000_000)
    folder.chmod(0o777)
    found = faults(doctor(place, "--only", "spool"), "spool")
    assert any(said in one["found"] for one in found)
    assert str(segment.path) in [one["looked_at"] for one in found]
    writer.close()


def test_a_log_that_is_not_read_is_a_fault_and_lines_that_it_lost_are_noted(place: Gatepost) -> None:
    node = World(place.folder / "spool", load(place.config, environ={}).store, NOW)
    node.write(accepted(replace(RECORD, created_at=NOW - timedelta(minutes=1))))
    node.take()
    place.config.write_text(place.config.read_text() + "[doctor]\ntimeout = 0.1\n")
    (silent,) = faults(doctor(place, "--only", "mail-log"), "mail-log")
    assert "nothing of the newest message" in silent["found"]
    node.hear(Logged("file 1", lost=7, line_at=int(NOW.timestamp() * 1e6)))
    told = doctor(place, "--only", "mail-log").data["findings"]
    assert [one["found"][:19] for one in told if one["status"] == "note"] == ["7 lines are missing"]


def test_a_database_that_is_missing_is_a_fault(place: Gatepost) -> None:
    (place.folder / "store" / "journal.db").unlink()
    result = doctor(place)
    (found,) = faults(result, "store")
    assert found["looked_at"].endswith("journal.db")
    assert "gatepost store upgrade" in found["advice"]


def test_keys_that_everybody_may_read_are_a_fault(place: Gatepost) -> None:
    (place.folder / "keys").chmod(0o755)
    (place.folder / "keys" / "click-a.key").chmod(0o644)
    found = faults(doctor(place), "keys")
    assert any("mode 0755" in one["found"] for one in found)
    assert any("click-a.key" in one["found"] and "chmod 0640" in one["advice"] for one in found)


def test_a_webhook_that_was_switched_off_since_it_fails_is_noted(place: Gatepost) -> None:
    for reason in ("all 9 attempts failed", "by hand", ""):
        made = place(
            "webhook", "add", "https://a.test/", "--account", "acme", "--label", reason, "--json"
        ).data
        with open_backend(load(place.config, environ={}).store).directory(write=True) as connection:
            assert endpoints.switch_off(connection, made["id"], reason, NOW) if reason else True
    off, rest = findings(place, CHECKS["webhooks"])
    assert (off.status, "all 9 attempts failed" in off.found) == ("note", True)
    assert rest.found == "2 of 3 take events, or have none to take"


def findings(place: Gatepost, check: Any) -> list[Any]:
    settings = load(place.config, environ={})
    return list(check(Context(settings, place.folder, NOW)))


def faulty(place: Gatepost, check: Any) -> list[Any]:
    return [one for one in findings(place, check) if one.status == "fault"]


def test_parameters_that_differ_are_faults_and_an_operator_s_own_choice_a_note(place: Gatepost) -> None:
    main = place.folder / "main.cf"
    text = main.read_text().replace("smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    text = re.sub(r"(?m)^smtpd_client_auth_rate_limit.*", "smtpd_client_auth_rate_limit = 7", text)
    text = re.sub(r"(?m)^smtpd_end_of_data_restrictions.*\n", "", text)
    text = re.sub(r"(?m)^disable_mime_output_conversion =.*\n", "", text)
    main.write_text(text)
    found = {one.looked_at: one for one in findings(place, postfix_main_cf) if one.status != "good"}
    assert {key: one.status for key, one in found.items()} == {
        "main.cf, smtpd_tls_auth_only": "fault",
        "main.cf, smtpd_client_auth_rate_limit": "note",
        "main.cf, disable_mime_output_conversion": "fault",  # Postfix's default is another
    }
    assert found["main.cf, smtpd_tls_auth_only"].expected == "smtpd_tls_auth_only = yes"


def test_a_port_that_is_missing_or_has_other_options_is_a_fault(place: Gatepost) -> None:
    settings = load(place.config, environ={})
    entries = [one.entry for one in master_cf(settings) if one.role != "submissions"]
    entries[1] = entries[1].replace("smtpd_tls_security_level = encrypt", "smtpd_tls_security_level = may")
    (place.folder / "master.cf").write_text("\n".join(entries) + "\n")
    found = faulty(place, postfix_master_cf)
    assert [one.looked_at for one in found] == [
        "master.cf, submission, smtpd_tls_security_level",
        "master.cf, submissions",
    ]


def test_a_service_that_takes_reports_is_missed_where_an_account_has_them_forwarded(place: Gatepost) -> None:
    settings = load(place.config, environ={})
    entries = [one.entry for one in master_cf(settings) if one.role != "forward"]
    (place.folder / "master.cf").write_text("\n".join(entries) + "\n")
    assert [one.status for one in findings(place, postfix_master_cf) if one.status != "good"] == ["note"]
    assert {one.status for one in findings(place, forwarded)} == {"good"}
    place("account", "set", "acme", "--bounces", "forward")
    assert [one.looked_at for one in faulty(place, postfix_master_cf)] == ["master.cf, gatepost-forward"]
    assert [one.found for one in faulty(place, forwarded)] == ["missing"]
    with open_backend(settings.store).directory(write=True) as connection:
        connection.execute(text("UPDATE accounts SET bounces = 'newer'"))
    (told,) = [one for one in findings(place, forwarded) if one.status == "note"]
    assert "counts as events" in told.found


@pytest.mark.parametrize(
    ("days", "says"), [(-1000, "valid from"), (20, "valid for 14 more days"), (1000, "expired on")]
)
def test_a_certificate_out_of_its_time_or_soon_to_end_is_a_fault(
    place: Gatepost, days: int, says: str
) -> None:
    context = Context(load(place.config, environ={}), place.config, NOW + timedelta(days=days))
    (found,) = [one for one in tls_certificate(context) if one.status == "fault"]
    assert says in found.found + found.expected


def test_a_key_of_another_certificate_or_open_to_all_is_a_fault(place: Gatepost) -> None:
    tls: Path = place.folder / "tls"
    (tls / "server.key").chmod(0o644)
    assert [one.found for one in faulty(place, tls_certificate)] == ["mode 0644"]
    before = (tls / "server.pem").read_bytes()
    certificate.make(tls, "mail.example.test")
    (tls / "server.pem").write_bytes(before)
    (tls / "server.key").chmod(0o600)
    (found,) = faulty(place, tls_certificate)
    assert found.found == "the key of another certificate"


def test_a_postfix_that_cannot_be_asked_is_a_finding_and_the_other_checks_go_on(place: Gatepost) -> None:
    (place.folder / "main.cf").unlink()
    result = doctor(place)
    (found,) = faults(result, "postfix-main-cf")
    assert found["looked_at"] == f"{place.folder}/main.cf"
    assert "cannot be read: open " in found["found"]
    # One cause is told once: the others that ask Postfix point to it.
    assert faults(result, "postfix-master-cf") == []
    assert {one["check"] for one in result.data["findings"]} == set(result.data["checks"])


def test_a_person_reads_what_to_mend_and_a_count(place: Gatepost) -> None:
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(place.config), "doctor"]
    # Where systemd runs, the units that this host lacks would be the first hop.
    command += ["--postfix-config", str(place.folder), "--skip", "daemons"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    text = done.stdout
    assert re.search(
        r"^sasl-socket\n  fault  .*: .*\n         expected  .*\n         to do     .*$", text, re.M
    )
    headings = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert set(headings) <= set(CHECKS)
    assert len(headings) == len(set(headings))
    assert "\n  good " not in text
    assert re.search(rf"{len(CHECKS) - 1} checks, \d+ findings, \d+ faults", done.stderr)
    assert "The first hop that fails: events-socket, " in done.stderr


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.make(tmp_path_factory.mktemp("pki") / "own")


def amended(text: str, sasl: str, more: str = "") -> str:
    return text.replace("[sasl]", f"[sasl]\n{sasl}") + more


def with_ldap(place: Gatepost, text: str, authority: pki.Authority, *servers: str, password: str) -> None:
    ldap = f'[ldap]\nservers = {json.dumps(servers)}\nca_file = "{authority.ca_file}"\n'
    ldap += f'base = "{slapd.BASE}"\nbind_dn = "{slapd.READER}"\nbind_password = "{password}"\n'
    place.config.write_text(amended(text, 'backends = ["ldap"]', ldap))


def test_each_directory_server_is_asked_on_its_own_and_by_the_service_account(
    place: Gatepost, authority: pki.Authority, tmp_path: Path
) -> None:
    own = place.config.read_text()
    good, expired = (slapd.running(tmp_path / name, authority, name) for name in ("server", "expired"))
    with good as up, expired as old:
        with_ldap(place, own, authority, up.uri, old.uri, password=slapd.READER_PASSWORD)
        (ended,) = faults(doctor(place), "backends")
        with_ldap(place, own, authority, up.uri, "ldap://127.0.0.1:1", password="wrong")
        refused, down = faults(doctor(place), "backends")
    assert (ended["looked_at"], "expired" in ended["found"]) == (old.uri, True)
    assert slapd.READER in refused["found"]
    assert "127.0.0.1:1" in down["found"]


def test_a_mechanism_that_some_users_cannot_use_is_noted(place: Gatepost) -> None:
    sasl = 'backends = ["store", "pam"]\nstore_names = ["gp*"]\nmechanisms = ["PLAIN", "SCRAM-SHA-256"]'
    place.config.write_text(amended(place.config.read_text(), sasl, '[pam]\nservice = "login"\n'))
    found = doctor(place, "--only", "backends").data["findings"]
    (note,) = [one for one in found if one["status"] == "note"]
    assert "which users of pam cannot use" in note["found"]


def test_back_ends_that_cannot_work_are_a_fault(place: Gatepost) -> None:
    place.config.write_text(amended(place.config.read_text(), 'backends = ["ldap"]'))
    (found,) = faults(doctor(place), "backends")
    assert "ldap.servers" in found["found"]


def test_beside_other_work_only_our_own_services_and_names_are_looked_at(place: Gatepost) -> None:
    text = place.config.read_text().replace('scope = "host"', "ports = [25, 587]")
    place.config.write_text(text)
    settings = load(place.config, environ={})
    main = [one.line for one in main_cf(settings, ()) if one.name != "relay_domains"]
    own = ["smtpd_milters = inet:127.0.0.1:8891", "relay_domains = other.example, $gatepost_bounce_domains"]
    entries = [one.entry for one in master_cf(settings)]
    (place.folder / "main.cf").write_text("\n".join([*main, *own]) + "\n")
    (place.folder / "master.cf").write_text("\n".join(entries) + "\n")
    found = [*findings(place, postfix_main_cf), *findings(place, postfix_master_cf)]
    assert [one.looked_at for one in found if one.status != "good"] == []
    entries[-1] = entries[-1].replace("always_add_missing_headers = yes", "always_add_missing_headers = no")
    (place.folder / "master.cf").write_text("\n".join(entries) + "\n")
    (place.folder / "main.cf").write_text("\n".join([*main, own[0], "relay_domains = other.example"]) + "\n")
    found = [*findings(place, postfix_main_cf), *findings(place, postfix_master_cf)]
    assert [one.looked_at for one in found if one.status == "fault"] == [
        "main.cf, gatepost_bounce_domains",  # unknown to postconf(1) when nothing refers to it
        "main.cf, relay_domains",
        "master.cf, gatepost-cleanup, always_add_missing_headers",
    ]


def test_checks_are_chosen_and_left_out_by_name(place: Gatepost) -> None:
    assert doctor(place, "--only", "store", "--only", "keys").data["checks"] == ["store", "keys"]
    assert doctor(place, "--skip", "probe").data["checks"] == [one for one in CHECKS if one != "probe"]
    assert place("doctor", "--only", "stoer").code == 2
    text = place.config.read_text()
    place.config.write_text(text + '[doctor]\nskip = ["dns", "probe"]\n')
    assert set(CHECKS) - set(doctor(place, "--skip", "ports").data["checks"]) == {"dns", "probe", "ports"}
    assert doctor(place, "--only", "dns").data["checks"] == ["dns"]
    place.config.write_text(text + '[doctor]\nskip = ["dsn"]\n')
    result = place("doctor", "--json")
    assert result.code == 4
    assert "'dsn'" in result.error


def test_a_database_of_another_user_or_schema_is_a_fault(place: Gatepost) -> None:
    store = place.folder / "store"
    (store / "directory.db").chmod(0o644)
    with sqlite3.connect(store / "journal.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    connection.close()
    mode, schema = faulty(place, CHECKS["store"])
    assert (mode.found, schema.found) == ("mode 0644", "another schema")
    (store / "directory.db").chmod(0o640)
    if os.geteuid() == 0:
        os.chown(store, 65534, 65534)
        found = faulty(place, CHECKS["store"])
        assert any(one.found == "belongs to root" and "chown nobody" in one.advice for one in found)


def test_a_way_to_the_sockets_that_is_closed_to_postfix_is_a_fault(running: Gatepost) -> None:
    running.folder.chmod(0o700)
    (found,) = faulty(running, CHECKS["policy-socket"])
    assert (found.looked_at, "0700" in found.found) == (str(running.folder), True)


def test_a_socket_that_nobody_listens_on_is_told_from_none(place: Gatepost) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place.folder / "policy"))
    assert any("nobody listens" in one.found for one in faulty(place, CHECKS["policy-socket"]))


def test_settings_that_hold_a_password_are_not_for_everybody(place: Gatepost) -> None:
    assert faulty(place, CHECKS["release"]) == []  # 0644, but without a password
    place.config.write_text(place.config.read_text() + '[ldap]\nbind_password = "hush"\n')
    place.config.chmod(0o644)
    (found,) = faulty(place, CHECKS["release"])
    assert (found.looked_at, found.found) == (str(place.config), "mode 0644")
    assert "hush" not in str(found)
    place.config.chmod(0o640)
    assert faulty(place, CHECKS["release"]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
def test_settings_and_keys_that_the_daemons_user_cannot_read_are_a_fault(place: Gatepost) -> None:
    for path in (place.folder / "store", *(place.folder / "store").iterdir()):
        os.chown(path, 65534, 65534)
    place.config.chmod(0o600)
    (found,) = faulty(place, CHECKS["release"])
    assert (found.looked_at, found.found) == (str(place.config), "nobody cannot read it")
    assert any("nobody cannot read it" in one.found for one in faulty(place, CHECKS["keys"]))
    for path in (place.folder / "keys").iterdir():
        os.chown(path, 1, 65534)
    third = [one for one in faulty(place, CHECKS["keys"]) if "belongs to" in one.found]
    assert len(third) == len(PURPOSES)
    assert "chown nobody" in third[0].advice


def test_a_chain_in_disorder_or_of_another_name_is_a_fault(place: Gatepost, tmp_path: Path) -> None:
    tls = place.folder / "tls"
    server, authority = (tls / "server.pem").read_bytes(), (tls / "ca.pem").read_bytes()
    (tls / "server.pem").write_bytes(server + authority)
    assert faulty(place, tls_certificate) == []
    certificate.make(tmp_path, "elsewhere.example.test")
    (tls / "server.pem").write_bytes(server + (tmp_path / "ca.pem").read_bytes())
    (found,) = faulty(place, tls_certificate)
    assert "number 1 (CN=mail.example.test) is not issued by the next one" in found.found
    (tls / "server.pem").write_bytes((tmp_path / "server.pem").read_bytes())
    (tls / "server.key").write_bytes((tmp_path / "server.key").read_bytes())
    (found,) = faulty(place, tls_certificate)
    assert "elsewhere.example.test" in found.found
    assert "for mail.example.test" in found.expected


def test_the_days_that_a_certificate_has_to_last_are_a_setting(place: Gatepost) -> None:
    place.config.write_text(place.config.read_text() + "[doctor]\ncertificate_days = 90\n")
    (found,) = faulty(place, tls_certificate)
    assert found.expected == "valid for 90 more days"


def test_a_postfix_that_does_not_run_is_a_fault(place: Gatepost) -> None:
    assert "master(8)" in {one.looked_at for one in faulty(place, CHECKS["postfix"])}
