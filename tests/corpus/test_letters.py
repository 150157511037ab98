"""The judge of delivered letters notices what it is for: a changed byte, a lost part, a missing effect."""

from __future__ import annotations

import pytest

from gatepost_core.domain import FeatureValue
from gatepost_milter.editing.message import Plan, render
from gatepost_milter.pipeline import process
from tests.corpus.letters import SHOWN, letter
from tests.corpus.sunk import check, split
from tests.corpus.undoing import context

PRIVACY: dict[str, FeatureValue] = {"privacy": True}


def delivered(number: int) -> bytes:
    sent = split(letter(number))
    plan = process(sent, context(**PRIVACY))
    assert isinstance(plan, Plan)
    return render(sent, plan)


@pytest.mark.parametrize("number", range(0, 42, 5))
def test_any_changed_word_of_a_letter_is_noticed(number: int) -> None:
    raw = delivered(number)
    check(number, raw, PRIVACY)
    changes = {
        "a boundary": raw.replace(b"--=_r", b"--=_R", 1),
        "a header field": raw.replace(b"Subject: letter", b"Subject: Letter"),
        "a lost end": raw[: len(raw) * 2 // 3],
        "a line more": raw + b"x\r\n",
        "one byte of an image": raw.replace(b"iVBORw0KGgo", b"iVBORw0KGgp", 1),
    }
    for what, changed in changes.items():
        assert changed != raw, what
        with pytest.raises((AssertionError, StopIteration, ValueError)):
            check(number, changed, PRIVACY)


@pytest.mark.parametrize("name", ["trackclicks", "trackopens", "inlinecss", "feedbackid", "dkim"])
def test_a_feature_that_did_nothing_is_noticed(name: str) -> None:
    with pytest.raises(AssertionError):
        check(0, delivered(0), {**PRIVACY, name: True})


def test_a_feature_that_was_not_asked_for_is_noticed() -> None:
    raw = delivered(3).replace(f'href="{SHOWN.format(3)}"'.encode(), b'href="https://example.org/"')
    with pytest.raises(AssertionError):
        check(3, raw, PRIVACY)
