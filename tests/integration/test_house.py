"""README's "Beside your own Postfix", step by step, on a mail server made by hand: its mail notices nothing.

Mailboxes, forwards by postsrsd, opendkim's signatures, a content filter and the server's own refusals are
compared byte for byte before, after the steps, and after the way back. Mail keeps coming in all the while.
"""

from __future__ import annotations

import json
import os
import pty
import re
import smtplib
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from functools import partial
from pathlib import Path

import pytest

from gatepost_stack import certificate
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import free_ports
from tests.ansible_modules.running import collection_in, run_module
from tests.core.running import PATIENCE
from tests.integration.harness import SENDER, Gateway
from tests.integration.house import FORWARD, LOCAL, OUTSIDE, VIRTUAL, House, house, letter

ROOT = Path(__file__).parents[2]


@dataclass
class ByHand:
    """The house, Gatepost's daemons beside it, and the settings that somebody wrote for both."""

    house: House
    gateway: Gateway
    config: Path
    ports: tuple[int, int]
    kept: Path
    before: tuple[str, str]
    flows: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def shell(self, script: str, answers: str = "") -> subprocess.CompletedProcess[str]:
        """Run a shell script at a terminal on which somebody types ``answers``."""
        command = f'{sys.executable} -m gatepost_cli --config {self.config} "$@"'
        keep = f'case "$*" in *--apply* | *--undo*) set -- "$@" --keep {self.kept} ;; esac'
        script = f'postfix() {{ /usr/sbin/postfix -c {self.house.places.postfix} "$@"; }}\n{script}'
        script = f"gatepost() {{ {keep}; {command}; }}\n{script}"
        terminal, theirs = pty.openpty()
        try:
            os.write(terminal, answers.encode())
            return subprocess.run(
                ["/bin/sh", "-c", script],
                stdin=theirs,
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        finally:
            os.close(theirs)
            os.close(terminal)

    @contextmanager
    def logged_in(self, login: ClientLogin) -> Iterator[smtplib.SMTP]:
        context = ssl.create_default_context(cafile=self.config.parent / "tls" / "ca.pem")
        with smtplib.SMTP(HOST, self.ports[0], local_hostname="client.test", timeout=30) as connection:
            connection._host = "mail.example.test"  # type: ignore[attr-defined]
            connection.starttls(context=context)
            connection.login(login.username, login.password)
            yield connection

    @property
    def reloads(self) -> int:
        """How often Postfix has read its files anew."""
        log = (self.house.places.logs / "postfix.log").read_text(errors="replace")
        return log.count(": reload -- version")

    @property
    def waiting(self) -> str:
        """What is in the queue, once what was just taken in has had its time to be delivered.

        What was being delivered at a reload is looked at again when qmgr(8) is woken, which is here. A reload
        ends qmgr(8) too, and postkick(1) may meet its FIFO with no reader (SIGPIPE): it is woken again then.
        """
        where = ["-c", str(self.house.places.postfix)]
        deadline = time.monotonic() + PATIENCE
        while left := subprocess.check_output(["/usr/sbin/postqueue", *where, "-j"], text=True):
            if time.monotonic() > deadline:
                break
            subprocess.run(["/usr/sbin/postkick", *where, "public", "qmgr", "I"], check=False)
            time.sleep(0.1)
        return left


@pytest.fixture(scope="module")
def by_hand(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    folder = tmp_path_factory.mktemp("by-hand")
    tls = folder / "tls"
    tls.mkdir()
    certificate.make(tls, "mail.example.test")
    with house(folder / "var", gateway.stack) as running:
        ports = free_ports()[:2]
        text = gateway.stack.layout.settings_file.read_text()
        own = [
            "[postfix]", f'config_directory = "{running.places.postfix}"', f"ports = {list(ports)}",
            f'queue_directory = "{running.places.queue}"', 'hostname = "mail.example.test"',
            f'tls_certificate_file = "{tls}/server.pem"', f'tls_key_file = "{tls}/server.key"',
        ]  # fmt: skip
        text = re.sub(r"(?ms)^\[postfix\]\n.*?(?=^\[|\Z)", "\n".join(own) + "\n\n", text)
        config = folder / "gatepost.toml"
        config.write_text(text)
        yield ByHand(running, gateway, config, (ports[0], ports[1]), folder / "kept", running.files)


def steps() -> tuple[list[str], list[str]]:
    """README's commands: those up to the setting, and the way back."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Beside your own Postfix")[2]
    block = text.partition("```sh\n")[2].partition("```")[0]
    there, back = block.split("gatepost doctor", 1)
    return [there], [back.partition("\n")[2]]


@contextmanager
def mail_coming_in(house: House) -> Iterator[list[bytes]]:
    """Have mail come in for a mailbox all the while, each after the other is there; yields their words."""
    words: list[bytes] = []
    faults: list[Exception] = []
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            word, message = letter("erin@example.net")
            try:
                house.by_port(LOCAL, message)
                house.wait_for(house.local(), word)
            except (OSError, smtplib.SMTPException, AssertionError) as fault:
                faults.append(fault)
                return
            words.append(word)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield words
    finally:
        over.set()
        sender.join()
    assert faults == []


def test_before_the_server_does_what_it_was_made_for(by_hand: ByHand) -> None:
    found = by_hand.flows = by_hand.house.flows()
    assert b"X-House-Filter: seen" in found["local"]
    assert b"X-House-Filter: seen" in found["virtual"]
    assert found["forwarded"].startswith(b"SRS0=HASH=example.net=dave@house.example.test ")
    assert b"DKIM-Signature" in found["own program"]
    assert b"SRS0=HASH=" in found["own program"]
    assert found["unknown"].startswith(b"550 5.1.1")
    assert b"Relay access denied" in found["relay"]


def test_readme_s_steps_set_it_while_mail_comes_in(by_hand: ByHand) -> None:
    ((script,), _) = steps()
    place = by_hand.config.parent / "readme"
    with mail_coming_in(by_hand.house) as words:
        done = by_hand.shell(f"set -e\n{script.replace('/etc/gatepost', str(place))}", "y\n")
    assert done.returncode == 0, done.stderr
    assert (place / "tls" / "fullchain.pem").exists()
    assert "+enable_long_queue_ids = yes" in done.stdout
    assert "Postfix has read them" in done.stdout
    assert words


def test_all_its_own_mail_flows_as_before(by_hand: ByHand) -> None:
    assert by_hand.house.flows() == by_hand.flows


def test_customers_send_and_the_house_changes_nothing_of_it(by_hand: ByHand) -> None:
    login = by_hand.gateway.stack.provision.credential({"dkim": True})
    own = {f"s={key.selector}" for key in by_hand.gateway.stack.provision.domain().keys}
    word, message = letter(SENDER)
    with by_hand.logged_in(login) as connection:
        connection.sendmail(SENDER, [OUTSIDE], message)
    item = by_hand.house.wait_in_sink(word)
    assert item.sender == SENDER
    got = message_from_bytes(item.message)
    assert got["X-House-Filter"] is None
    signatures = [str(one) for one in got.get_all("DKIM-Signature", [])]
    assert {
        tag.strip() for one in signatures for tag in one.split(";") if tag.strip().startswith("s=")
    } == own


def test_customers_write_to_mailboxes_of_the_house(by_hand: ByHand) -> None:
    login = by_hand.gateway.stack.provision.credential()
    for recipient, maildir in ((LOCAL, by_hand.house.local()), (VIRTUAL, by_hand.house.virtual())):
        word, message = letter(SENDER)
        with by_hand.logged_in(login) as connection:
            connection.sendmail(SENDER, [recipient], message)
        assert b"X-House-Filter" not in by_hand.house.wait_for(maildir, word)
    word, message = letter(SENDER)
    with by_hand.logged_in(login) as connection:
        connection.sendmail(SENDER, [FORWARD], message)
        assert connection.docmd("MAIL", f"FROM:<{SENDER}>")[0] == 250
        assert connection.docmd("RCPT", "TO:<bob>")[0] == 504
    assert by_hand.house.wait_in_sink(word).recipients == (OUTSIDE,)


def test_doctor_names_what_is_shared_and_finds_no_fault_of_postfix(by_hand: ByHand) -> None:
    only = " ".join(
        f"--only {one}" for one in ("postfix-main-cf", "postfix-master-cf", "postfix-shared", "ports")
    )
    done = by_hand.shell(f"gatepost doctor {only}")
    assert done.returncode == 0, done.stdout
    assert "recipient_canonical_maps" in done.stdout


def test_a_house_that_delivers_to_itself_only_is_warned_and_its_mail_stays_as_it_is(by_hand: ByHand) -> None:
    main = by_hand.house.places.postfix / "main.cf"
    there = main.read_text()
    main.write_text(re.sub(r"(?m)^default_transport = .*$", "default_transport = error:local only", there))
    try:
        done = by_hand.shell("gatepost postfix-settings --apply --yes && postfix reload")
        assert "submitted mail for other hosts comes back" in done.stderr
        assert by_hand.shell("gatepost doctor --only postfix-shared").returncode == 5
        now = by_hand.house.received()
        assert now == {name: by_hand.flows[name] for name in now}
    finally:
        main.write_text(there)
        by_hand.shell("postfix reload")


def test_the_way_back_is_to_the_byte_while_mail_comes_in(by_hand: ByHand) -> None:
    (_, (script,)) = steps()
    reloads = by_hand.reloads
    with mail_coming_in(by_hand.house) as words:
        done = by_hand.shell(f"set -e\n{script}", "y\n")
    assert done.returncode == 0, done.stderr
    # Twice: the first renames queue files, and qmgr(8) loses sight of one that it has just begun with.
    assert by_hand.reloads == reloads + 2
    assert by_hand.house.files == by_hand.before
    assert words
    assert by_hand.waiting == ""


def test_after_it_all_its_own_mail_flows_as_before(by_hand: ByHand) -> None:
    assert by_hand.house.flows() == by_hand.flows
    with pytest.raises(ConnectionRefusedError):
        smtplib.SMTP(HOST, by_hand.ports[0], timeout=30)


def test_the_role_s_module_does_the_same_and_goes_the_same_way_back(by_hand: ByHand, tmp_path: Path) -> None:
    wanted = json.loads(by_hand.shell("gatepost postfix-settings --json").stdout)
    module = partial(
        run_module,
        collection_in(tmp_path / "collections"),
        "gatepost_postconf",
        config_directory=str(by_hand.house.places.postfix),
        state_file=str(tmp_path / "postfix.json"),
    )
    with mail_coming_in(by_hand.house):
        done = module(settings=wanted)
        assert done.get("reload"), done
        by_hand.shell("postfix reload")
        assert by_hand.house.flows() == by_hand.flows
        word, message = letter(SENDER)
        with by_hand.logged_in(by_hand.gateway.stack.provision.credential()) as connection:
            connection.sendmail(SENDER, [LOCAL], message)
        assert b"X-House-Filter" not in by_hand.house.wait_for(by_hand.house.local(), word)
        assert not module(settings=wanted)["changed"]
        assert module(state="absent")["reload"]
        # As the role does: queue files are renamed at the first.
        by_hand.shell(f"postfix reload; postsuper -c {by_hand.house.places.postfix}; postfix reload")
    assert by_hand.house.files == by_hand.before
    assert by_hand.house.flows() == by_hand.flows
    assert by_hand.waiting == ""
