"""Upgrade and rollback under load, and an upgrade that fails: no mail is lost, no answer worse than 4xx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ansible import releases
from tests.ansible.conftest import only
from tests.ansible.load import Load, Submission
from tests.ansible.test_mail import send_html
from tests.ansible.world import ACCOUNT, PLANS, SENDER_DOMAIN, World

pytestmark = only(PLANS[1])


def break_policy(tree: Path) -> None:
    """Have a release whose policy daemon ends as soon as it starts."""
    main = tree / "policy" / "gatepost_policy" / "main.py"
    main.write_text(main.read_text() + "\n\ndef main() -> None:\n    raise SystemExit('broken on purpose')\n")


@pytest.fixture
def load(deployment: World) -> Iterator[Load]:
    """Mail load by a credential of its own, running while the test does."""
    made = deployment.gatepost(f"credential add --account {ACCOUNT} --label load")
    submission = Submission(
        deployment.gateway.address, made["username"], made["password"], deployment.authority.pem,
        deployment.gateway.full_name,
    )  # fmt: skip
    load = Load(submission, f"load@{SENDER_DOMAIN}")
    with load.running():
        load.wait_accepted(20)
        yield load


def to(version: str, wheelhouse: Path) -> dict[str, str]:
    return {"gateway_wheelhouse": str(wheelhouse), "gateway_version": version}


def assert_nothing_lost(deployment: World, load: Load) -> None:
    load.wait_accepted(20)
    load.stop()
    assert load.violations == []
    deployment.receiver.arrived_all(load.accepted)


def version(deployment: World) -> str:
    return deployment.gateway.run("gatepost --version").out.split()[-1]


def test_an_upgrade_under_load_loses_nothing_and_answers_no_worse_than_4xx(
    deployment: World, load: Load, tmp_path: Path
) -> None:
    wheelhouse = releases.make(tmp_path, "0.2.0", [deployment.plan.gateway])
    deployment.control.play("upgrade", extra=to("0.2.0", wheelhouse)).passed()
    assert_nothing_lost(deployment, load)
    assert version(deployment) == "0.2.0"


def test_rollback_under_load_brings_the_release_before_back(deployment: World, load: Load) -> None:
    deployment.control.play("rollback").passed()
    assert_nothing_lost(deployment, load)
    assert version(deployment) == "0.1.0"
    deployment.gateway.wait_running()


def test_an_upgrade_that_fails_leaves_the_release_until_then_running(
    deployment: World, load: Load, tmp_path: Path
) -> None:
    wheelhouse = releases.make(tmp_path, "0.3.0", [deployment.plan.gateway], break_policy)
    deployment.control.play("upgrade", extra=to("0.3.0", wheelhouse)).refused()
    assert_nothing_lost(deployment, load)
    assert version(deployment) == "0.1.0"
    deployment.gateway.wait_running()
    deployment.receiver.arrived(send_html(deployment))
