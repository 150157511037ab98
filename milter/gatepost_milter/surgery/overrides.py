"""Header fields that override a credential's features for one message.

``X-Gatepost-<Feature>`` and ``X-SMTPeter-<Feature>``, in any case. Every field whose name begins with one of
these words, the hyphen forgotten or "_" in its place, is removed before the message leaves. A name or value
that is not understood, or two that contradict each other, refuse the message: ``550 5.6.0`` naming
header and value, never a guess. A credential may have them ignored: removed unread.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatepost_core.domain import CATALOGUE, FeatureError, FeatureValue, Reject
from gatepost_core.domain.features import Feature
from gatepost_core.domain.texts import quoted
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.parts.words import decoded

_PREFIXES = ("x-gatepost-", "x-smtpeter-")
# What may be meant as one; a name that only resembles an override must not leave with the message.
_RESEMBLING = (b"x-gatepost", b"x-smtpeter")
_BEGINNINGS = (b"X-", b"x-", b"X_", b"x_")
_BY_HEADER = {feature.header.lower(): feature for feature in CATALOGUE.values() if feature.header}
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Overrides:
    """The values that the message asks for, what is left of its header (None: all), names ignored."""

    values: dict[str, FeatureValue]
    headers: Headers | None
    ignored: tuple[str, ...] = ()


def is_override(name: bytes) -> bool:
    """Say whether a field of this name is an override, or meant as one: such a field is never sent on."""
    return name[:2] in _BEGINNINGS and name.lower().replace(b"_", b"-").startswith(_RESEMBLING)


def read(headers: tuple[Header, ...], *, ignore: bool = False) -> Overrides | Reject:
    """Return the overrides among ``headers``, or the refusal of one that is not understood.

    ``ignore``: they count for nothing, and are removed; only a name that libmilter cannot be told is refused.
    """
    values: dict[str, FeatureValue] = {}
    own = [header for header in headers if is_override(header.name)]
    ignored: list[str] = []
    for header in own:
        word = header.name.decode("latin-1").strip().lower()
        if ignore and header.name.isascii():
            ignored.append(_name(header))
            continue
        try:
            feature, value = _parse(header, word)
        except FeatureError as error:
            return Reject(550, "5.6.0", str(error), "override not understood")
        if values.setdefault(feature.name, value) != value:
            return Reject(
                550,
                "5.6.0",
                f"{_name(header)}: {_shown(header)} contradicts another header for {feature.name}",
                "overrides contradict each other",
            )
    left = Headers.of(headers).without(lambda header: is_override(header.name)) if own else None
    return Overrides(values, left, tuple(dict.fromkeys(ignored)))


def _parse(header: Header, word: str) -> tuple[Feature, FeatureValue]:
    """Return the feature and value that a field asks for. Raises FeatureError."""
    feature = _BY_HEADER.get(word[len(_PREFIXES[0]) :]) if word.startswith(_PREFIXES) else None
    if feature is None:
        known = ", ".join(f"X-Gatepost-{feature.header}" for feature in _BY_HEADER.values())
        raise FeatureError(
            f"{_name(header)}: {_shown(header)} is not understood; no such header, known are {known}"
        )
    try:
        return feature, feature.parse(_text(header.value))
    except FeatureError as error:
        # The catalogue names the feature; whoever reads the reply wrote a header.
        raise FeatureError(f"{_name(header)}:{str(error).partition(':')[2]}") from None


def _text(value: bytes) -> str:
    """Return a field's value unfolded, RFC 2047 words decoded. Raises FeatureError."""
    try:
        return decoded(value.replace(b"\r", b"").replace(b"\n", b"").decode("utf-8"), strict=True)
    except ValueError:
        raise FeatureError(f"value: {value[:_SHOWN].decode('latin-1').strip()!r} cannot be decoded") from None


def _name(header: Header) -> str:
    return header.name.decode("latin-1").strip()[:80]


def _shown(header: Header) -> str:
    return quoted(header.value.decode("utf-8", "replace").strip())
