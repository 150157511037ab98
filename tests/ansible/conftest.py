"""Fixtures: the container engine and networks of hosts. Where none can run, a skip says why; CI fails."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import docker
import pytest

from tests.ansible import engine, hosts


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
