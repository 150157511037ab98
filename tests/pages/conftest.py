"""One stack with a dashboard for all tests of pages; whoever needs something else makes users and objects."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from gatepost_core.domain.access import Role
from gatepost_stack.instance import HOST
from gatepost_stack.provision import ACCOUNT, ClientLogin
from gatepost_stack.stack import Stack, free_ports
from tests.pages.people import Person, person
from tests.pages.seeds import sow
from tests.pages.visiting import Visitor
from tests.rendering.browser import CHROMIUM

_numbers = count(1)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Postfix with all daemons and the dashboard. Postfix's master needs root: run script/test as root."""
    var, ports = tmp_path_factory.mktemp("pages"), free_ports()
    # Where people are told to connect: what a page says is done as it stands.
    clients = {"host": HOST, "ports": [ports[1]], "ca_file": str(var / "ca.pem")}
    # Many are refused here, one after the other.
    tables: dict[str, dict[str, Any]] = {"clients": clients, "sasl": {"failure_delay": 0.001}}
    with Stack(var, ports, tables=tables, tracker=0, dashboard=0) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM)
        yield running
        running.close()


@pytest.fixture(scope="session")
def sown(stack: Stack) -> dict[str, ClientLogin]:
    """Credentials of the account ``demo``, and mail of theirs."""
    return sow(stack)


@pytest.fixture(scope="session")
def operator(stack: Stack) -> Person:
    """Somebody who sees everything, without a second factor."""
    return person(stack.settings, "operator", operator=True)


def member(stack: Stack, role: Role, account: str = ACCOUNT) -> Person:
    """Make somebody with a role in an account."""
    return person(stack.settings, f"{role.value}{next(_numbers)}", {account: role})


@pytest.fixture
def visitor(stack: Stack) -> Visitor:
    """A browser in which nobody is signed in."""
    return Visitor(stack.dashboard_url)
