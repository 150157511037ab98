"""The feature catalogue: one table of what can be done to a message.

Command-line options, header overrides, ``explain`` and the reference page in
docs/ are generated from ``CATALOGUE``, so a feature is described in one place.
A value that is not understood raises ``FeatureError``, whose text names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from gatepost_core.domain import metadata
from gatepost_core.domain.limits.idempotency import KEY_EXPECTED, read_key
from gatepost_core.domain.texts import moment, quoted, unfit

FeatureValue: TypeAlias = bool | str | tuple[str, ...]
FeatureValues: TypeAlias = Mapping[str, FeatureValue]

_TRUE = frozenset({"1", "yes", "true", "on"})
_FALSE = frozenset({"0", "no", "false", "off"})
_TAG = re.compile(r"[^\x00-\x1f\x7f,]{1,64}")
_TAGS_MOST = 20


class FeatureError(ValueError):
    """A feature's name or value is not understood; the text names it and what may stand there."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One row of the catalogue.

    ``kind`` is ``flag`` (on or off), ``choice`` (one of ``choices``, the first being off; a credential has
    ``initial``, or the first), ``labels`` (a list of short texts) or ``text`` (what ``reader`` makes of it;
    that raises ValueError, ``takes`` says what it expects). ``needs``: what has to be there for it to act.
    ``header`` is the last part of the override's header name, ``X-Gatepost-<header>``; empty: no override.
    ``message_only``: no credential has it; a message's own header sets it.
    """

    name: str
    kind: Literal["flag", "choice", "labels", "text"]
    header: str
    help: str
    choices: tuple[str, ...] = field(default=())
    needs: str = ""
    reader: Callable[[str], str] = str
    takes: str = ""
    message_only: bool = False
    initial: str = ""

    @property
    def default(self) -> FeatureValue:
        """The value that a credential has when nothing was set."""
        if self.kind == "flag":
            return False
        if self.kind == "text":
            return ""
        return () if self.kind == "labels" else self.initial or self.choices[0]

    @property
    def expected(self) -> str:
        """What may stand as a value, in words."""
        if self.kind == "flag":
            return "on or off (also yes/no, true/false, 1/0)"
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "text":
            return self.takes
        return f"up to {_TAGS_MOST} labels of up to 64 characters, separated by commas"

    def parse(self, text: str) -> FeatureValue:
        """Return the value that ``text`` spells. Raises FeatureError."""
        word = text.strip()
        if self.kind == "labels":
            return self._labels(word)
        if self.kind == "text":
            return self._text(word)
        folded = word.lower()
        if self.kind == "choice":
            if folded in self.choices:
                return folded
            if folded in _FALSE:
                return self.choices[0]
        elif folded in _TRUE:
            return True
        elif folded in _FALSE:
            return False
        raise FeatureError(f"{self.name}: {word!r} is not understood; expected {self.expected}")

    def _text(self, word: str) -> str:
        try:
            return self.reader(word)
        except ValueError as error:
            raise FeatureError(f"{self.name}: {quoted(word)} {error}; expected {self.expected}") from None

    def _labels(self, word: str) -> tuple[str, ...]:
        labels = tuple(dict.fromkeys(label.strip() for label in word.split(",") if label.strip()))
        for label in labels:
            if found := unfit(label):
                raise FeatureError(
                    f"{self.name}: {label!r} holds {found}; expected labels of characters that can be seen"
                )
            if not _TAG.fullmatch(label):
                raise FeatureError(f"{self.name}: {label!r} is not understood; expected {self.expected}")
        if len(labels) > _TAGS_MOST:
            raise FeatureError(f"{self.name}: {len(labels)} labels; expected {self.expected}")
        return labels


CATALOGUE: Mapping[str, Feature] = MappingProxyType(
    {
        feature.name: feature
        for feature in (
            Feature(
                "trackclicks",
                "flag",
                "TrackClicks",
                "Links in HTML parts lead through the click domain, so that a click can be logged; "
                "the path of the link stays readable.",
                needs="A click domain: that of the registered From domain, or tracking.click_domain. "
                "A web server that answers there.",
            ),
            Feature(
                "trackopens",
                "flag",
                "TrackOpens",
                "Remote images lead through the click domain, so that fetching one logs an open; "
                "a message without any gets a 1x1 image.",
                needs="The same as trackclicks.",
            ),
            Feature(
                "tracking",
                "choice",
                "Tracking",
                "What trackclicks and trackopens may tell of the reader. identified: which message, the "
                "address, the program. anonymous: counts alone; an event names neither message nor "
                "recipient, address or program, and of a link no query. off: links and images stay.",
                ("off", "anonymous", "identified"),
                needs="trackclicks or trackopens.",
                initial="identified",
            ),
            Feature(
                "honeylink",
                "flag",
                "",
                "A link is added that no reader sees and no screen reader names. Programs that follow all "
                "links follow it, too: clicks of the message within ten seconds of that are a machine's.",
                needs="trackclicks: without it no click is told of.",
            ),
            Feature(
                "preventscam",
                "flag",
                "PreventScam",
                "A link whose visible text is itself a URL or a host name is left alone, so that mail "
                "programs do not warn of a scam.",
                needs="trackclicks: it leaves out links that would have been tracked.",
            ),
            Feature(
                "inlinecss",
                "flag",
                "InlineCSS",
                "Rules of <style> blocks that hold always are copied into style attributes; the blocks stay, "
                "and what they set at times only (hover, media, dark mode) still wins.",
                needs="An HTML part with a <style> block.",
            ),
            Feature(
                "trackbounces",
                "flag",
                "TrackBounces",
                "The envelope sender becomes an address at the bounce domain, so that bounces arrive here; "
                "the null sender stays.",
                needs="A registered From domain, whose bounce domain has an MX record for this server; "
                "port 25 taking bounces (postfix.ports, or postfix.bounces_by_host).",
            ),
            Feature(
                "images",
                "choice",
                "Images",
                "hosted: embedded images (cid:) are taken out, stored, and referenced by URL.",
                ("off", "hosted"),
                needs="A click domain, as trackclicks; room below the account's quota.",
            ),
            Feature(
                "unsubscribe",
                "flag",
                "Unsubscribe",
                "One-click List-Unsubscribe fields (RFC 8058) are added to a message for one recipient "
                "that has none of its own and is signed (dkim).",
                needs="dkim, one recipient, a click domain. A web server that answers there.",
            ),
            Feature(
                "privacy",
                "flag",
                "",
                "Fields that tell of the sender's program, machine or address are removed: X-Mailer, "
                "User-Agent, X-Originating-IP and the like.",
                needs="Nothing.",
            ),
            Feature(
                "feedbackid",
                "flag",
                "",
                "A Feedback-ID field is added (first tag, credential, account, sender), by which mailbox "
                "providers report complaints.",
                needs="Nothing; providers report by it only if the message is signed (dkim).",
            ),
            Feature(
                "cfbl",
                "flag",
                "",
                "CFBL-Address and CFBL-Feedback-ID (RFC 9477) are added, by which mailbox providers send "
                "complaints about the message here; the latter says which message it was.",
                needs="dkim, a registered From domain whose bounce domain is below it, bounces.feedback; the "
                "same as trackbounces of port 25.",
            ),
            Feature(
                "dkim",
                "flag",
                "",
                "The message is signed with the keys of its From domain (RSA and Ed25519), after every other "
                "change. The setting dkim.unregistered says what happens to a domain that is not registered.",
                needs="A registered From domain, whose DKIM records are published (gatepost domain check).",
            ),
            Feature(
                "tags",
                "labels",
                "Tags",
                "Labels kept with the message and with each of its events.",
                needs="Nothing.",
            ),
            Feature(
                "metadata",
                "text",
                "Metadata",
                "What a message's sender knows it by: kept and shown with its record; the field is removed.",
                needs="Nothing.",
                reader=metadata.parse,
                takes=metadata.EXPECTED,
                message_only=True,
            ),
            Feature(
                "sendat",
                "text",
                "Send-At",
                "When the message is to be sent: until then it is held. Date is that time.",
                needs="A time to come, at most hold.hours_ahead from now.",
                reader=moment,
                takes="a time of RFC 3339 with its zone, such as 2027-01-31T18:00:00Z or "
                "2027-01-31T19:00:00+01:00",
                message_only=True,
            ),
            Feature(
                "idempotency",
                "text",
                "Idempotency-Key",
                "The message is queued once for each of its recipients, however often it is sent with this "
                "key and the same content; the field is removed.",
                needs="The log of Postfix (events.log), which shows that the message was queued.",
                reader=read_key,
                takes=KEY_EXPECTED,
                message_only=True,
            ),
        )
    }
)
# Those that a credential can have.
SETTABLE = tuple([name for name, feature in CATALOGUE.items() if not feature.message_only])
DEFAULTS: FeatureValues = MappingProxyType({name: feature.default for name, feature in CATALOGUE.items()})


def parse_options(options: Iterable[str]) -> dict[str, FeatureValue]:
    """Return the values that ``NAME`` or ``NAME=VALUE`` texts spell, as the command line takes them.

    A flag without a value is on. Raises FeatureError for an unknown name, a missing
    or unusable value, or a name given twice.
    """
    values: dict[str, FeatureValue] = {}
    for option in options:
        name, equals, text = option.partition("=")
        feature = CATALOGUE.get(name.strip().lower())
        if feature is None:
            raise FeatureError(f"unknown feature {name!r}; known are {', '.join(SETTABLE)}")
        if feature.message_only:
            header = f"X-Gatepost-{feature.header}"
            raise FeatureError(
                f"{feature.name}: no credential has it; a message's own header sets it, {header}"
            )
        if not equals and feature.kind != "flag":
            raise FeatureError(f"{feature.name}: a value is missing; expected {feature.expected}")
        if feature.name in values:
            raise FeatureError(f"{feature.name}: given twice")
        values[feature.name] = feature.parse(text) if equals else True
    return values


def spell_options(values: FeatureValues) -> list[str]:
    """Return the texts of which ``parse_options`` makes these values."""
    return [f"{name}={_spelled(value)}" for name, value in values.items()]


def _spelled(value: FeatureValue) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else ",".join(value)


def in_force(*layers: FeatureValues) -> dict[str, FeatureValue]:
    """Return a value for every feature: the catalogue's default, then each layer over it.

    Names that the catalogue does not know (a newer release wrote the store) are left out.
    """
    values = dict(DEFAULTS)
    for layer in layers:
        values.update({name: value for name, value in layer.items() if name in values})
    return values
