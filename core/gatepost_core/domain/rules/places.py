"""Places that a credential sends from, for a rule that holds what comes from a new one.

What they are, and the seam to what they are kept in.

A place is the country of the client's address, or its network: the autonomous system that announces it. What
no database knows is one place more (``unknown``), and so are private addresses (``private``): no address
passes because nothing is known of it. Pure.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from gatepost_core.domain.errors import RuleError, shown
from gatepost_core.domain.limits.charges import own_key

if TYPE_CHECKING:
    from gatepost_core.domain.model import Credential

PRIVATE: Final = "private"
UNKNOWN: Final = "unknown"
# Of one kind that a credential can have. Only people add to the first of them.
PLACES_MOST: Final = 100
# What a place was not used for is forgotten, in seconds: mail from there is held again.
UNUSED_SECONDS: Final = 400 * 86_400
# Of those that a reason names.
_NAMED_MOST: Final = 5
_COUNTRY: Final = re.compile(r"[A-Za-z]{2}")
_NETWORK: Final = re.compile(r"(?:[Aa][Ss])?([1-9][0-9]{0,9})")
_EXPECTED: Final = "expected something like NL, AS64500, country:unknown or network:private"


class Kind(StrEnum):
    """What a client's address is told by."""

    COUNTRY = "country"
    NETWORK = "network"


_KINDS: Final = tuple([kind.value for kind in Kind])


class Place(NamedTuple):
    """A country, by its code in ISO 3166-1 (``NL``), or a network, by its number (``AS64500``)."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"

    @property
    def word(self) -> str:
        """Return it as ``read_place`` takes it."""
        return f"{self.kind.value}:{self.name}" if self.name in (PRIVATE, UNKNOWN) else self.name


class Owner(NamedTuple):
    """Whose places are asked about.

    ``key``: another one than an earlier credential's of that name; ``since``: when it was made, since 1970.
    """

    key: str
    username: str
    since: int


class Origin(NamedTuple):
    """Where a message comes from, and what of it is looked at; ``address`` None: not known."""

    owner: Owner
    kinds: tuple[Kind, ...]
    address: str | None


class Known(NamedTuple):
    """A place that a credential has sent from.

    ``since``, ``last``: seconds since 1970; ``by``: what had it known.
    """

    place: Place
    since: int
    last: int
    by: str


class Admitted(NamedTuple):
    """Which of a message's places are new, and what is known of their kinds then, used last first."""

    new: tuple[Place, ...] = ()
    known: tuple[Place, ...] = ()


ADMITTED: Final = Admitted()


class Seen(Protocol):
    """Keeps which places credentials have sent from. For many threads; all of it raises StoreUnavailable."""

    def admit(self, owner: Owner, places: Sequence[Place], message: str, now: int) -> Admitted:
        """Return which places of a message are new; where none is, note that they were used.

        The first place of a kind is learned, by one message of many. With one that is new nothing changes.
        """
        ...

    def look(self, owner: Owner, places: Sequence[Place]) -> Admitted:
        """Return which places are new, and change nothing."""
        ...

    def teach(self, owner: Owner, places: Iterable[Place], by: str, now: int) -> Sequence[Place]:
        """Have places known; return those for which there is no room (``PLACES_MOST``)."""
        ...

    def known(self, owner: Owner) -> Sequence[Known]:
        """Return what is known, used last first."""
        ...

    def forget(self, owner: Owner, places: Iterable[Place] | None = None) -> int:
        """Forget some places, or all; return how many. Only after all, the next message teaches its own."""
        ...

    def owners(self, after: str, most: int) -> Sequence[Owner]:
        """Return owners by their keys, after one."""
        ...

    def prune(self, owner: Owner, unused_since: int) -> int:
        """Forget what was last used before; return how many places."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


def owner_of(credential: Credential) -> Owner:
    """Return whose places a credential's are."""
    return Owner(own_key(credential).strip(), credential.username, int(credential.created_at.timestamp()))


def origin_of(credential: Credential, address: str | None) -> Origin | None:
    """Return what is looked at of a message; None where the credential has no such rule."""
    kinds = credential.rules.hold_places
    return Origin(owner_of(credential), tuple(map(Kind, kinds)), address) if kinds else None


def kinds(texts: Iterable[str]) -> tuple[str, ...]:
    """Return kinds of places as people write them, each once. Raises RuleError."""
    found = set[str]()
    for text in texts:
        word = text.strip().lower() if len(text) < 20 else ""
        if word not in _KINDS:
            raise RuleError(f"{shown(text)} is nothing to tell places by; expected {' or '.join(_KINDS)}")
        found.add(word)
    return tuple([kind.value for kind in Kind if kind.value in found])


def read_place(text: str) -> Place:
    """Return a place as people write it. Raises RuleError."""
    before, colon, after = text.strip().partition(":") if len(text) < 40 else ("", "", "")
    kind, name = (before.lower(), after.strip()) if colon else ("", before)
    if kind in _KINDS and name.lower() in (PRIVATE, UNKNOWN):
        return Place(Kind(kind), name.lower())
    if kind in ("", Kind.COUNTRY.value) and _COUNTRY.fullmatch(name):
        return Place(Kind.COUNTRY, name.upper())
    number = _NETWORK.fullmatch(name)
    if kind in ("", Kind.NETWORK.value) and number and (kind or not name[0].isdecimal()):
        return Place(Kind.NETWORK, f"AS{number[1]}")
    raise RuleError(f"{shown(text)} is no place; {_EXPECTED}")


def kept(values: object) -> tuple[Place, ...]:
    """Return the places that ``plain`` wrote; what cannot be read, as of a newer release, is left out."""
    found: Mapping[str, Any] = values if isinstance(values, dict) else {}
    return tuple([Place(kind, str(found[kind])) for kind in Kind if found.get(kind)])


def plain(places: Iterable[Place]) -> dict[str, str]:
    """Return places, one of a kind, as plain values."""
    return {place.kind.value: place.name for place in places}


def normal_address(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return a client's address; one of IPv4 that is mapped into IPv6 is that. None for what is none."""
    try:
        address = ipaddress.ip_address((text or "").partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def named(kind: Kind, record: object, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """Return a place's name from what a database has of an address.

    Databases of MaxMind and DB-IP have ``country.iso_code`` and ``autonomous_system_number``, those of IPinfo
    ``country_code`` (or ``country``) and ``asn``.
    """
    has: Mapping[str, Any] = record if isinstance(record, dict) else {}
    if kind is Kind.COUNTRY:
        values = [has.get("country"), has.get("country_code"), has.get("registered_country")]
        texts = [one.get("iso_code") if isinstance(one, dict) else one for one in values]
        found = next((one for one in texts if isinstance(one, str) and _COUNTRY.fullmatch(one)), None)
        name = None if found is None else found.upper()
    else:
        number = _NETWORK.fullmatch(str(has.get("autonomous_system_number") or has.get("asn") or ""))
        name = None if number is None else f"AS{number[1]}"
    if name is not None:
        return name
    return UNKNOWN if address.is_global else PRIVATE


def reason(admitted: Admitted, address: str | None) -> str:
    """Return why a message from new places is held."""
    new = " and ".join([f"new {place}" for place in admitted.new])
    names = [place.name for place in admitted.known]
    more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
    before = f"it has sent from {', '.join(names[:_NAMED_MOST])}{more}" if names else "none is known"
    return f"{new}, client {normal_address(address) or 'not known'}; {before}"
