"""A backup put back onto a fresh host of the other release: the same logins, DKIM keys and records."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dkim
import pytest

from tests.ansible.conftest import only
from tests.ansible.hosts import Host
from tests.ansible.load import Submission
from tests.ansible.play import Control
from tests.ansible.receiving import DOMAIN
from tests.ansible.world import ACCOUNT, PLANS, SENDER_DOMAIN, World, trust

pytestmark = only(PLANS[1])


@dataclass(slots=True)
class Restored:
    """The fresh host after restore.yml, the archive, and a login that the old host had."""

    host: Host
    archive: Path
    submission: Submission


@pytest.fixture(scope="module")
def restored(deployment: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    made = deployment.gatepost(f"credential add --account {ACCOUNT} --label kept --feature dkim")
    folder = tmp_path_factory.mktemp("backups")
    place = {"gateway_backup_directory": str(folder), "gateway_backup_name": "kept.tar.gz"}
    deployment.control.play("backup", extra=place).passed()
    archive = folder / "gateway" / "kept.tar.gz"
    resolver = [deployment.receiver.host.address]
    host = deployment.network.host("second", "bookworm", dns=resolver)
    trust(host.wait_running(), deployment.authority)
    control = Control(tmp_path_factory.mktemp("control-second"), {"gatepost_gateways": [host]})
    # The certificate that it makes for itself gives way to the old host's.
    own = {"gateway_domains": [], "postfix_tls_mode": "selfsigned"}
    control.variables("gatepost_gateways", deployment.gateway_variables(**own))
    submission = Submission(
        host.address,
        made["username"],
        made["password"],
        deployment.authority.pem,
        deployment.gateway.full_name,
    )
    try:
        control.play("site", extra={"gateway_doctor": False}).passed()
        control.play("restore", extra={"gateway_restore_file": str(archive)}).passed()
        yield Restored(host, archive, submission)
    finally:
        control.close()
        host.remove()


def test_the_archive_is_readable_by_its_owner_alone(restored: Restored) -> None:
    assert restored.archive.stat().st_mode & 0o777 == 0o600


def test_an_old_login_works_and_mail_is_signed_with_the_old_keys(
    deployment: World, restored: Restored
) -> None:
    word = f"restored-{secrets.token_hex(8)}"
    sender = f"news@{SENDER_DOMAIN}"
    message = f"From: {sender}\r\nTo: joe@{DOMAIN}\r\nSubject: {word}\r\n\r\nhi\r\n"
    with restored.submission.session() as session:
        session.sendmail(sender, [f"joe@{DOMAIN}"], message.encode())
    arrived = deployment.receiver.arrived(word)
    assert dkim.verify(arrived.sent, dnsfunc=deployment.receiver.lookup)


def test_accounts_credentials_and_domains_are_those_of_the_old_host(
    deployment: World, restored: Restored
) -> None:
    for noun in ("account", "domain"):
        command = f"gatepost {noun} list --json"
        assert restored.host.run(command).out == deployment.gateway.run(command).out
    names = 'gatepost credential list --json | grep -o \'"username": "[^"]*"\' | sort'
    assert restored.host.run(names).out == deployment.gateway.run(names).out
