"""The catalogue of rules: what is read, kept and shown of each."""

from __future__ import annotations

import json
import re
from dataclasses import fields, replace
from typing import Any

import pytest

from gatepost_core.domain import RuleError, Rules
from gatepost_core.domain.rules import catalogue, hours
from gatepost_core.domain.rules.catalogue import DEFAULT, NONE, RULES, changed
from gatepost_core.domain.rules.replies import REPLIES
from gatepost_core.domain.rules.values import NAMES

# Of each rule: texts that people write, and how they are shown.
WRITTEN: dict[str, tuple[list[str], object]] = {
    "senders": (["A@Example.test", "*.b.test"], ["a@example.test", "*.b.test"]),
    "networks": (["192.0.2.1", "2001:db8::/32"], ["192.0.2.1/32", "2001:db8::/32"]),
    "recipients": (["Bob@Example.org", "b.test", "*.c.test"], ["bob@example.org", "b.test", "*.c.test"]),
    "denied_recipients": (["exämple.org"], ["xn--exmple-cua.org"]),
    "max_recipients": (["50"], 50),
    "max_size": (["20m"], 20_000_000),
    "min_tls": (["TLSv1.3"], "1.3"),
    "hours": (["mon-fri 08:00-18:00", "sat"], ["Mon-Fri 08:00-18:00", "Sat 00:00-24:00"]),
    "hold_places": (["Network", "country", "network"], ["country", "network"]),
}


OTHER: dict[str, Any] = {
    "senders": ("x.test",),
    "networks": ("198.51.100.0/24",),
    "recipients": ("x.test",),
    "denied_recipients": ("x.test",),
    "max_recipients": 1,
    "max_size": 1,
    "min_tls": "1.2",
    "hours": hours.read(["Sun"]),
    "hold_places": ("country",),
}


def test_each_rule_is_in_the_catalogue_and_in_this_table() -> None:
    assert list(RULES) == list(NAMES) == [field.name for field in fields(Rules)][:-1]
    assert set(WRITTEN) == set(OTHER) == set(RULES)


@pytest.mark.parametrize("name", RULES)
def test_what_is_written_is_kept_and_shown(name: str) -> None:
    texts, shown = WRITTEN[name]
    value = catalogue.read(RULES[name], texts)
    rules = changed(Rules(), {name: value})
    assert catalogue.plain(rules)[name] == shown
    assert catalogue.kept(json.loads(json.dumps(catalogue.stored(rules)))) == rules
    for word, lifted in (("None", {name}), (" DEFAULT", set[str]())):
        free = changed(rules, {name: catalogue.read(RULES[name], [word])})
        assert free == Rules(lifted=frozenset(lifted))
        assert catalogue.kept(catalogue.stored(free)) == free
    assert changed(Rules(lifted=frozenset({name})), {name: value}) == rules


@pytest.mark.parametrize("name", RULES)
def test_an_accounts_rule_holds_where_a_credential_has_none_and_did_not_lift_it(name: str) -> None:
    value = catalogue.read(RULES[name], WRITTEN[name][0])
    defaults = changed(Rules(), {name: value})
    assert Rules().over(defaults) == defaults
    assert changed(Rules(), {name: NONE}).over(defaults) == Rules()
    assert changed(Rules(), {name: DEFAULT}).over(defaults) == defaults
    other = "max_size" if name != "max_size" else "max_recipients"
    both = changed(Rules(), {other: 7}).over(defaults)
    assert (getattr(both, name), getattr(both, other)) == (value, 7)
    own = replace(defaults, **{name: OTHER[name]})
    assert own.over(defaults) == own
    assert changed(own, {name: NONE}).over(Rules()) == Rules()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("word", [NONE, DEFAULT])
def test_none_and_default_stand_alone(name: str, word: str) -> None:
    with pytest.raises(RuleError, match=rf"^{word} stands alone, and there is 'x\.test'$"):
        catalogue.read(RULES[name], [word, "x.test"])


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("text", ["", "@", "a b@x.test", "\u202ex", "a" * 100_000, "*.*.x.test", "none."])
def test_what_is_no_value_names_itself_and_what_may_stand_there(name: str, text: str) -> None:
    with pytest.raises(RuleError) as caught:
        catalogue.read(RULES[name], [text])
    assert "expected" in str(caught.value)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()
    assert text[:20].strip("\u202e") in str(caught.value)
    assert caught.value.args[0].count("\n") == 0


def test_rules_of_a_newer_release_are_not_read_as_none() -> None:
    with pytest.raises(RuleError, match="does not know: phase_of_moon"):
        catalogue.kept({"senders": [], "phase_of_moon": ["full"]})


def test_what_an_earlier_release_kept_is_read() -> None:
    assert catalogue.kept({}) == Rules()
    assert catalogue.kept({"senders": ["a.test"], "networks": []}) == Rules(senders=("a.test",))


def test_there_may_not_be_more_patterns_than_each_message_can_be_held_against() -> None:
    with pytest.raises(RuleError, match="1,001 recipients; expected at most 1,000"):
        catalogue.read(RULES["recipients"], [f"a{number}.test" for number in range(1_001)])


def test_each_rule_says_what_is_heard_of_it_and_what_to_do() -> None:
    assert set(REPLIES) == set(RULES)
    for replies in REPLIES.values():
        assert replies
        for reply in replies:
            assert re.match(r"[45]\d\d [45]\.\d\.\d+ ", reply.text)
            assert reply.when
            assert reply.remedy
