"""Rules that look at style attributes: nothing is written that they would see, and the reason is told."""

from __future__ import annotations

import pytest

from tests.milter.making import html_message, plan_of

RULE = "p{color:red}"
LEFT_ALONE = "a rule looks at style attributes"


@pytest.mark.parametrize(
    "selector",
    [
        "[style]",
        "p:not([style])",
        "p:NOT( [ Style ] )",
        "[style^='color']",
        "[style='x']",
        "[style~=x]",
        "[style$=x]",
        "[*|style]",
        "[style*='a;b']",
        "p:not([style*='x'])",
        r"[\73tyle]",
    ],
)
def test_a_selector_that_may_match_other_elements_afterwards_leaves_the_styles_in_the_block(
    selector: str,
) -> None:
    html = f"<style>{RULE} {selector}{{display:none}}</style><p>a<p style='x:y'>b"
    plan = plan_of(html_message(html), "inlinecss")
    assert (plan.body, plan.skipped["inlinecss"]) == (None, LEFT_ALONE)


def test_a_text_that_is_looked_for_may_not_be_written() -> None:
    html = "<style>p{margin:16px 0}div[style*='MARGIN: 16px 0']{margin:0!important}</style><p>a<div>b</div>"
    plan = plan_of(html_message(html), "inlinecss")
    assert plan.body is None
    assert plan.skipped["inlinecss"] == "a rule looks for 'margin: 16px 0' in style attributes"


@pytest.mark.parametrize(
    "css", ["div[style*='margin: 16px 0']{margin:0}", "/* [style] */", "a[data-style]{x:y}", "/* [style]"]
)
def test_other_selectors_hinder_nothing(css: str) -> None:
    plan = plan_of(html_message(f"<style>{RULE}{css}</style><p>a"), "inlinecss")
    assert plan.applied == ("inlinecss",)


@pytest.mark.parametrize("odd", ["b{content:'/*'}", "b{background:url(/*)}", 'b{content:"\\"/*"}'])
def test_a_comment_mark_in_a_string_or_an_address_hides_no_selector(odd: str) -> None:
    html = f"<style>{RULE}{odd} p:not([style]){{x:y}} b{{content:'*/'}}</style><p>a"
    assert plan_of(html_message(html), "inlinecss").skipped["inlinecss"] == LEFT_ALONE
