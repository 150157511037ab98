"""A real-looking newsletter through all features: what changes, what stays, what it costs."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage

from selectolax.lexbor import LexborHTMLParser

from gatepost_milter.editing.headers import calls
from gatepost_milter.editing.message import Message, Plan, render

from .making import MESSAGES, PREFIX, message, plan_of

ALL = ("inlinecss", "trackclicks", "preventscam")


def newsletter() -> Message:
    return message((MESSAGES / "newsletter.eml").read_bytes())


def parsed(raw: bytes) -> EmailMessage:
    result = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert isinstance(result, EmailMessage)
    return result


def html_of(raw: bytes) -> str:
    part = parsed(raw).get_body(("html",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def outline(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Every element with its attributes, but for what is meant to change."""
    root = LexborHTMLParser(html).root
    assert root is not None
    result: list[tuple[str, dict[str, str | None]]] = []
    for node in root.traverse(include_text=True):
        attributes = dict(node.attributes)
        attributes.pop("style", None)
        href = attributes.get("href")
        if href:
            attributes["href"] = re.sub(r"^(https://click\.example\.test/TOKEN|https?://[^/?#]+)", "", href)
        result.append((node.tag or "", attributes if node.tag != "-text" else {"": node.text()}))
    return result


def test_links_lead_through_the_click_domain_with_their_path_readable() -> None:
    html = html_of(render(newsletter(), plan_of(newsletter(), *ALL)))
    assert f'href="{PREFIX}/stories/wool?ref=news&copy=3&amp;lang=en"' in html
    assert (
        f'href="{PREFIX}/p/1/wool-blanket?utm_source=news&amp;utm_medium=email'
        '&amp;utm_campaign=autumn&amp;pos=1#buy"' in html
    )


def test_a_vml_link_in_a_conditional_comment_is_tracked_and_styled() -> None:
    html = html_of(render(newsletter(), plan_of(newsletter(), *ALL)))
    comment = html.partition("<v:roundrect")[2].partition(">")[0]
    assert f'href="{PREFIX}/autumn?utm_source=news&amp;utm_medium=email"' in comment
    assert "height: 48px" in comment


def test_the_link_whose_text_is_a_url_stays_and_so_do_mailto_tel_fragment_and_placeholder() -> None:
    html = html_of(render(newsletter(), plan_of(newsletter(), *ALL)))
    for link in (
        "http://film.example.org/wool",
        "https://www.example.org/",
        "mailto:hello@example.test?subject=Autumn",
    ):
        assert f'href="{link}"' in html
    for link in ("tel:+31201234567", "#top", "{{preferences_url}}"):
        assert f'href="{link}"' in html


def test_rules_come_before_an_elements_own_declarations_and_the_block_stays() -> None:
    before = html_of(render(newsletter(), Plan()))
    html = html_of(render(newsletter(), plan_of(newsletter(), *ALL)))
    assert re.search(r'style="font-family: [^"]*;padding:24px 0;"', html)
    assert "<o:PixelsPerInch>" in html, "Office's settings get no style"
    style = before.partition("<style")[2].partition("</style>")[0]
    assert style in html


def test_undoing_the_edits_gives_the_original_back_byte_for_byte() -> None:
    before = html_of(render(newsletter(), Plan()))
    after = html_of(render(newsletter(), plan_of(newsletter(), *ALL)))
    assert after != before
    stripped = re.compile(r'(?: style="[^"]*"|(?<=href=")https?://[^/?#"]+(?:/TOKEN)?)')
    assert stripped.sub("", after) == stripped.sub("", before)


def test_everything_but_the_html_part_is_byte_identical() -> None:
    msg, plan = newsletter(), plan_of(newsletter(), *ALL)
    assert plan.body is not None
    start = msg.body.index(b"<!DOCTYPE")
    assert plan.body[:start] == msg.body[:start]
    assert plan.body.endswith(msg.body[msg.body.index(b"</html>") :])
    assert calls(plan.headers) == ()


def test_encoded_lines_that_no_edit_touches_stay_and_none_is_longer_than_76() -> None:
    msg, plan = newsletter(), plan_of(newsletter(), "trackclicks")
    assert plan.body is not None
    lines = set(plan.body.split(b"\r\n"))
    kept = [line for line in msg.body.split(b"\r\n") if line in lines]
    assert len(kept) > 0.7 * msg.body.count(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert plan.body.replace(b"\r\n", b"").count(b"\n") == 0


def test_an_html5_parser_sees_the_same_tree_but_for_style_and_href() -> None:
    before = html_of(render(newsletter(), Plan()))
    after = html_of(render(newsletter(), plan_of(newsletter(), *ALL)))
    assert outline(after) == outline(before)


def test_the_standard_library_reads_the_same_structure_and_headers() -> None:
    one, two = parsed(render(newsletter(), Plan())), parsed(render(newsletter(), plan_of(newsletter(), *ALL)))
    assert two.items() == one.items()
    assert [part.get_content_type() for part in two.walk()] == [
        part.get_content_type() for part in one.walk()
    ]
    assert not any(part.defects for part in two.walk())


def test_the_plan_says_what_was_applied_and_what_it_took() -> None:
    plan = plan_of(newsletter(), *ALL, tags=("autumn",))
    assert plan.applied == ("inlinecss", "trackclicks", "preventscam", "tags")
    assert plan.tags == ("autumn",)
    assert plan.skipped == {}
    assert set(plan.seconds) == {"view", "inlinecss", "trackclicks", "render"}


def test_without_a_feature_nothing_changes() -> None:
    plan = plan_of(newsletter())
    assert (plan.body, plan.headers, plan.applied) == (None, None, ())
