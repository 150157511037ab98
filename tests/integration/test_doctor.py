"""``gatepost doctor`` against a whole gateway: nothing to mend where nothing is, each fault at its hop.

Every fault is made for real, in a private Postfix, the daemons, the store or a name server, and undone again.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from gatepost_cli.checks.probemail import LABEL
from gatepost_core.domain import Mode
from gatepost_core.keys import keyring
from gatepost_core.store import messages, schema
from gatepost_core.store.sqlite.engine import open_engine
from gatepost_stack.instance import HOST
from gatepost_stack.stack import HOSTNAME, Stack
from tests.cli.nameserver import nameserver
from tests.integration.doctored import Doctor, reconfigured, wait_until_served, zones
from tests.integration.harness import Gateway, write_main_cf
from tests.sasl import pki


@pytest.fixture(scope="module")
def doctor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doctor]:
    """A gateway of its own, which is tampered with, and a name server that has all that it should."""
    folder = tmp_path_factory.mktemp("doctor")
    # Short time-outs: a hop that does not answer is waited for once in each check.
    tables = {"doctor": {"timeout": 5.0}}
    with (
        Stack(folder / "stack", tables=tables) as stack,
        nameserver(folder / "dns", zones(stack)) as resolver,
    ):
        yield Doctor(Gateway(stack), resolver)


def test_nothing_is_found_where_nothing_is_wrong(doctor: Doctor) -> None:
    before = doctor.credentials()
    result = doctor()
    assert [one for one in result["findings"] if one["status"] == "fault"] == []
    assert result["first_fault"] is None
    # A test's authority is nobody's, its Postfix listens on loopback, and its clock may be kept from outside.
    notes = {one["check"] for one in result["findings"] if one["status"] == "note"}
    assert notes <= {"clock", "ports", "postfix-shared"}
    assert {one["check"] for one in result["findings"]} == set(result["checks"])
    hops = [one["looked_at"].split(",")[0] for one in result["findings"] if one["check"] == "probe"]
    assert hops == [
        "connect",
        "TLS",
        "credential",
        "AUTH",
        "MAIL",
        "RCPT",
        "DATA",
        "end of message",
        "record",
        "features",
    ]
    assert doctor.credentials() == before


def test_the_probe_is_recorded_signed_and_never_delivered(doctor: Doctor) -> None:
    assert doctor("--only", "probe")["faults"] == 0
    (newest,) = doctor.gateway.records("", limit=1)
    assert newest.mode is Mode.SANDBOX
    assert set(newest.applied) == {"dkim", "inlinecss", "tags"}
    assert newest.recipients == ("probe@gatepost-doctor.invalid",)
    queue = subprocess.run(
        ["/usr/sbin/postqueue", "-c", str(doctor.gateway.stack.layout.postfix), "-j"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert newest.queue_id not in queue.stdout
    assert not any("doctor" in item.sender for item in doctor.gateway.all_delivered())


def test_a_credential_that_a_killed_run_left_goes_with_the_next(doctor: Doctor) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    left = doctor.gateway.stack.provision.credential(label=LABEL, expires_at=past, mode=Mode.SANDBOX)
    others = doctor.gateway.stack.provision.credential(label=LABEL, expires_at=past)  # a live one is none
    doctor("--only", "probe")
    names = {one["username"] for one in doctor.credentials()}
    doctor.gateway.stack.provision.remove(others.username)
    assert left.username not in names
    assert others.username in names


def test_a_gateway_without_a_sender_domain_passes_its_probe(tmp_path: Path) -> None:
    """As after a first play that registered none: the gateway's own names may not be used for it."""
    with Stack(tmp_path / "stack") as stack:
        command = [sys.executable, "-m", "gatepost_cli", "--config", str(stack.layout.settings_file)]
        subprocess.run(
            [*command, "domain", "remove", "example.test", "--yes"], check=True, capture_output=True
        )
        assert Doctor(Gateway(stack), "127.0.0.1:1").faults("--only", "probe") == []


def test_a_store_without_any_account_gets_one_for_the_probe_only(doctor: Doctor, tmp_path: Path) -> None:
    stack = doctor.gateway.stack
    # Elsewhere than the daemons': the login fails, and the account is gone all the same.
    overrides = (f"store.url=sqlite:///{tmp_path}/directory.db",)
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(stack.layout.settings_file)]
    command += ["--set", overrides[0]]
    subprocess.run([*command, "store", "upgrade"], check=True, capture_output=True)
    (found,) = doctor.faults("--only", "probe", overrides=overrides)
    assert found["looked_at"].startswith("AUTH, ")
    assert found["found"].startswith("refused: 535")
    done = subprocess.run([*command, "account", "list", "--json"], check=True, capture_output=True)
    assert json.loads(done.stdout) == []


