"""The credential that a name gets at its first login, from the operator's template.

Attributes and groups of the directory fill it in. What was made once is the operator's: later logins
change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice, product

from gatepost_core.domain import FeatureError, FeatureValue, Rules
from gatepost_core.domain.features import parse_options
from gatepost_core.domain.orders import SENDERS_MOST, is_sender
from gatepost_core.domain.rules import normal_address, normal_network

_PLACE = re.compile(r"\{([A-Za-z][A-Za-z0-9;-]*)\}")
_USER = "user"
_FILLED_MOST = 1000


class TemplateError(Exception):
    """The template cannot be used, or yields no credential for this user; the text says why."""


@dataclass(frozen=True, slots=True)
class VerifiedUser:
    """Somebody whose password is right: the credential's name, and what the directory says."""

    name: str
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewCredential:
    """What a new credential gets."""

    features: Mapping[str, FeatureValue]
    rules: Rules


class Template:
    """Checks its texts at once (TemplateError), and makes a NewCredential for each user."""

    def __init__(
        self,
        account: str,
        features: Iterable[str] = (),
        senders: Iterable[str] = (),
        networks: Iterable[str] = (),
        group_features: Iterable[str] = (),
    ) -> None:
        self.account = account
        self._senders = tuple(senders)
        try:
            self._features = parse_options(features)
            self._groups = [_group_feature(text) for text in group_features]
            self._networks = tuple(normal_network(network) for network in networks)
        except (FeatureError, ValueError) as error:
            raise TemplateError(str(error)) from error

    @property
    def attributes(self) -> frozenset[str]:
        """The attributes that the template asks for."""
        return frozenset(name for text in self._senders for name in _PLACE.findall(text)) - {_USER}

    def fill(self, who: VerifiedUser) -> NewCredential:
        """Return the credential for a user. Raises TemplateError when no sender results from attributes."""
        # Several places with many values each would make their product: no more of it than is of use.
        senders = tuple(islice(dict.fromkeys(islice(self._filled(who), _FILLED_MOST)), SENDERS_MOST + 1))
        if self._senders and not senders:
            # An empty list would mean any sender.
            raise TemplateError(f"no sender results from {', '.join(self._senders)} for {who.name}")
        if len(senders) > SENDERS_MOST:
            raise TemplateError(f"too many senders for {who.name}; at most {SENDERS_MOST}")
        features = dict(self._features)
        groups = {key for group in who.groups for key in _keys(group)}
        for group, values in self._groups:
            if group in groups:
                features.update(values)
        return NewCredential(features, Rules(senders, self._networks))

    def _filled(self, who: VerifiedUser) -> Iterator[str]:
        known = {name.lower(): values for name, values in who.attributes.items()}
        for text in self._senders:
            places = list(dict.fromkeys(_PLACE.findall(text)))
            lists = [(who.name,) if place == _USER else known.get(place.lower(), ()) for place in places]
            for values in product(*lists):
                sender = text
                for place, value in zip(places, values, strict=True):
                    sender = sender.replace(f"{{{place}}}", value)
                # What the directory fills in is an address: a domain would open all of its addresses.
                if is_sender(sender) and ("@" in sender or not places):
                    yield normal_address(sender)


def _group_feature(text: str) -> tuple[str, dict[str, FeatureValue]]:
    group, arrow, option = text.rpartition("=>")
    if not arrow or not group.strip():
        raise ValueError(f"{text!r} is not GROUP => NAME[=VALUE]")
    return _folded(group), parse_options([option.strip()])


def _keys(group: str) -> tuple[str, str]:
    """Return the names that a group goes by: its distinguished name, and the value of the first part."""
    first = re.split(r"(?<!\\),", group, maxsplit=1)[0]
    return _folded(group), _folded(first.partition("=")[2] or first)


def _folded(group: str) -> str:
    return re.sub(r"\s*([,=])\s*", r"\1", group.strip()).casefold()
