"""The edits of one HTML part: opened, scanned once, given to each feature, written back once.

A part that cannot be read or written back the same is ``PartError`` with a reason in words; a fault in a
feature is kept in ``Record.notes`` and takes only that feature's edits with it. Neither touches the part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter

from gatepost_milter.css.calculator import CalculatorError, Compute, at_once
from gatepost_milter.css.weight import Allowance
from gatepost_milter.editing.edits import Edit, OverlapError, ordered
from gatepost_milter.features.context import ClickRewriter
from gatepost_milter.features.hostedimages import HostedImages
from gatepost_milter.features.inlinecss import inline
from gatepost_milter.features.trackclicks import track
from gatepost_milter.features.trackopens import in_style, pixel, remote_images
from gatepost_milter.features.urls import Redirector
from gatepost_milter.html.opened import open_html
from gatepost_milter.html.part import HtmlPart, Outcome
from gatepost_milter.html.references import References, image_references
from gatepost_milter.parts.charsets import CharsetError
from gatepost_milter.parts.mime import Part
from gatepost_milter.parts.transfer import Identity, TransferError, has_long_line, to_quoted_printable

# Reasons kept for one feature; they go into a log line.
REASONS_MOST = 5


class PartError(ValueError):
    """A part that stays as it came; the text says why."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be done to each HTML part. ``pixel``: the address of a 1x1 image for want of another.

    ``located``: the addresses that name parts of the message.
    ``allowance``: what inlinecss may take of the message's steps, over all parts; ``calculate``: who
    calculates.
    """

    inline_css: bool = False
    click: ClickRewriter | None = None
    prevent_scam: bool = False
    opens: ClickRewriter | None = None
    pixel: str = ""
    images: HostedImages | None = None
    located: frozenset[str] = frozenset[str]()
    allowance: Allowance | None = None
    calculate: Compute = at_once

    @property
    def anything(self) -> bool:
        """Whether a part has to be looked at."""
        return self.inline_css or not (self.click is None and self.opens is None and self.images is None)


@dataclass(slots=True)
class Record:
    """What was done, over all parts of one message. ``fetched``: one of its own images tells an open."""

    applied: dict[str, int] = field(default_factory=dict[str, int])
    skipped: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    notes: list[str] = field(default_factory=list[str])
    fetched: bool = False

    def skip(self, feature: str, reason: str) -> None:
        """Note why ``feature`` did not act somewhere."""
        reasons = self.skipped.setdefault(feature, [])
        if reason in reasons:
            return
        if len(reasons) < REASONS_MOST:
            reasons.append(reason)
        elif len(reasons) == REASONS_MOST:
            reasons.append("and more parts")

    def count(self, feature: str, number: int) -> None:
        """Note that ``feature`` acted in ``number`` places."""
        if number:
            self.applied[feature] = self.applied.get(feature, 0) + number

    def spend(self, step: str, since: float) -> None:
        """Add the wall time since ``since`` (of ``perf_counter``) to a step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + perf_counter() - since


@dataclass(frozen=True, slots=True)
class NewPart:
    """A part's encoded body after its edits; ``encoding`` is its new transfer encoding, None if unchanged."""

    body: bytes
    encoding: str | None = None


def operate(part: Part, raw: bytes, asked: Asked, record: Record) -> NewPart | None:
    """Return the new body of one HTML part, or None if nothing changes. Raises PartError."""
    began = perf_counter()
    try:
        opened = open_html(part.encoding, part.parameters.get("charset"), raw)
        html = opened.html
        record.spend("view", began)
        edits = ordered(_collect(html, asked, record), len(html.text))
        if asked.images is not None:
            asked.images.look_through(html, edits)
        if not edits:
            return None
        began = perf_counter()
        body = opened.written(edits)
    except (TransferError, CharsetError, OverlapError) as error:
        raise PartError(str(error)) from error
    if isinstance(opened.transfer, Identity) and has_long_line(body):
        record.spend("render", began)
        return NewPart(to_quoted_printable(body), "quoted-printable")
    record.spend("render", began)
    return NewPart(body)