# An smtpd that has just been started asks sasl for its mechanisms before it answers EHLO.
@pytest.mark.parametrize(
    ("daemon", "hops"), [("sasl", {"TLS", "AUTH"}), ("policy", {"RCPT"}), ("milter", {"connect"})]
)
def test_a_daemon_that_is_stopped_is_named_by_its_socket_and_by_the_probe(
    doctor: Doctor, daemon: str, hops: set[str]
) -> None:
    supervisor = doctor.gateway.stack.supervisor
    starts = supervisor.starts(daemon)
    supervisor.hold(daemon)
    try:
        overrides = ("doctor.timeout=5",)
        found = doctor.faults("--only", f"{daemon}-socket", "--only", "probe", overrides=overrides)
    finally:
        supervisor.release(daemon)
        supervisor.wait_ready(daemon, starts + 1)
    assert found[0]["check"] == f"{daemon}-socket"
    assert f"gatepost-{daemon}" in found[0]["advice"]
    (at_probe,) = [one for one in found if one["check"] == "probe"]
    assert at_probe["looked_at"].split(",")[0] in hops
    # Postfix waits for its milter before it says anything.
    assert f"{daemon}-socket" in at_probe["advice"]
    wait_until_served(doctor)


def test_a_probe_whose_record_the_store_does_not_take_says_so(doctor: Doctor) -> None:
    """The message passed all of the gateway; nothing but its record is missing, and that is not lost."""
    supervisor = doctor.gateway.stack.supervisor
    starts = supervisor.starts("events")
    supervisor.hold("events")
    try:
        down, found = doctor.faults(
            "--only", "events-socket", "--only", "probe", overrides=("doctor.timeout=5",)
        )
    finally:
        supervisor.release("events")
        supervisor.wait_ready("events", starts + 1)
    assert down["check"] == "events-socket"
    assert "gatepost-events" in down["expected"]
    assert found["looked_at"].startswith("record")
    assert "was accepted, and the store is behind the spool by" in found["found"]
    assert "see whether gatepost-events runs" in found["found"]
    assert "gatepost-events" in found["advice"]
    assert doctor.faults("--only", "probe") == []


def test_a_milter_that_postfix_does_not_ask_is_found_by_the_missing_record(doctor: Doctor) -> None:
    with reconfigured(doctor, {"smtpd_milters": ""}):
        found = doctor.faults("--only", "probe", "--only", "postfix-main-cf")
    assert [one["looked_at"].split(",")[0] for one in found] == ["main.cf", "record"]
    assert found[0]["looked_at"] == "main.cf, smtpd_milters"
    assert "postsuper -d" in found[1]["found"]


def test_a_password_key_that_the_daemons_do_not_have_is_found_at_auth(doctor: Doctor) -> None:
    added = keyring.add(doctor.gateway.stack.settings.keys.directory, "password")
    try:
        found = doctor.probe()
    finally:
        added.unlink()
    assert found["looked_at"].startswith("AUTH, ")
    assert found["found"].startswith("refused: 454")


