"""images=hosted: embedded images go out of the message exactly when nothing refers to them any more."""

from __future__ import annotations

import base64
import email
import email.policy
from dataclasses import replace

import pytest

from gatepost_core.domain.images import QuotaError
from gatepost_milter.editing.message import Message, Plan, render
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.context import Context

from .making import HOSTED, context, host, plan_of
from .test_pipeline import html, multipart

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 40
URL = host(PNG, "image/png")


def image(cid: str = "a@b", data: bytes = PNG, more: str = "") -> str:
    text = base64.encodebytes(data).decode().strip()
    return f"Content-Type: image/png\nContent-Transfer-Encoding: base64\nContent-ID: <{cid}>\n{more}\n{text}"


def hosted(msg: Message, **values: bool) -> Plan:
    plan = plan_of(msg, images="hosted", **values)
    assert plan.notes == ()
    return plan


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<img src="cid:a@b">', f'<img src="{URL}">'),
        ("<img src=CID:a%40b>", f"<img src={URL}>"),
        ("<img srcset='cid:a@b 1x, https://x.test/ 2x'>", f"<img srcset='{URL} 1x, https://x.test/ 2x'>"),
        ("<td background=' cid:a&#64;b '>", f"<td background='{URL}'>"),
        ("<p style='background:url(cid:a@b)'>", f"<p style='background:url({URL})'>"),
        ("<style>p{background:url('cid:a@b')}</style>", f"<style>p{{background:url('{URL}')}}</style>"),
        ("<!--[if mso]><v:fill src='cid:a@b'><![endif]-->", f"<!--[if mso]><v:fill src='{URL}'><![endif]-->"),
    ],
)
def test_an_image_whose_every_reference_was_rewritten_is_taken_out(before: str, after: str) -> None:
    plan = hosted(multipart(html(before), image(), image("c@d"), kind="related"))
    assert plan.body == multipart(html(after), image("c@d"), kind="related").body
    assert plan.applied == ("images",)
    assert plan.skipped["images"] == "part 3 stays: it is not referred to"


def test_what_the_quota_has_no_room_for_stays_embedded_and_the_reason_is_told() -> None:
    small, large = PNG, PNG + b"x" * 1000

    def tight(data: bytes, content_type: str) -> str:
        if len(data) > 100:
            raise QuotaError(100)
        return host(data, content_type)

    msg = multipart(
        html('<img src="cid:a@b"><img src="cid:c@d"><p style="background:url(cid:c@d)">'),
        image(),
        image("c@d", large),
        kind="related",
    )
    plan = process(msg, replace(context(images="hosted"), host=tight))
    assert isinstance(plan, Plan)
    after = html(
        f'<img src="{host(small, "image/png")}"><img src="cid:c@d"><p style="background:url(cid:c@d)">'
    )
    assert plan.body == multipart(after, image("c@d", large), kind="related").body
    assert plan.applied == ("images",)
    assert plan.skipped == {
        "images": "part 3 stays: it would take the account's hosted images over its 100 bytes"
    }
    assert plan.notes == ()


def test_the_message_left_is_a_valid_multipart_also_with_one_part() -> None:
    plan = hosted(multipart(html('<img src="cid:a@b">'), image(), kind="related"))
    assert plan.body is not None
    raw = render(multipart(html('<img src="cid:a@b">'), image(), kind="related"), plan)
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/related", "text/html"]
    assert not any(part.defects for part in parsed.walk())


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((html('<img src="cid:a@b"><a href="cid:a@b">x</a>'), image()), "is referred to where it cannot be"),
        ((html('<img src="cid:a@b"><p style=background:url(cid:a@b)>'), image()), "is referred to where it"),
        ((html('<img src="cid:a@b">'), html('\udcff<img src="cid:a@b">'), image()), "where nothing can be"),
        (
            (html('<img src="cid:a@b">'), "Content-Type: text/calendar\n\ncid:a@b", image()),
            "is referred to by a part that is not HTML",
        ),
        (
            (html('<img src="cid:a@b">'), html("cid:a@b", "Content-Disposition: attachment\n"), image()),
            "is referred to by a part that is not HTML",
        ),
    ],
)
def test_an_image_that_something_still_refers_to_stays(parts: tuple[str, ...], reason: str) -> None:
    msg = multipart(*(part.replace("\udcff", "QQ") for part in parts), kind="related")
    msg = Message(msg.headers, msg.body.replace(b"QQ", b"\xff"))
    plan = hosted(msg)
    assert plan.body is not None
    assert image().replace("\n", "\r\n").encode() in plan.body
    assert reason in plan.skipped["images"]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((html('<img src="cid:a@b">'), image(data=b"<svg>")), "part 2 is no image that can be hosted"),
        ((html('<img src="cid:a@b">'), image(data=PNG * 30)), "part 2 is larger than 1000 bytes"),
        ((html('<img src="cid:a@b">'), image(), image()), "has a Content-ID that others have"),
        (
            (html('<img src="cid:a@b">'), image(more="Content-Location: a.png\n")),
            "part 2 has a Content-Location",
        ),
        ((image(), html('<img src="cid:a@b">')), "part 1 holds its multipart together"),
        ((html('<img src="cid:a@b">'), image().replace("base64\n", "x-odd\n")), "unknown transfer encoding"),
        ((html("<p>x</p>"), "Content-Type: image/png\n\nx"), "no embedded image"),
    ],
)
def test_an_image_that_is_not_hosted_has_a_reason_and_nothing_changes(
    parts: tuple[str, ...], reason: str
) -> None:
    whole = context(images="hosted")
    small = Context(whole.features, host=host, image_size_limit=1000)
    plan = process(multipart(*parts, kind="related"), small)
    assert isinstance(plan, Plan)
    assert plan.body is None
    assert reason in plan.skipped["images"]


def test_a_store_that_cannot_be_written_leaves_the_image_in_the_message() -> None:
    def broken(_data: bytes, _content_type: str) -> str:
        raise OSError(28, "No space left on device")

    msg = multipart(html('<img src="cid:a@b">'), image(), kind="related")
    plan = process(msg, Context(context(images="hosted").features, host=broken))
    assert isinstance(plan, Plan)
    assert plan.body is None
    assert "the image store cannot be written" in plan.skipped["images"]
    assert "No space left" in plan.notes[0]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("a fault of ours")])
def test_a_fault_after_the_first_image_of_a_part_leaves_that_one_in_the_message_too(error: Exception) -> None:
    """Its reference stays as it was, in a way of writing that a search for its name does not find."""

    def once(data: bytes, content_type: str) -> str:
        if b"second" in data:
            raise error
        return host(data, content_type)

    page = html('<img src="cid:a&copy=b"><img src="cid:c@d">')
    msg = multipart(page, image("a&copy=b"), image("c@d", data=PNG + b"second"), kind="related")
    plan = process(msg, Context(context(images="hosted").features, host=once))
    assert isinstance(plan, Plan)
    assert plan.body is None
    assert "images" not in plan.applied


def test_a_rule_that_is_inlined_refers_to_the_hosted_image() -> None:
    style = "<style>p{background:url(cid:a@b)}</style><p>x"
    msg = multipart(html(style), image(), kind="related")
    plan = hosted(msg, inlinecss=True)
    assert plan.body is not None
    assert b"cid:" not in plan.body
    assert plan.body.count(HOSTED.encode()) == 2
    assert b"image/png" not in plan.body
