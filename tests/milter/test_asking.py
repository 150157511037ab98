"""Features asked one after another: they work together, and what goes wrong in one costs no other's edits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gatepost_core.domain import CATALOGUE
from gatepost_milter.editing.headers import Headers
from gatepost_milter.editing.message import Plan, render
from gatepost_milter.features.order import FEATURES
from gatepost_milter.features.trackclicks import TrackClicks
from gatepost_milter.html.part import Outcome
from gatepost_milter.pipeline import process
from gatepost_milter.surgery.asking import ask
from gatepost_milter.surgery.feature import Change, Feature, NotPossible
from gatepost_milter.surgery.letter import Letter, Page
from gatepost_milter.surgery.record import Record

from .making import HOSTED, PREFIX, context, message
from .test_hosted_images import image
from .test_pipeline import LINK, TRACKED, html, multipart


class Faulty(Feature):
    """Adds a mark to each part; ``at`` is the number of the one where it fails."""

    name = "faulty"
    reads_html = True
    at = "2"

    def edits(self, page: Page) -> Outcome:
        if page.part.number == self.at:
            raise RuntimeError("a fault of ours")
        return Outcome([(0, 0, "<!-- seen -->")])


class FaultyAtFirst(Feature):
    name = "faulty"

    def __init__(self, letter: Letter) -> None:
        super().__init__(letter)
        raise KeyError("nothing is there")


class FaultyAtLast(Feature):
    name = "faulty"

    def finish(self, headers: Headers) -> Change:
        raise ValueError(f"{len(tuple(headers))} header fields are not enough")


class Overlapping(Feature):
    """Wants the same place of the second part as trackclicks does."""

    name = "overlapping"
    reads_html = True

    def edits(self, page: Page) -> Outcome:
        at = page.html.text.index("https")
        return Outcome([(at, at + 3, "x")] if page.part.number == "2" else [])


def asked(*kinds: type[Feature], text: Any = None) -> Plan:
    ctx = context("trackclicks")
    return ask(kinds, text or multipart(html(), html()), ctx, ctx.features, Record(), None)


def test_a_fault_in_one_part_costs_that_features_edits_of_that_part() -> None:
    msg = multipart(html(), html())
    plan = asked(Faulty, TrackClicks)
    assert plan.body == msg.body.replace(LINK.encode(), b"<!-- seen -->" + TRACKED.encode(), 1).replace(
        LINK.encode(), TRACKED.encode()
    )
    assert plan.applied == ("faulty", "trackclicks")
    assert plan.skipped == {"faulty": "internal error"}
    assert plan.notes == ("faulty: RuntimeError: a fault of ours",)


@pytest.mark.parametrize("faulty", [FaultyAtFirst, FaultyAtLast])
def test_a_fault_before_or_after_all_parts_costs_that_feature_alone(faulty: type[Feature]) -> None:
    msg = multipart(html(), html())
    plan = asked(faulty, TrackClicks)
    assert plan.body == msg.body.replace(LINK.encode(), TRACKED.encode())
    assert (plan.applied, plan.skipped) == (("trackclicks",), {"faulty": "internal error"})


def test_two_features_that_want_one_place_leave_that_part_as_it_came() -> None:
    msg = multipart(html(), html())
    plan = asked(TrackClicks, Overlapping)
    assert plan.body == msg.body.replace(LINK.encode(), TRACKED.encode(), 1)
    assert "HTML part 2 edits overlap" in plan.skipped["trackclicks"]


def test_a_feature_whose_edits_could_not_be_written_is_not_on_record_as_one_that_acted() -> None:
    text = b'<a href="https://shop.example.org/">\x1b$B$"\x1b(B\x1b(B</a>'  # not written so again
    msg = message(b"From: a@b\nContent-Type: text/html; charset=iso-2022-jp\n\n" + text)
    plan = asked(TrackClicks, text=msg)
    assert (plan.body, plan.applied) == (None, ())
    assert "does not come out the same" in plan.skipped["trackclicks"]


def test_what_a_feature_changes_the_next_one_finds() -> None:
    class First(Feature):
        name = "first"

        def finish(self, headers: Headers) -> Change:
            return Change(headers=headers.without(lambda header: header.name == b"X-A"))

    class Second(Feature):
        name = "second"

        def finish(self, headers: Headers) -> Change:
            if any(header.name == b"X-A" for header in headers):
                return Change(done=True)
            raise NotPossible("it is gone")

    plan = asked(First, Second, text=message("From: a@b\nX-A: 1\n\nx"))
    assert (plan.applied, plan.skipped) == (("first",), {"second": "it is gone"})


def test_whatever_can_be_switched_on_has_an_object_that_does_it() -> None:
    names = [kind.name for kind in FEATURES]
    options = ["headers", "headers", "edit_signed"]  # fields removed, fields added, signatures that break
    # dkim signs what these have made, tracking says how two of them do it.
    assert sorted([*names, "dkim", "tracking"]) == sorted([*CATALOGUE, *options])


STYLED = html('<style>p{background:url(cid:a@b)}</style><p>x <img src="cid:a@b">')


def test_an_image_that_a_rule_brings_into_a_style_attribute_is_hosted_there_too() -> None:
    msg = multipart(STYLED, image(), kind="related")
    plan = process(msg, context("inlinecss", "trackopens", images="hosted"))
    assert isinstance(plan, Plan)
    assert plan.applied == ("inlinecss", "trackopens", "images")
    raw = render(msg, plan).decode()
    assert f'style="background: url({HOSTED}' in raw
    assert "cid:" not in raw
    assert "image/png" not in raw


def test_where_an_image_cannot_be_kept_the_styles_stay_as_they_are_and_the_image_in_the_message() -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    msg = multipart(STYLED, image(), kind="related")
    plan = process(msg, replace(context("inlinecss", "trackclicks", images="hosted"), host=full))
    assert isinstance(plan, Plan)
    assert plan.applied == ("inlinecss",)
    assert plan.skipped["images"].startswith("the image store cannot be written")
    assert b'style="background: url(cid:a@b)"' in render(msg, plan)
    assert PREFIX.encode() not in render(msg, plan)