def test_a_hand_made_restriction_is_found_at_rcpt(doctor: Doctor) -> None:
    with reconfigured(doctor, {"smtpd_recipient_restrictions": "reject"}):
        found = doctor.probe()
    assert found["looked_at"].startswith("RCPT, ")
    assert "554" in found["found"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> pki.Authority:
    return pki.make(tmp_path_factory.mktemp("pki") / "own", HOSTNAME)


def test_a_port_that_presents_an_expired_certificate_is_a_fault_of_each_port(
    doctor: Doctor, authority: pki.Authority
) -> None:
    file = str(authority.folder / "expired.pem")
    (authority.folder / "expired.key").chmod(0o600)
    own = {"smtpd_tls_cert_file": file, "smtpd_tls_key_file": str(authority.folder / "expired.key")}
    overrides = (f"postfix.tls_certificate_file={file}", f"postfix.tls_key_file={own['smtpd_tls_key_file']}")
    with reconfigured(doctor, own):
        found = doctor.faults("--only", "ports", "--only", "tls-certificate", overrides=overrides)
    ports = [one for one in found if one["check"] == "ports" and "expired on" in one["found"]]
    assert len(ports) == 3
    chains = [one["found"] for one in found if one["looked_at"].endswith(", chain")]
    assert chains == ["certificate has expired"] * 3
    (of_file,) = [one for one in found if one["check"] == "tls-certificate"]
    assert "expired on" in of_file["found"]


def test_a_certificate_that_postfix_has_not_read_again_is_a_fault(
    doctor: Doctor, authority: pki.Authority
) -> None:
    override = f"postfix.tls_certificate_file={authority.folder}/server.pem"
    found = doctor.faults("--only", "ports", overrides=(override,))
    others = [one for one in found if one["found"] == "another one than in the file"]
    assert len(others) == 3
    assert all("postfix reload" in one["advice"] for one in others)


def test_auth_on_offer_before_tls_is_a_fault(doctor: Doctor) -> None:
    with reconfigured(doctor, {"smtpd_tls_auth_only": "no"}):
        found = doctor.faults("--only", "ports")
    assert {one["found"] for one in found} == {"AUTH on offer before STARTTLS"}
    assert len(found) == 1  # the other STARTTLS port says nothing before it but STARTTLS


def test_a_port_that_does_not_speak_is_a_fault(doctor: Doctor) -> None:
    place = doctor.gateway.stack.layout.postfix
    with socket.create_server((HOST, 0)) as silent:
        file = place / "master.cf"
        before = file.read_text()
        own, other = f"{HOST}:{doctor.gateway.port('submission')}", f"{HOST}:{silent.getsockname()[1]}"
        file.write_text(before.replace(own, other))
        try:
            found = doctor.faults("--only", "ports", "--only", "probe", overrides=("doctor.timeout=0.5",))
        finally:
            file.write_text(before)
    assert [one["check"] for one in found] == ["ports", "probe"]
    assert "waiting for the greeting, nothing came in time" in found[0]["found"]


def test_a_postfix_that_is_stopped_is_a_fault_of_postfix_ports_and_probe(doctor: Doctor) -> None:
    stack = doctor.gateway.stack
    stack.postfix.stop()
    try:
        found = doctor.faults("--only", "postfix", "--only", "ports", "--only", "probe")
    finally:
        stack.postfix.start()
    assert [one["check"] for one in found] == ["postfix", "ports", "ports", "ports", "probe"]
    assert found[0]["looked_at"] == "master(8)"
    assert "refused" in found[1]["found"].lower()
    assert found[-1]["looked_at"].startswith("connect, ")


def test_a_dns_record_that_is_missing_or_wrong_is_named(doctor: Doctor, tmp_path: Path) -> None:
    own = zones(doctor.gateway.stack)["example.test"]
    wrong = [line for line in own if " MX " not in line and "_dmarc" not in line]
    wrong = [line.replace("click.example.test.", "other.example.test.") for line in wrong]
    with nameserver(tmp_path / "dns", {"example.test": wrong}) as resolver:
        found = replace(doctor, resolver=resolver).faults("--only", "dns")
    assert sorted(one["looked_at"].rpartition(" at ")[2] for one in found) == [
        "_dmarc.example.test",
        "bounces.example.test",
        "click.example.test",
    ]
    (mx,) = [one for one in found if "bounces" in one["looked_at"]]
    assert (mx["found"], mx["expected"]) == ("missing", f"10 {HOSTNAME}")
    (finding,) = replace(doctor, resolver="127.0.0.1:1").faults(
        "--only", "dns", overrides=("doctor.timeout=0.5",)
    )
    assert "127.0.0.1:1" in finding["found"]


@pytest.mark.parametrize(
    ("record", "found"), [(None, "missing"), ("25 60 IN PTR host-25.provider.test.", "host-25.provider.test")]
)
def test_an_address_whose_name_does_not_lead_back_is_named(
    doctor: Doctor, tmp_path: Path, record: str | None, found: str
) -> None:
    served = {**zones(doctor.gateway.stack), "2.0.192.in-addr.arpa": [record] if record else []}
    with nameserver(tmp_path / "dns", served) as resolver:
        (fault,) = replace(doctor, resolver=resolver).faults("--only", "outgoing")
    assert (fault["looked_at"], fault["found"], fault["expected"]) == ("PTR of 192.0.2.25", found, HOSTNAME)


def test_port_25_is_tried_outwards_where_a_domain_is_named(doctor: Doctor, tmp_path: Path) -> None:
    served = {**zones(doctor.gateway.stack), "outside.test": ["@ 60 IN MX 10 mx", "mx 60 IN A 127.0.0.77"]}
    asked = ("doctor.outgoing=outside.test",)
    with nameserver(tmp_path / "dns", served) as resolver:
        outside = replace(doctor, resolver=resolver)
        (closed,) = outside.faults("--only", "outgoing", overrides=asked)
        assert closed["found"] == "mx.outside.test[127.0.0.77]: Connection refused"
        with answering_on(("127.0.0.77", 25), b"220 mx.outside.test ESMTP\r\n"):
            result = outside("--only", "outgoing", overrides=asked)
    assert "mx.outside.test answers" in [one["found"] for one in result["findings"]]


@contextmanager
def answering_on(address: tuple[str, int], greeting: bytes) -> Iterator[None]:
    """Greet one client, and wait until it hangs up."""
    with socket.create_server(address) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)
                connection.recv(64)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(30)


