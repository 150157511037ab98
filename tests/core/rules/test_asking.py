"""What each rule answers at each stage, in full; a rule that holds nobody answers nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gatepost_core.domain import Rules
from gatepost_core.domain.rules import catalogue
from gatepost_core.domain.rules.asking import Asked, Stage
from gatepost_core.domain.rules.catalogue import RULES
from tests.core.making import credential

SATURDAY = datetime(2026, 11, 28, 12, tzinfo=UTC)
EVERYWHERE = (Stage.RCPT, Stage.DATA, Stage.END)
GOOD = Asked(Stage.RCPT, SATURDAY, "UTC", ("bob@example.org",), 2, 900, "TLSv1.3")


def answer(rules: dict[str, Any], asked: Asked) -> str:
    found = catalogue.refusal(credential(rules=catalogue.kept(rules)), asked)
    return "" if found is None else str(found)


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize(
    ("rules", "changes", "said"),
    [
        (
            {"max_recipients": 2},
            {"total": 3},
            "550 5.5.3 Credential gp1 may send a message to 2 recipients at most, and this one has 3; send "
            "it in parts",
        ),
        (
            {"max_size": 1_000},
            {"size": 1_001},
            "552 5.3.4 Credential gp1 may send messages of 1,000 bytes at most, and this one has 1,001; send "
            "less at once",
        ),
        (
            {"min_tls": "1.3"},
            {"tls": "TLSv1.2"},
            "550 5.7.10 Credential gp1 may be used with TLS 1.3 or later, and this session has TLSv1.2; "
            "update the client",
        ),
        (
            {"hours": ["Sat 10:00-14:00"]},
            {"now": SATURDAY.replace(hour=14)},
            "451 4.7.1 Credential gp1 may send Sat 10:00-14:00 (UTC); try again after 2026-12-05T10:00:00Z",
        ),
        (
            {"recipients": ["example.org"]},
            {"recipients": ("bob@elsewhere.test",)},
            "550 5.7.1 Recipient <bob@elsewhere.test> is not among those that credential gp1 may send to",
        ),
        (
            {"denied_recipients": ["example.com"]},
            {"recipients": ("bob@example.com",)},
            "550 5.7.1 Recipient <bob@example.com> is denied to credential gp1, by its rule example.com",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_who_breaks_a_rule_hears_which_and_who_keeps_it_passes(
    rules: dict[str, Any], changes: dict[str, Any], said: str, stage: Stage
) -> None:
    (name,) = rules
    asked = replace(GOOD, stage=stage)
    assert answer(rules, asked) == ""
    assert answer(rules, replace(asked, **changes)) == (said if stage in RULES[name].stages else "")
    assert answer({}, replace(asked, **changes)) == ""


def test_each_rule_that_is_asked_here_is_tried_above() -> None:
    asked = {name for name, rule in RULES.items() if rule.check is not None}
    tried = {"max_recipients", "max_size", "min_tls", "hours", "recipients", "denied_recipients"}
    assert asked == tried
    assert all(rule.stages for rule in RULES.values())
    for name in asked:
        value = catalogue.kept({name: {"hours": ["Sat"], "min_tls": "1.2"}.get(name, ["a.test"])})
        assert value.held, name
    assert not Rules(senders=("a.test",), networks=("192.0.2.0/24",)).held


@pytest.mark.parametrize("tls", ["", "TLSv1", "TLSv1.1", "TLSv1.4x", "SSLv3", "TLSv"])
def test_a_session_whose_tls_is_not_known_to_be_new_enough_is_refused(tls: str) -> None:
    assert answer({"min_tls": "1.2"}, replace(GOOD, tls=tls)).startswith("550 5.7.10 ")
    assert answer({"min_tls": "1.2"}, replace(GOOD, tls="TLSv1.2")) == ""


def test_what_is_not_known_yet_is_not_held_against_anybody() -> None:
    rules = {"max_size": 10, "max_recipients": 1}
    assert answer(rules, replace(GOOD, stage=Stage.DATA, size=0, total=0)) == ""
