"""Fixtures: the container engine, networks of hosts, and the deployments under test.

Where no engine can run, one skip says why; in CI that fails. The chapters of a deployment run in the order of
`CHAPTERS` on the same three hosts: what changes those hosts for good comes last.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import docker
import pytest

from tests.ansible import engine, hosts
from tests.ansible.ahead import Ahead
from tests.ansible.world import PLANS, Plan, World

CHAPTERS = (
    "test_variables", "test_hosts", "test_converge", "test_mail", "test_web", "test_keys", "test_refused",
    "test_faults", "test_reboot", "test_upgrade", "test_backup", "test_house", "test_existing", "test_undo",
    "test_release_before",
)  # fmt: skip
# Setting up counts towards the first test of a deployment.
SECONDS = 1800


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = [place for place, item in enumerate(items) if "ansible" in item.path.parts]
    ours = sorted((items[place] for place in places), key=lambda item: CHAPTERS.index(item.path.stem))
    for place, item in zip(places, ours, strict=True):
        item.add_marker(pytest.mark.integration)
        item.add_marker(pytest.mark.timeout(SECONDS))
        items[place] = item


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    """A container engine that answers; one that the tests had to start is stopped at the end."""
    try:
        found = engine.ensure()
    except engine.EngineMissingError as error:
        if os.environ.get("CI"):
            pytest.fail(f"CI must run the deployment tests: {error}", pytrace=False)
        pytest.skip(f"deployment tests: {error}")
    with contextlib.closing(found):
        yield found
    engine.release()


@pytest.fixture(scope="module")
def network(client: docker.DockerClient, request: pytest.FixtureRequest) -> Iterator[hosts.PrivateNetwork]:
    """A private network of this module; its hosts go with it."""
    name = f"gatepost-{request.module.__name__.rpartition('.')[2].replace('_', '-')}-{os.getpid()}"
    with hosts.PrivateNetwork.make(client, name) as made:
        yield made


@pytest.fixture(scope="session")
def ahead(
    client: docker.DockerClient, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ahead]:
    """The deployments of all plans that tests ask for."""
    asked = {
        item.callspec.params.get("deployment") for item in request.session.items if hasattr(item, "callspec")
    }
    with Ahead(client, [plan for plan in PLANS if plan in asked], tmp_path_factory.mktemp("worlds")) as made:
        yield made


@pytest.fixture(scope="session", params=PLANS, ids=str)
def deployment(ahead: Ahead, request: pytest.FixtureRequest) -> Iterator[World]:
    """Gateway, client and MX, converged; the next plan's are made while this one's are tested."""
    plan: Plan = request.param
    with ahead.taken(plan) as made:
        yield made


def only(plan: Plan) -> pytest.MarkDecorator:
    """Run a test on one of the plans only."""
    return pytest.mark.parametrize("deployment", [plan], indirect=True, ids=str)