def test_a_disk_without_room_is_a_fault(doctor: Doctor) -> None:
    (found,) = doctor.faults("--only", "disk", overrides=("doctor.disk_free=1000000000000000000",))
    assert "MB free" in found["found"]
    assert found["expected"] == "1,000,000,000,000 MB free"


def test_a_clock_that_went_back_is_a_fault(doctor: Doctor) -> None:
    settings = doctor.gateway.stack.settings
    doctor.gateway.caught_up()
    engine = open_engine(settings.store.journal)
    with engine.begin() as connection:
        newest = messages.recent(connection, limit=1)[0]
        ahead = replace(newest, id="zzzzzzzzzzzzzzzzzzzzz", created_at=datetime.now(UTC) + timedelta(days=1))
        connection.execute(
            insert(schema.messages).values(
                {name: getattr(ahead, name) for name in schema.messages.c.keys() if hasattr(ahead, name)}  # noqa: SIM118
            )
        )
    try:
        (found,) = doctor.faults("--only", "clock")
    finally:
        with engine.begin() as connection:
            connection.execute(schema.messages.delete().where(schema.messages.c.id == ahead.id))
        engine.dispose()
    assert "does not go back" in found["expected"]


def test_a_key_that_a_password_names_and_is_gone_is_a_fault(doctor: Doctor) -> None:
    stack = doctor.gateway.stack
    directory = stack.settings.keys.directory
    stack.provision.credential()
    first = directory / "password-a.key"
    moved = first.rename(directory / "password-b.key")
    seal = directory / "seal-a.key"
    kept = seal.read_bytes()
    seal.unlink()
    keyring.create_missing(directory)
    try:
        found = doctor.faults("--only", "keys")
    finally:
        moved.rename(first)
        seal.write_bytes(kept)
    assert found[0]["looked_at"] == str(first)
    assert "backup" in found[0]["advice"]
    assert [one["looked_at"].split(" ")[0:2] for one in found[1:]] == [["DKIM", "key"]] * 2


def test_postfix_s_own_complaints_and_misspelt_parameters_are_told(doctor: Doctor) -> None:
    before = (doctor.gateway.stack.layout.postfix / "main.cf").read_text()
    write_main_cf(
        doctor.gateway.stack, before + "mail_name = One\nsmtpd_tls_auth_onyl = yes\nmail_name = Two\n"
    )
    try:
        result = doctor("--only", "postfix")
    finally:
        write_main_cf(doctor.gateway.stack, before)
    twice = [one["found"] for one in result["findings"] if one["status"] == "fault"]
    assert len(twice) == 1
    assert "overriding earlier entry: mail_name=One: with maillog_file, Postfix may stop" in twice[0]
    assert any("smtpd_tls_auth_onyl" in one["found"] for one in result["findings"] if one["status"] == "note")
    elsewhere = doctor.faults(
        "--only", "postfix", overrides=("postfix.queue_directory=/var/spool/elsewhere",)
    )
    assert elsewhere[0]["looked_at"] == "queue_directory"


def test_a_client_may_still_send_after_all_of_this(doctor: Doctor) -> None:
    login = doctor.gateway.stack.provision.credential()
    with doctor.gateway.logged_in(login) as connection:
        assert connection.noop()[0] == 250
