"""Fixtures: one private stack a test session, and one without the milter to compare with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Postfix with all of Gatepost. Postfix's master needs root: run script/test as root."""
    with Stack(tmp_path_factory.mktemp("gateway")) as stack:
        yield Gateway(stack)


@pytest.fixture(scope="session")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The same without the milter: messages as Postfix alone leaves them."""
    with Stack(tmp_path_factory.mktemp("baseline"), milter=False) as stack:
        yield Gateway(stack)


@pytest.fixture
def login(gateway: Gateway) -> ClientLogin:
    """A credential of its own for each test, any sender, no feature on."""
    return gateway.stack.provision.credential()
