"""HTML beyond what is read of one message stays as it came, with a reason; what comes before it is edited."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Callable

import pytest

from gatepost_milter.editing.message import Message, render
from gatepost_milter.html.room import BYTES_MOST, CONDITIONALS_MOST, TAGS_MOST

from ..steps import World
from .making import HOSTED, html_message, message, plan_of
from .test_hosted_images import image
from .test_pipeline import LINK, TRACKED, html, multipart

EVERY = ("trackclicks", "trackopens", "inlinecss", "preventscam")
FEW = LINK.count("<")


def tags(number: int) -> str:
    """Return HTML of so many tags, those of a link among them."""
    return LINK + "<b>\n" * (number - FEW)


def conditionals(number: int) -> str:
    return LINK + "<!--[if a]>\n<b><![endif]-->\n" * number


def test_a_message_with_as_many_tags_as_are_read_is_edited_and_one_with_more_is_untouched() -> None:
    most, more = html_message(tags(TAGS_MOST)), html_message(tags(TAGS_MOST + 1))
    assert plan_of(most, "trackclicks").body == most.body.replace(LINK.encode(), TRACKED.encode())
    plan = plan_of(more, *EVERY)
    assert (plan.body, plan.headers, plan.applied) == (None, None, ())
    assert plan.skipped == dict.fromkeys(EVERY, f"the HTML body has more than {TAGS_MOST} tags")


@pytest.mark.parametrize(
    ("make", "size", "reason"),
    [
        (tags, TAGS_MOST, f"would make more than {TAGS_MOST} tags"),
        (conditionals, CONDITIONALS_MOST, f"would make more than {CONDITIONALS_MOST} conditional comments"),
        (lambda size: LINK + "\nx" * (size // 3), BYTES_MOST, f"would make more than {BYTES_MOST} bytes"),
    ],
)
def test_all_parts_share_what_is_read_and_one_that_is_beyond_keeps_no_smaller_one_out(
    make: Callable[[int], str], size: int, reason: str
) -> None:
    large, small = make(size * 3 // 5), make(size // 5)
    msg = multipart(html(large), html(large), html(small))
    plan = plan_of(msg, "trackclicks")
    parts = msg.body.split(LINK.encode())
    edited = TRACKED.encode().join([parts[0], LINK.encode().join(parts[1:3]), parts[3]])
    assert plan.body == edited
    assert plan.applied == ("trackclicks",)
    assert plan.skipped == {"trackclicks": f"HTML part 2 {reason}, with the HTML before it"}


def test_a_part_that_was_read_lately_takes_its_room_again() -> None:
    part = html(tags(TAGS_MOST // 8))
    plan = plan_of(multipart(*[part] * 10), "trackclicks")
    assert plan.body is not None
    assert plan.body.count(TRACKED.encode()) == 8
    assert plan.skipped["trackclicks"].count("would make more than") == 2


def utf16(text: str) -> tuple[str, str, bytes]:
    return "utf-16-le", "base64", base64.encodebytes(text.encode("utf-16-le"))


def ebcdic(text: str) -> tuple[str, str, bytes]:
    return "cp037", "base64", base64.encodebytes(text.encode("cp037"))


def escaped(text: str) -> tuple[str, str, bytes]:
    return "utf-8", "quoted-printable", quopri.encodestring(text.encode()).replace(b"<", b"=3C")


@pytest.mark.parametrize("written", [utf16, ebcdic, escaped])
def test_tags_are_counted_as_they_are_read_however_they_are_written(
    written: Callable[[str], tuple[str, str, bytes]],
) -> None:
    charset, encoding, body = written(tags(TAGS_MOST + 1))
    head = f"From: a@b\nContent-Type: text/html; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    plan = plan_of(message(head.encode() + body), "trackclicks")
    assert plan.skipped == {"trackclicks": f"the HTML body has more than {TAGS_MOST} tags"}


def test_an_image_that_a_part_beyond_may_refer_to_stays_embedded() -> None:
    shown = '<img src="cid:a@b">'
    msg = multipart(html(shown), html(shown + tags(TAGS_MOST)), image(), kind="related")
    plan = plan_of(msg, images="hosted")
    raw = render(msg, plan)
    assert b"image/png" in raw
    assert HOSTED.encode() in raw
    assert shown.encode() in raw
    assert "stays: it may be referred to where nothing can be changed" in plan.skipped["images"]


def test_a_part_beyond_takes_next_to_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room, pipeline = world.load("gatepost_milter.html.room"), world.load("gatepost_milter.pipeline")
    features = world.load("gatepost_core.domain.features")
    ctx = world.load("gatepost_milter.surgery.context").Context(
        features.in_force(dict.fromkeys(EVERY, True)), lambda *_: "https://c.test/t", pixel="https://c.test/p"
    )
    for name, most in (("TAGS_MOST", 600), ("_AMPLE", 100)):
        monkeypatch.setattr(room, name, most)
    load = world.load("gatepost_milter.editing.message").Message

    def steps(parts: int) -> int:
        msg: Message = multipart(*[html(tags(300) + str(number)) for number in range(parts)])
        headers = tuple(
            world.load("gatepost_milter.editing.headers").Header(one.name, one.value) for one in msg.headers
        )
        return world.steps(lambda: pipeline.process(load(headers, msg.body), ctx))

    one, two, four, eight = (steps(parts) for parts in (1, 2, 4, 8))
    within, beyond = two - one, (eight - four) // 4
    assert beyond < within / 3, (one, two, four, eight)
