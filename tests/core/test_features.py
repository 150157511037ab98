"""The feature catalogue: every value is understood, or refused by a text that names it."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import CATALOGUE, FeatureError, in_force
from gatepost_core.domain.features import parse_options

FLAGS = sorted(name for name, feature in CATALOGUE.items() if feature.kind == "flag")
label = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters=","), min_size=1, max_size=64)


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_feature_says_what_it_is_and_what_it_takes(name: str) -> None:
    feature = CATALOGUE[name]
    assert re.fullmatch("[a-z]+", name)
    assert len(feature.help) > 20
    assert feature.help.endswith(".")
    assert feature.expected
    assert not feature.header or re.fullmatch("[A-Za-z]+(?:-[A-Za-z]+)*", feature.header)


def test_no_two_features_share_a_header() -> None:
    headers = [feature.header.lower() for feature in CATALOGUE.values() if feature.header]
    assert len(set(headers)) == len(headers)


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize(
    ("word", "value"),
    [("1", True), ("yes", True), ("True", True), (" ON ", True), ("0", False), ("no", False), ("Off", False)],
)
def test_a_flag_understands_the_usual_words(name: str, word: str, value: bool) -> None:
    assert CATALOGUE[name].parse(word) is value


@given(st.sampled_from(FLAGS), st.text())
def test_a_flag_never_guesses(name: str, text: str) -> None:
    words = {"1", "yes", "true", "on", "0", "no", "false", "off"}
    if text.strip().lower() in words:
        assert isinstance(CATALOGUE[name].parse(text), bool)
    else:
        with pytest.raises(FeatureError) as refused:
            CATALOGUE[name].parse(text)
        assert repr(text.strip()) in str(refused.value)
        assert name in str(refused.value)


@given(st.lists(label, max_size=20, unique=True))
def test_labels_come_back_as_they_were_given(labels: list[str]) -> None:
    assert CATALOGUE["tags"].parse(" , ".join(labels)) == tuple(labels)


@pytest.mark.parametrize("text", ["a\nb", "x" * 65, ",".join(f"t{n}" for n in range(21)), "a\x00"])
def test_labels_that_cannot_be_kept_are_refused(text: str) -> None:
    with pytest.raises(FeatureError, match="tags"):
        CATALOGUE["tags"].parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("news\x85letter", "'news\\x85letter' holds U+0085 (a control character)"),
        ("a\x9b2Jb", "holds U+009B (a control character)"),
        ("txt.\u202egpj", "holds U+202E (right-to-left override)"),
        ("a\u2066b", "holds U+2066 (left-to-right isolate)"),
        ("a\u200bb", "holds U+200B (zero width space)"),
        ("a\u2028b", "holds U+2028 (line separator)"),
        ("a\udc80b", "'a\\udc80b' holds U+DC80 (half of a surrogate pair: the bytes are no UTF-8)"),
    ],
)
def test_a_label_that_would_show_as_another_one_is_refused_and_the_character_named(
    text: str, said: str
) -> None:
    with pytest.raises(FeatureError) as refused:
        CATALOGUE["tags"].parse(f"good,{text}")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "Käse",
        "\u65b0\u805e\u3000A",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f468\u200d\U0001f469",
    ],
)
def test_labels_of_any_writing_are_kept(text: str) -> None:
    assert CATALOGUE["tags"].parse(text) == (text,)


def test_options_of_the_command_line_become_values() -> None:
    assert parse_options(["inlinecss", "TrackClicks=off", "tags=a,b,a"]) == {
        "inlinecss": True,
        "trackclicks": False,
        "tags": ("a", "b"),
    }


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["colour"], "unknown feature 'colour'; known are"),
        (["tags"], "tags: a value is missing"),
        (["inlinecss", "inlinecss=no"], "inlinecss: given twice"),
        (["inlinecss=maybe"], "inlinecss: 'maybe' is not understood; expected on or off"),
    ],
)
def test_an_option_that_is_not_understood_is_named(options: list[str], text: str) -> None:
    with pytest.raises(FeatureError) as refused:
        parse_options(options)
    assert str(refused.value).startswith(text)


@given(st.lists(st.text()))
def test_options_are_parsed_or_refused_and_nothing_else_happens(options: list[str]) -> None:
    with suppress(FeatureError):
        assert set(parse_options(options)) <= set(CATALOGUE)


def test_a_later_layer_goes_before_an_earlier_one_and_unknown_names_are_left_out() -> None:
    values = in_force({"inlinecss": True, "trackclicks": True}, {"trackclicks": False}, {"from-2031": True})
    assert values["inlinecss"] is True
    assert values["trackclicks"] is False
    assert set(values) == set(CATALOGUE)
    assert in_force() == {name: feature.default for name, feature in CATALOGUE.items()}
