"""The recipes for Exim, nullmailer and msmtp as a host's sendmail: a login that is refused loses no mail."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatepost_stack.provision import DOMAIN, ClientLogin
from gatepost_stack.stack import HOSTNAME
from tests.integration.harness import SENDER, Gateway, fresh_recipient
from tests.integration.otherhost import OtherHost
from tests.integration.test_docs_clients import recipes

CRON = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web1> backup\n\nno space left\n"
# Exim takes this gateway for itself, since it is on the same host.
HERE = """\
/^smarthost:/a\\  self = send
/^remote_smtp_smarthost:/,/driver = smtp/ s/driver = smtp/&\\n  allow_localhost/
"""


def filled(text: str, gateway: Gateway, login: ClientLogin) -> str:
    """Return a recipe with this gateway's name, port and a login in it."""
    for written, here in (
        ("mail.example.org", HOSTNAME),
        ("587", str(gateway.port("submission"))),
        ("USER", login.username),
        ("PASSWORD", login.password),
    ):
        text = text.replace(written, here)
    return text


@contextmanager
def host(gateway: Gateway, folder: Path, package: str) -> Iterator[OtherHost]:
    """A host with a mail program, which trusts the gateway's authority."""
    folder.mkdir()
    with OtherHost(folder) as made:
        made.install(package)
        made.run("cat >>/etc/ssl/certs/ca-certificates.crt", Path(gateway.ca_file).read_text())
        made.run(f"echo 127.0.0.1 {HOSTNAME} >>/etc/hosts")
        yield made


def send(machine: OtherHost, recipient: str, options: str = "") -> None:
    machine.run(f"sendmail {options} -i -f {SENDER} {recipient}", f"From: {SENDER}\nSubject: x\n\nhi\n")


def test_exim_keeps_what_is_refused_at_login_and_sends_it_when_that_is_mended(
    gateway: Gateway, login: ClientLogin, tmp_path: Path
) -> None:
    (steps,) = recipes("Exim")
    with host(gateway, tmp_path / "exim", "exim4-daemon-light") as exim:
        exim.run("cat >/run/here.sed; sed -i -f /run/here.sed /etc/exim4/exim4.conf.template", HERE)
        wrong = ClientLogin(login.username, "wrong")
        exim.run(filled(steps, gateway, wrong).replace("systemctl restart exim4", ":"))
        recipient = fresh_recipient()
        send(exim, recipient, "-odi")
        queue = exim.run("exim4 -bp")
        assert recipient in queue
        assert "frozen" not in queue
        assert exim.run("exim4 -bpc").strip() == "1", "no bounce beside it"
        exim.run(f"sed -i s/:wrong$/:{login.password}/ /etc/exim4/passwd.client; exim4 -qff")
        assert gateway.delivered(recipient).sender == SENDER
        assert exim.run("exim4 -bpc").strip() == "0"


def test_nullmailer_keeps_what_is_refused_at_login_in_a_folder_from_which_it_is_sent_again(
    gateway: Gateway, login: ClientLogin, tmp_path: Path
) -> None:
    steps, again = recipes("nullmailer")
    unit = "setpriv --reuid mail --regid mail --clear-groups nullmailer-send"
    run = f"cd /var/spool/nullmailer; {unit} >/run/log 2>&1 &"
    with host(gateway, tmp_path / "nullmailer", "nullmailer") as nullmailer:
        nullmailer.run(
            "test -p /var/spool/nullmailer/trigger || mkfifo -m 0622 /var/spool/nullmailer/trigger"
        )
        nullmailer.run("chown mail:mail /var/spool/nullmailer/trigger; touch /run/log; chmod 666 /run/log")
        restart = f"pkill -x nullmailer-send || true; {run}"
        wrong = ClientLogin(login.username, "wrong")
        nullmailer.run(filled(steps, gateway, wrong).replace("systemctl restart nullmailer", restart))
        recipient = fresh_recipient()
        send(nullmailer, recipient)
        nullmailer.run(
            f"until grep -rqs {recipient} /var/spool/nullmailer/failed; do sleep 0.1; done", seconds=30
        )
        nullmailer.run(f"sed -i 's/--pass=wrong/--pass={login.password}/' /etc/nullmailer/remotes")
        nullmailer.run(again.replace("systemctl restart nullmailer", restart))
        assert gateway.delivered(recipient).sender == SENDER


def test_cron_s_mail_by_msmtp_reaches_somebody_and_a_refused_login_is_an_error(
    gateway: Gateway, tmp_path: Path
) -> None:
    """Cron writes from root to root, in the envelope and in From; neither is an address in the world."""
    held = gateway.stack.provision.credential(senders=(DOMAIN,))
    recipient = fresh_recipient()
    config, aliases = recipes("msmtp")
    (tmp_path / "aliases").write_text(aliases.replace("you@example.org", recipient))
    for login, status in ((held, 0), (ClientLogin(held.username, "wrong"), 77)):
        file = tmp_path / f"config{status}"
        text = filled(config, gateway, login).replace("/etc/aliases", str(tmp_path / "aliases"))
        text = text.replace(HOSTNAME, "127.0.0.1").replace(
            "/etc/ssl/certs/ca-certificates.crt", gateway.ca_file
        )
        file.write_text(text)
        file.chmod(0o600)
        command = ["msmtp", "-C", str(file), "-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"]
        done = subprocess.run(command, input=CRON, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == status, done.stderr
        assert status == 0 or "535 5.7.8" in done.stderr
    assert SENDER.encode() in re.findall(rb"^From: .*", gateway.delivered(recipient).message, re.MULTILINE)[0]
