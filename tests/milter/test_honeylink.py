"""honeylink: a link that no reader sees stands in a message once, where its clicks are told of."""

from __future__ import annotations

import pytest

from gatepost_milter.features.trackclicks import hidden_link
from gatepost_milter.features.trackopens import pixel_tag

from .making import HONEY, PIXEL, edited, html_message, plan_of
from .test_pipeline import html, multipart

TAG = hidden_link(HONEY)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<body><p>x</p></body></html>\r\n", f"<body><p>x</p>{TAG}</body></html>\r\n"),
        ("<p>x</p>", f"<p>x</p>{TAG}"),
        ("<p>x</p><!-- </body> -->", f"<p>x</p><!-- </body> -->{TAG}"),
    ],
)
def test_the_link_stands_at_the_end_of_what_is_shown(before: str, after: str) -> None:
    assert edited(before, "trackclicks", "honeylink") == after


def test_nobody_sees_it_hears_of_it_or_comes_to_it_by_the_tab_key() -> None:
    for said in ('tabindex="-1"', 'aria-hidden="true"', "display:none!important", '"></a>'):
        assert said in TAG


def test_it_stands_beside_the_1x1_image_and_is_not_rewritten_itself() -> None:
    found = edited("<p>x</p>", "trackclicks", "trackopens", "honeylink")
    assert found == f"<p>x</p>{pixel_tag(PIXEL)}{TAG}"


def test_a_message_of_several_parts_has_one() -> None:
    plan = plan_of(multipart(html("<p>a</p>"), html("<p>b</p>")), "trackclicks", "honeylink")
    assert plan.body is not None
    assert plan.body.replace(b"=\r\n", b"").count(HONEY.encode()) == 1


@pytest.mark.parametrize(
    ("features", "values", "why"),
    [
        (("honeylink",), {}, "trackclicks is off"),
        (("honeylink", "trackclicks"), {"tracking": "off"}, "tracking is off"),
    ],
)
def test_without_clicks_there_is_none_and_the_record_says_why(
    features: tuple[str, ...], values: dict[str, str], why: str
) -> None:
    plan = plan_of(html_message("<p>x</p>"), *features, **values)
    assert plan.body is None
    assert plan.skipped["honeylink"] == why


def test_text_that_ends_within_a_tag_has_none() -> None:
    plan = plan_of(html_message("<p>x</p><a href="), "trackclicks", "honeylink")
    assert "honeylink" not in plan.applied