def _collect(html: HtmlPart, asked: Asked, record: Record) -> list[Edit[str]]:
    """Return the edits of all features that are asked for."""
    edits: list[Edit[str]] = []
    if asked.click is not None:
        click = asked.click
        edits += _guarded("trackclicks", lambda: _tracked(html, click, asked.prevent_scam, record), record)
    if asked.images is not None or asked.opens is not None:
        edits += _images(html, asked, record)
    if asked.inline_css:
        edits += _guarded("inlinecss", lambda: _inlined(html, asked), record)
    return edits


def _images(html: HtmlPart, asked: Asked, record: Record) -> list[Edit[str]]:
    """Return the edits of references to images: those to embedded ones, and those to remote ones."""
    began = perf_counter()
    references = html.once(_references)
    record.spend("images" if asked.opens is None else "trackopens", began)
    edits: list[Edit[str]] = []
    if asked.images is not None:
        hosted = asked.images
        edits += _guarded("images", lambda: hosted.rewrite(references.common + references.some), record)
    if asked.opens is not None:
        redirector = Redirector(asked.opens, utf8=html.utf8, located=asked.located)
        edits += _guarded("trackopens", lambda: _opens(html, references, redirector, asked, record), record)
    return edits


def _references(html: HtmlPart) -> References:
    return image_references(html.scan)


def _opens(
    html: HtmlPart, references: References, redirector: Redirector, asked: Asked, record: Record
) -> Outcome:
    common = remote_images(references.common, redirector)
    some = remote_images(references.some, redirector)
    record.fetched |= bool(common.edits)
    if common.edits or not asked.pixel:
        return Outcome(common.edits + some.edits, "" if some.edits else common.reason)
    # What only Outlook fetches tells nothing of most readers.
    added = pixel(html, asked.pixel)
    return Outcome(some.edits + added.edits, added.reason)


def _inlined(html: HtmlPart, asked: Asked) -> Outcome:
    """Return what inlinecss wants changed; references to images in it are rewritten as those in the sheet."""
    outcome = inline(html, asked.allowance, asked.calculate)
    if asked.images is None and asked.opens is None:
        return outcome
    edits: list[Edit[str]] = []
    for start, end, style in outcome.edits:
        new = style
        if "url(" in new:
            if asked.images is not None:
                new = asked.images.in_style(new)
            if asked.opens is not None:
                new = in_style(new, Redirector(asked.opens, utf8=html.utf8, located=asked.located))
        edits.append((start, end, new))
    return Outcome(edits, outcome.reason)


def _tracked(html: HtmlPart, click: ClickRewriter, prevent_scam: bool, record: Record) -> Outcome:
    outcome, kept = track(html, click, prevent_scam)
    record.count("preventscam", kept)
    return outcome


def _guarded(feature: str, act: Callable[[], Outcome], record: Record) -> list[Edit[str]]:
    """Return what a feature wants changed; a fault in it costs its own edits only."""
    began = perf_counter()
    try:
        outcome = act()
    except CalculatorError as error:
        outcome = Outcome(reason=str(error))
    except OSError as error:
        record.notes.append(f"{feature}: {error}")
        outcome = Outcome(reason="the image store cannot be written")
    except Exception as error:  # noqa: BLE001  # whatever it is, the message must pass
        record.notes.append(f"{feature}: {type(error).__name__}: {error}")
        outcome = Outcome(reason="internal error")
    record.spend(feature, began)
    record.count(feature, len(outcome.edits))
    if outcome.reason:
        record.skip(feature, outcome.reason)
    return outcome.edits


def reasons(skipped: Mapping[str, list[str]]) -> dict[str, str]:
    """Return one sentence for each feature."""
    return {feature: "; ".join(why) for feature, why in skipped.items()}
