"""What ``script/bench`` measures, and which figure it holds against which."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from gatepost_bench.letters import Mailing
from gatepost_bench.mail import Figures, Variant
from gatepost_core.domain import CATALOGUE, FeatureValue
from gatepost_core.domain.features import SETTABLE, Feature

_HTML = Path(__file__).resolve().parents[2] / "tests/milter/messages/newsletter.eml"
_TEXT = Path(__file__).parent / "text-4kb.eml"
_FEATURES = {"inlinecss": True, "trackclicks": True, "preventscam": True}


def _on(feature: Feature) -> FeatureValue:
    if feature.kind == "choice":
        return next(choice for choice in reversed(feature.choices) if choice != feature.default)
    return ("autumn",) if feature.kind == "labels" else True


_EVERY = {name: _on(CATALOGUE[name]) for name in SETTABLE}
_QUOTED, _BASE64 = Mailing("quoted-printable"), Mailing("base64")
_ALONE, _FLOOR, _THROUGH, _HTML_ALONE, _HTML_THROUGH, _HTML_FEATURES = (
    "Postfix alone, 4 kB text",
    "Milter and policy that do nothing, 4 kB text",
    "Gatepost passing through, 4 kB text",
    "Postfix alone, HTML newsletter",
    "Gatepost passing through, HTML newsletter",
    "Gatepost, inlinecss + trackclicks + preventscam",
)
_LIMITED = "Gatepost passing through, four limits, 4 kB text"
_OPENDKIM, _SIGNED, _ALL_RSA, _ALL_BOTH = (
    "opendkim signing RSA-2048 only, HTML newsletter",
    "Gatepost, dkim alone, RSA-2048",
    "Gatepost, all of these and dkim, RSA-2048",
    "Gatepost, all of these and dkim, RSA-2048 and Ed25519",
)
_OPENDKIM_QUOTED, _OPENDKIM_BASE64, _PERSONAL_QUOTED, _PERSONAL_BASE64, _PERSONAL_SAME = (
    "opendkim signing RSA-2048 only, personal mail",
    "opendkim signing RSA-2048 only, personal mail, base64",
    "Gatepost, every feature, RSA-2048, personal mail",
    "Gatepost, every feature, RSA-2048, personal mail, base64",
    "Gatepost, every feature, RSA-2048, personal mail, all of it the same",
)
VARIANTS = [
    Variant(_ALONE, _TEXT, None, "alone"),
    Variant(_FLOOR, _TEXT, None, "floor"),
    Variant(_THROUGH, _TEXT, {}, "full"),
    Variant(
        _LIMITED,
        _TEXT,
        {},
        "full",
        limits=("1M/hour", "recipients=10M/day"),
        account_limits=("10M/day", "bytes=1T/month"),
    ),
    Variant(_HTML_ALONE, _HTML, None, "alone"),
    Variant(_HTML_THROUGH, _HTML, {}, "full"),
    Variant(_HTML_FEATURES, _HTML, _FEATURES, "full"),
    Variant(_OPENDKIM, _HTML, None, "opendkim"),
    Variant(_SIGNED, _HTML, {"dkim": True}, "rsa"),
    Variant(_ALL_RSA, _HTML, {**_FEATURES, "dkim": True}, "rsa"),
    Variant(_ALL_BOTH, _HTML, {**_FEATURES, "dkim": True}, "full"),
    Variant(_OPENDKIM_QUOTED, _QUOTED, None, "opendkim"),
    Variant(_PERSONAL_QUOTED, _QUOTED, _EVERY, "rsa"),
    Variant(_PERSONAL_SAME, Mailing("quoted-printable", same=True), _EVERY, "rsa"),
    Variant(_OPENDKIM_BASE64, _BASE64, None, "opendkim"),
    Variant(_PERSONAL_BASE64, _BASE64, _EVERY, "rsa"),
]
Quantity = Literal["rate", "plugins_ms", "events_ms", "postfix_ms"]


class Row(NamedTuple):
    """One line of the second table: a variant's figure against another's, and the goal."""

    work: str
    variant: str
    quantity: Quantity
    reference: str
    against: Quantity
    goal: str = ""

    @property
    def unit(self) -> str:
        """The unit of both figures."""
        return "/s" if self.quantity == "rate" else "ms"

    def values(self, figures: dict[str, Figures]) -> tuple[float, float] | None:
        """Return both figures; None where one of the variants was left out."""
        if self.variant not in figures or self.reference not in figures:
            return None
        measured: float = getattr(figures[self.variant], self.quantity)
        reference: float = getattr(figures[self.reference], self.against)
        return measured, reference


def _dkim(variant: str, reference: str, goal: str = "") -> Row:
    work = f"{variant}, plug-ins' CPU, against opendkim's"
    return Row(work, variant, "plugins_ms", reference, "plugins_ms", goal)


_NOTHING = "the same, a milter and a policy that do nothing"
_THROUGH_CPU = "pass-through, plug-ins' CPU, against Postfix's"
ROWS = [
    Row("pass-through, rate, against servers that do nothing", _THROUGH, "rate", _FLOOR, "rate", "≥ 0.9"),
    Row(_THROUGH_CPU, _THROUGH, "plugins_ms", _ALONE, "postfix_ms", "≤ 0.30"),
    Row(_NOTHING, _FLOOR, "plugins_ms", _ALONE, "postfix_ms", "floor"),
    Row("the same, gatepost-events: spool to store", _THROUGH, "events_ms", _ALONE, "postfix_ms", "≤ 0.10"),
    Row("four limits, plug-ins' CPU", _LIMITED, "plugins_ms", _THROUGH, "plugins_ms", "≤ 0.10 ms more"),
    Row("features on HTML, rate, against Postfix alone", _HTML_FEATURES, "rate", _HTML_ALONE, "rate"),
    Row(
        "features on HTML, plug-ins' CPU, against Postfix's",
        _HTML_FEATURES,
        "plugins_ms",
        _HTML_ALONE,
        "postfix_ms",
    ),
    _dkim(_SIGNED, _OPENDKIM),
    _dkim(_ALL_RSA, _OPENDKIM, "≤ 1.0"),
    _dkim(_ALL_BOTH, _OPENDKIM),
    Row("all features and dkim, rate, against opendkim's", _ALL_RSA, "rate", _OPENDKIM, "rate"),
    _dkim(_PERSONAL_QUOTED, _OPENDKIM_QUOTED, "≤ 1.0"),
    _dkim(_PERSONAL_BASE64, _OPENDKIM_BASE64, "≤ 1.0"),
    _dkim(_PERSONAL_SAME, _OPENDKIM_QUOTED, "≤ 0.85"),
]
