"""Domains, suppressions, statistics and the audit log, as an editor and as an owner see them."""

from __future__ import annotations

import csv
import io
import re

import pytest

from gatepost_core.domain.access import Role
from gatepost_core.service import suppressions
from gatepost_core.service.suppressions import Wanted
from gatepost_dashboard.pages.views.statistics import _plain
from gatepost_stack.provision import DOMAIN, ClientLogin
from gatepost_stack.stack import Stack
from tests.pages.conftest import member
from tests.pages.people import context_of
from tests.pages.visiting import Visitor

pytestmark = pytest.mark.integration


@pytest.fixture
def owner(stack: Stack, sown: dict[str, ClientLogin], visitor: Visitor) -> Visitor:
    """An owner's browser."""
    del sown
    visitor.sign_in(member(stack, Role.OWNER))
    return visitor


def test_an_address_is_suppressed_found_and_lifted_and_the_audit_log_says_by_whom(
    stack: Stack, owner: Visitor
) -> None:
    wrong = owner.post("/suppressions", {"address": "nobody"})
    assert (wrong.status, "is no address and no domain" in wrong.text) == (422, True)
    assert owner.post("/suppressions", {"address": "Zoe@Example.org", "note": "asked us to"}).status == 303
    page = owner.get("/suppressions?q=zoe@example.org").text
    assert "asked us to" in page
    (number,) = re.findall(r'action="/suppressions/([^/"]+)/lift"', page)
    assert owner.post(f"/suppressions/{number}/lift").status == 303
    wanted = Wanted(address="zoe@example.org")
    assert suppressions.page(context_of(stack.settings), wanted, 5).items == []
    log = owner.get(f"/audit?q={number}").text
    assert "suppression.add" in log
    assert "suppression.remove" in log


def test_an_editor_sees_no_audit_log_and_no_link_to_one(stack: Stack, visitor: Visitor) -> None:
    visitor.sign_in(member(stack, Role.EDITOR))
    assert visitor.get("/audit").status == 403
    assert "/audit" not in visitor.get("/credentials").text


def test_a_domain_has_the_records_to_publish(stack: Stack, owner: Visitor) -> None:
    page = owner.get(f"/domains/{DOMAIN}").text
    for key in stack.provision.domain().keys:
        assert f"{key.selector}._domainkey.{DOMAIN}" in page
        assert key.public[:60] in page.replace("&#43;", "+").replace("&#34;", '"')
    assert owner.get("/domains/rival.test").status == 404


def test_statistics_are_a_table_and_the_same_as_csv(
    stack: Stack, sown: dict[str, ClientLogin], owner: Visitor
) -> None:
    del stack
    page = owner.get("/statistics?by=credential&span=24h").text
    assert sown["shop"].username in page
    answer = owner.get("/statistics.csv?by=credential&span=24h")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = {row["credential"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert rows[sown["shop"].username]["accepted"] == "5"
    assert rows[sown["shop"].username]["clicked by people"] == "1"
    domains = owner.get("/statistics.csv?by=domain").text
    assert "example.org," in domains


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert _plain(text) == f"'{text}"
    assert _plain("gp2a") == "gp2a"
