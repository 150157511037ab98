"""The tracking mode: of the credential, of one message by its header, and off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gatepost_core.domain import FeatureValue
from gatepost_milter.editing.message import Plan
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.context import Tracked
from tests.milter.making import PIXEL, click, context, message, opens, plan_of

HTML = (
    "From: a@example.test\nContent-Type: text/html\n\n"
    '<p><a href="https://x.test/a">x</a><img src="https://x.test/i.png"></p>\n'
)
OVERRIDE = "X-Gatepost-Tracking: {}\n"


def in_modes(mode: FeatureValue) -> Tracked:
    def marked(make: Callable[[str, str, str], str]) -> Callable[[str, str, str], str]:
        return lambda *link: f"{make(*link)}-{mode}"

    return Tracked(marked(click), marked(opens), PIXEL)


def test_off_leaves_links_and_images_as_they_are_and_says_so() -> None:
    plan = plan_of(message(HTML), "trackclicks", "trackopens", tracking="off")
    assert (plan.body, plan.applied) == (None, ())
    assert plan.skipped == dict.fromkeys(("trackclicks", "trackopens"), "tracking is off")


def test_a_message_s_header_sets_its_mode_and_goes() -> None:
    made = replace(context("trackclicks", "trackopens"), tracked=in_modes)
    for word in ("anonymous", "off"):
        plan = process(message(OVERRIDE.format(word) + HTML), made)
        assert isinstance(plan, Plan)
        assert plan.features["tracking"] == word
        assert plan.headers is not None
        assert not [one for one in plan.headers if b"tracking" in one.name.lower()]
        assert (plan.body or b"").count(b"-anonymous") == (2 if word == "anonymous" else 0)


def test_a_mode_that_is_none_refuses_the_message() -> None:
    refused = process(message(OVERRIDE.format("quiet") + HTML), context("trackclicks"))
    assert not isinstance(refused, Plan)
    assert "off, anonymous, identified" in refused.text
