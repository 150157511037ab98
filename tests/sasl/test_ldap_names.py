"""Names in filters and distinguished names: no name is taken for more, or for another, than it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import MATCH_EQUAL, parse_filter
from ldap3.utils.dn import parse_dn

from gatepost_sasl.backends.ldap_names import BindName, UserFilter
from tests.sasl.slapd import BASE

DIRECT = f"uid={{user}},ou=people,{BASE}"
NAMES = st.text(st.characters(codec="utf-8"), min_size=1) | st.text("*()\\\0a2", min_size=1)


@given(NAMES.map(lambda name: " ".join(name.split())).filter(bool))
def test_any_name_makes_a_filter_with_that_one_value(name: str) -> None:
    parsed = parse_filter(UserFilter("(uid={user})").of(name), None, False, False, None, False)
    (element,) = parsed.elements
    assert element.tag == MATCH_EQUAL
    # RFC 4515 section 3: a backslash and two hexadecimal digits stand for a byte.
    value = re.sub(
        r"\\([0-9a-f]{2})", lambda digits: chr(int(digits[1], 16)), element.assertion["value"].decode()
    )
    assert value == name


@given(st.text(min_size=1).filter(lambda name: name.isprintable()))
@example("0#")
@example("# \\#")
def test_any_name_makes_a_distinguished_name_of_as_many_parts(name: str) -> None:
    made = BindName(DIRECT).of(name)
    assert made is not None
    assert len(parse_dn(made)) == len(parse_dn(DIRECT.replace("{user}", "x")))


@pytest.mark.parametrize("name", ["a@b", "CORP\\a", "a b", "a,b=c", "a\0", "*"])
def test_a_principal_is_not_made_of_another(name: str) -> None:
    assert BindName("{user}@corp.example.org").of(name) is None
    assert BindName("{user}@corp.example.org").of("alice") == "alice@corp.example.org"
    assert BindName("{local}@corp.example.org").of("alice@any.test") == "alice@corp.example.org"
