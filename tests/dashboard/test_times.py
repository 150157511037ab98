"""Times at both ends of what a date can be: answered, or refused by the name of their field."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from .asking import Dashboard

# Before the year 1 in UTC, and after 9999.
OUTSIDE = ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"]
# The first and the last that there are; many write the last for 'never'.
ENDS = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59+14:00"]
LISTS = ["/messages", "/events", "/stats", "/suppressions"]
MADE: list[tuple[str, dict[str, Any]]] = [
    ("/credentials", {"account": "demo"}),
    ("/tokens", {"name": "ends", "scopes": ["read"]}),
    ("/suppressions", {"account": "demo", "address": "no@example.org"}),
]


@pytest.mark.parametrize("field", ["since", "until"])
@pytest.mark.parametrize("path", LISTS)
def test_a_list_is_asked_for_from_any_time_that_there_is(api: Dashboard, path: str, field: str) -> None:
    for at in OUTSIDE:
        answer = api.ask("GET", f"{path}?{field}={quote(at)}", api.operator)
        assert (answer.status, field in answer.body.decode()) == (422, True), answer.body
    for token in (api.operator, api.provision.token("read", account="demo")):
        for at in ENDS:
            answer = api.ask("GET", f"{path}?{field}={quote(at)}", token)
            assert answer.status == 200, (at, answer.body)


@pytest.mark.parametrize(("path", "body"), MADE, ids=[path for path, _ in MADE])
def test_what_is_made_ends_at_any_time_that_there_is(api: Dashboard, path: str, body: dict[str, Any]) -> None:
    for at in OUTSIDE:
        answer = api.ask("POST", path, api.operator, {**body, "expires_at": at})
        assert (answer.status, "expires_at" in answer.body.decode()) == (422, True), answer.body
    for at in ENDS[1:]:
        answer = api.ask("POST", path, api.operator, {**body, "expires_at": at})
        assert answer.status in (200, 201, 409), answer.body
        assert answer.status == 409 or answer.json["expires_at"].startswith("9999-12-31T"), answer.body
    answer = api.ask("POST", path, api.operator, {**body, "expires_at": ENDS[0]})
    assert answer.status < 500, answer.body
    assert api.ask("GET", path, api.operator).status == 200
