"""A message's metadata: an object comes back as it was sent, anything else is refused and says why."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import CATALOGUE, FeatureError
from gatepost_core.domain.features import parse_options
from gatepost_core.domain.metadata import DEPTH_MOST, SIZE_MOST, MetadataError, as_object, parse
from gatepost_core.domain.texts import unfit

from ..steps import World, assert_linear

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAMES = TEXTS.filter(lambda name: not unfit(name))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.booleans())
def test_an_object_comes_back_as_it_was_sent(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    if len(text.encode()) <= SIZE_MOST:
        assert as_object(parse(text)) == value


@given(st.text(max_size=60) | st.text('{}[]",:\\u0d1e-+. ', max_size=60))
def test_any_text_is_an_object_or_refused(text: str) -> None:
    with suppress(MetadataError):
        found = parse(text)
        assert as_object(found) == json.loads(text)
        assert not found or parse(found) == found


def nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON: Expecting value (character 1)"),
        ("order=1234", "is no JSON: Expecting value (character 1)"),
        ("{'order': 1}", "is no JSON: Expecting property name enclosed in double quotes (character 2)"),
        ('{"order": 1} x', "is no JSON: Extra data (character 14)"),
        ('["order"]', "is JSON, but no object"),
        ('"order"', "is JSON, but no object"),
        ("null", "is JSON, but no object"),
        ('{"a": NaN}', "is no JSON: NaN is no number"),
        ('{"a": [-Infinity]}', "is no JSON: -Infinity is no number"),
        ('{"a": 1e999}', "holds the number '1e999', which is too large"),
        ('{"a": ' + "9" * 310 + "}", "holds a number of 310 digits; at most 309"),
        ('{"a": 1, "b": 2, "a": 3}', "has the name 'a' twice"),
        ('{"x": {"a": 1, "\\u0061": 1}}', "has the name 'a' twice"),
        ('{"a\\u0007b": 1}', "has the name 'a\\x07b', which holds U+0007 (a control character)"),
        ('{"txt.\\u202egpj": 1}', "which holds U+202E (right-to-left override)"),
        ('{"a": "x\ty"}', "is no JSON: Invalid control character at (character 9)"),
        ('{"a": "\\u0000"}', "holds U+0000"),
        ('{"a": ["\\\\\\\\\\u0000"]}', "holds U+0000"),
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        ('{"a": "\udc80"}', "half of a surrogate pair"),
        ('{"a": "' + "é" * 1_021 + '"}', "has 2,051 bytes"),
        (nested(DEPTH_MOST + 1), "is nested more than 16 levels deep"),
        ('{"a":' + "[" * 1_000, "is nested more than 16 levels deep"),
    ],
)
def test_what_is_no_metadata_is_refused_and_says_why(text: str, said: str) -> None:
    with pytest.raises(MetadataError) as refused:
        parse(text)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"\\\\u0000"}',
        '{"a":"line\\nline \U0001f468"}',
        '{"a":"[[[[[[[[[[[[[[[[[[{"}',
        '{"a":' + "9" * 309 + "}",
        nested(DEPTH_MOST),
        '{"a":"' + "é" * 1_020 + '"}',
    ],
)
def test_what_only_looks_like_that_is_kept(text: str) -> None:
    assert parse(text) == text


def test_how_many_digits_python_reads_does_not_matter() -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        with pytest.raises(MetadataError, match="2000 digits"):
            parse('{"a":' + "1" * 2_000 + "}")
    finally:
        sys.set_int_max_str_digits(limit)


@pytest.mark.parametrize("unit", ["[", '{"a":', '"', '"\\', "\\", "9", '"a":1,', "]"])
def test_reading_it_is_work_in_proportion_to_its_size(world: World, unit: str) -> None:
    metadata = world.load("gatepost_core.domain.metadata")

    def read(text: str) -> None:
        with pytest.raises(metadata.MetadataError):
            metadata.parse(text)

    assert_linear(world, lambda size: '{"x":' + unit * (size // len(unit) + 1), read, size=400)


def test_a_refusal_names_the_feature_and_what_is_expected() -> None:
    with pytest.raises(FeatureError) as refused:
        CATALOGUE["metadata"].parse("[1]" + " " * 10)
    assert str(refused.value) == (
        "metadata: '[1]' is JSON, but no object; expected a JSON object of at most 2,048 bytes, "
        'such as {"order": "1234"}'
    )


def test_no_credential_has_metadata() -> None:
    with pytest.raises(FeatureError, match="a message's own header sets it, X-Gatepost-Metadata"):
        parse_options(['metadata={"order": "1234"}'])
