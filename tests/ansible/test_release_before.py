"""From the release that had no spool, and back: each message that was accepted is in the journal, once."""

from __future__ import annotations

import collections
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ansible import releases
from tests.ansible.certificates import Authority
from tests.ansible.hosts import Host, PrivateNetwork
from tests.ansible.load import Load, Submission
from tests.ansible.play import Control
from tests.released import unpack_before

RELEASE = "bookworm"
EVENTS = "gatepost-events.service"
DOMAIN = "shop.test"
# docs/deploy/upgrade.md, "By hand".
BY_HAND = "## By hand"


def only_before(folder: Path) -> None:
    """Have in a folder the tree of the release before, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    unpack_before(folder)


@dataclass(slots=True)
class Upgraded:
    """A gateway that the release before was installed on, with both releases' wheels."""

    host: Host
    control: Control
    submission: Submission
    before: Path
    after: Path

    @contextmanager
    def load(self) -> Iterator[Load]:
        """Mail while the block runs; afterwards each that was accepted is in the journal once."""
        load = Load(self.submission, f"load@{DOMAIN}")
        with load.running(seconds=900):
            load.wait_accepted(20)
            yield load
            load.wait_accepted(20)
        assert load.violations == []
        self.assert_recorded(load)

    def assert_recorded(self, load: Load) -> None:
        listed = self.host.run("gatepost message list --limit 100000 --json").out
        subjects = collections.Counter(one["subject"] for one in json.loads(listed))
        assert {subjects[f"load {token}"] for token in load.accepted} == {1}

    def schemas(self) -> set[str]:
        return {
            one["state"] for one in json.loads(self.host.run("gatepost store status --json").out).values()
        }


@pytest.fixture(scope="module")
def upgraded(network: PrivateNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    folder, authority = tmp_path_factory.mktemp("before"), Authority()
    before = releases.make(folder, "0.1.0", [RELEASE], only_before)
    after = releases.make(folder, "0.2.0", [RELEASE])
    only_before(folder / "tree")
    host = network.host("older", RELEASE).wait_running()
    control, old = (Control(folder / name, {"gatepost_gateways": [host]}) for name in ("new", "old"))
    collection = old.folder / "collections/ansible_collections/gatepost/gatepost"
    collection.unlink()
    collection.symlink_to(folder / "tree" / "ansible")
    key, certificate = authority.issue(host.full_name)
    (folder / "key").write_text(key)
    (folder / "certificate").write_text(certificate)
    variables = {
        "gateway_private_users": False, "gateway_doctor": False, "gateway_accounts": ["shop"],
        "gateway_domains": [{"name": DOMAIN, "account": "shop"}], "postfix_hostname": host.full_name,
        "postfix_tls_mode": "files", "postfix_tls_key_file": str(folder / "key"),
        "postfix_tls_cert_file": str(folder / "certificate"),
    }  # fmt: skip
    old.variables("gatepost_gateways", {**variables, "gateway_wheelhouse": str(before)})
    control.variables("gatepost_gateways", {**variables, "gateway_wheelhouse": str(after)})
    try:
        old.play("site").passed()
        made = json.loads(host.run("gatepost credential add --account shop --label load --json").out)
        submission = Submission(
            host.address, made["username"], made["password"], authority.pem, host.full_name
        )
        yield Upgraded(host, control, submission, before, after)
    finally:
        control.close()
        old.close()


def test_an_upgrade_under_load_brings_the_spool_and_loses_no_record(upgraded: Upgraded) -> None:
    """The last message of the one release and the first of the other are in the same list."""
    with upgraded.load():
        upgraded.control.play("upgrade").passed()
    assert upgraded.host.run("gatepost --version").out.split()[-1] == "0.2.0"
    assert upgraded.host.run(f"systemctl is-active {EVENTS}").out.strip() == "active"
    assert upgraded.schemas() == {"current"}


def test_the_way_back_drains_the_spool_and_takes_off_what_the_older_release_does_not_have(
    upgraded: Upgraded,
) -> None:
    with upgraded.load():
        upgraded.control.play("rollback").passed()
    assert upgraded.host.run("gatepost --version").out.split()[-1] == "0.1.0"
    assert upgraded.host.run(f"systemctl cat {EVENTS}", check=False).status != 0
    assert upgraded.schemas() == {"current"}
    upgraded.host.wait_running()


def test_the_commands_of_the_page_upgrade_by_hand(upgraded: Upgraded) -> None:
    page = (releases.ROOT / "docs/deploy/upgrade.md").read_text(encoding="utf-8").partition(BY_HAND)[2]
    lines = [line.strip() for line in page.splitlines() if line.startswith("    ")]
    script = "\n".join(line for line in lines if line != "gatepost doctor").replace("NEW", "0.2.0")
    # The hosts are containers without user namespaces, where docs/systemd.md has this set; the role did it,
    # and took it away with daemons that the release before has not.
    folder = "/etc/systemd/system/gatepost-$daemon.service.d"
    setting = r"[Service]\nPrivateUsers=no\n"
    written = f"mkdir -p {folder} && printf '{setting}' >{folder}/container.conf"
    upgraded.host.run(f"for daemon in bounces tracker; do {written}; done")
    with upgraded.load():
        upgraded.host.run(f"set -e\n{script}")
    assert upgraded.host.run("gatepost --version").out.split()[-1] == "0.2.0"
    assert upgraded.schemas() == {"current"}
    upgraded.host.wait_running()
