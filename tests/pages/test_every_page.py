"""Every page and every change, for whom it is not: nobody, a viewer, another account, another site."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import select

from gatepost_core.domain.access import Role
from gatepost_core.store.access.tables import audit
from gatepost_core.store.access.user_tables import user_sessions, users
from gatepost_core.store.holding.tables import hold_orders
from gatepost_core.store.schema import credentials, secrets, suppressions
from gatepost_core.store.webhooks.tables import webhooks
from gatepost_dashboard.pages.installing import ROWS
from gatepost_dashboard.pages.table import Row
from gatepost_stack.provision import DOMAIN, ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway
from tests.pages.conftest import member
from tests.pages.people import Person, context_of
from tests.pages.visiting import Visitor

pytestmark = pytest.mark.integration
PRIVATE = [row for row in ROWS if not row.public]
# What stands in a path for something of another account. Of a path without a place, the page is one's own.
FOREIGN = [row for row in PRIVATE if "{" in row.path]
named = pytest.mark.parametrize
ids: Callable[[Row], str] = lambda row: f"{row.method} {row.path}"  # noqa: E731 - read by pytest


def path_of(row: Row, stack: Stack, sown: dict[str, ClientLogin]) -> str:
    """Return a path that names things of the account ``demo``, and a session of somebody else's."""
    held = sown["crm"].username
    gateway = Gateway(stack)
    with context_of(stack.settings).store.directory() as connection:
        suppressed = connection.execute(select(suppressions.c.id)).scalars().first()
        webhook = connection.execute(select(webhooks.c.handle)).scalars().first()
    places = {
        "username": held,
        "name": gateway.records(held)[0].id,
        "domain": DOMAIN,
        "suppression": str(suppressed),
        "webhook": str(webhook),
        "number": "1",
        "token": "none",
    }
    path = row.path
    for name, value in places.items():
        path = path.replace("{" + name + "}", value)
    return path


def everything(stack: Stack) -> list[object]:
    """Return all that pages can change, but for the times at which sessions were used."""
    context = context_of(stack.settings)
    found: list[object] = []
    with context.store.directory() as connection:
        for table in (credentials, secrets, users, suppressions, webhooks):
            found += [tuple(row) for row in connection.execute(select(table))]
        found += [row.id for row in connection.execute(select(audit.c.id))]
        found += [
            tuple(row) for row in connection.execute(select(user_sessions.c.id, user_sessions.c.account))
        ]
    with context.store.journal() as connection:
        found += [tuple(row) for row in connection.execute(select(hold_orders))]
    return found


@pytest.fixture(scope="module")
def wall(stack: Stack, sown: dict[str, ClientLogin]) -> dict[str, Visitor]:
    """A viewer of the account that has everything, and the owner of another one, signed in."""
    del sown
    stack.provision.owner("rival", "rival.test")
    found = {}
    for name, who in {
        "viewer": member(stack, Role.VIEWER),
        "rival": member(stack, Role.OWNER, "rival"),
    }.items():
        found[name] = Visitor(stack.dashboard_url)
        assert found[name].sign_in(who).status == 303
    return found


def test_there_are_pages_to_try() -> None:
    assert len(PRIVATE) > 20
    assert len(FOREIGN) > 10
    assert any(row.write for row in FOREIGN)


@named("row", PRIVATE, ids=ids)
def test_nobody_is_sent_to_the_sign_in_and_changes_nothing(
    row: Row, stack: Stack, sown: dict[str, ClientLogin], visitor: Visitor
) -> None:
    before = everything(stack)
    path = path_of(row, stack, sown)
    answer = visitor.get(path) if row.method == "GET" else visitor.post(path)
    assert (answer.status, answer.there.partition("?")[0]) == (303, "/sign-in")
    assert everything(stack) == before


@named("row", FOREIGN, ids=ids)
def test_what_is_another_accounts_is_not_there(
    row: Row, stack: Stack, sown: dict[str, ClientLogin], wall: dict[str, Visitor]
) -> None:
    before = everything(stack)
    path = path_of(row, stack, sown)
    filled = {"state": "disabled", "overlap": "0", "name": sown["crm"].username, "label": "mine"}
    forms: tuple[dict[str, str], ...] = ({}, filled)
    for form in forms if row.method == "POST" else forms[:1]:
        answer = wall["rival"].get(path) if row.method == "GET" else wall["rival"].post(path, form)
        assert answer.status in ((404,) if form or row.method == "GET" else (404, 422))
        assert sown["crm"].username not in answer.text
    assert everything(stack) == before


@named("row", [row for row in PRIVATE if row.write], ids=ids)
def test_a_viewer_changes_nothing_and_sees_no_form_to_do_so(
    row: Row, stack: Stack, sown: dict[str, ClientLogin], wall: dict[str, Visitor]
) -> None:
    before = everything(stack)
    path = path_of(row, stack, sown)
    answer = wall["viewer"].get(path) if row.method == "GET" else wall["viewer"].post(path)
    assert answer.status == 403
    assert everything(stack) == before


@named("row", [row for row in ROWS if row.method == "POST"], ids=ids)
@named(
    "headers",
    [
        {"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.test", "Sec-Fetch-Site": ""},
        {"Origin": "null", "Sec-Fetch-Site": ""},
        {"Origin": "", "Sec-Fetch-Site": ""},
        {"Origin": "", "Sec-Fetch-Site": "same-site"},
    ],
    ids=["another site", "old browser", "nameless", "silent", "neighbour"],
)
def test_a_change_that_another_page_makes_is_refused(
    row: Row,
    headers: dict[str, str],
    stack: Stack,
    sown: dict[str, ClientLogin],
    operators: Visitor,
) -> None:
    answer = operators.post(path_of(row, stack, sown), {"state": "disabled"}, **headers)
    assert answer.status == 403
    assert "was not carried out" in answer.text


@pytest.fixture(scope="module")
def operators(stack: Stack, operator: Person) -> Visitor:
    """An operator's browser."""
    visitor = Visitor(stack.dashboard_url)
    assert visitor.sign_in(operator).status == 303
    return visitor


def test_every_link_of_every_page_leads_to_a_page(
    stack: Stack, sown: dict[str, ClientLogin], operators: Visitor
) -> None:
    seen: set[str] = set()
    left = [path_of(row, stack, sown) for row in PRIVATE if row.method == "GET"]
    while left:
        path = left.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = operators.get(path.replace("&amp;", "&"))
        assert answer.status in (200, 303), path
        if len(seen) < 80:
            left += [link for link in re.findall(r'href="(/[^"]*)"', answer.text) if "/static/" not in link]
    assert len(seen) > 15
    assert operators.get("/no-such-page").status == 404


def test_pages_say_what_a_browser_may_do_and_keep_nothing(operators: Visitor) -> None:
    answer = operators.get("/credentials")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
