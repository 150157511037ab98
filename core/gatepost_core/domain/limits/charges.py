"""What a message takes of which counters: its credential's limits, and those of its account above them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from gatepost_core.domain.limits.counters import Want
from gatepost_core.domain.limits.reading import Kind, Limit
from gatepost_core.domain.limits.windows import DEFAULT_ZONE, PARTS, burst_window, window
from gatepost_core.domain.memo import Recent

if TYPE_CHECKING:
    from gatepost_core.domain.model import Credential

# Per cent of a limit at which an event tells of it.
SHARES: Final = (100, 80)
_KNOWN_MOST: Final = 5_000
_UNLIMITED_SECONDS: Final = 3_600
# What a counter may have of a limit that refuses nothing: more than there will be, and within 64 bits.
_NO_END: Final = 10**18


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a credential is held to; None, and the empty zone: what the settings say.

    ``own`` are its limits, ``account`` those of its account, in whose ``time_zone`` calendar windows begin;
    ``since``: when the account was made, in seconds since 1970.
    """

    own: tuple[Limit, ...] | None = None
    account: tuple[Limit, ...] | None = None
    time_zone: str = ""
    since: int = 0


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where nothing is set: limits of credentials and accounts, and their time zone."""

    own: tuple[Limit, ...] = ()
    account: tuple[Limit, ...] = ()
    time_zone: str = DEFAULT_ZONE


class Charge(NamedTuple):
    """A counter that a message is counted by, and of which limit: ``scope`` is credential or account.

    ``quiet``: while it has less, nobody is told and nothing is held.
    """

    want: Want
    limit: Limit
    scope: str
    name: str
    burst: bool = False
    quiet: int = 0

    @property
    def most(self) -> int:
        """How much the limit allows; of one that holds the counter itself has no end."""
        return self.limit.burst if self.burst else self.limit.most


# Without a Python function for each: several are made with each message.
_want, _charge = partial(tuple.__new__, Want), partial(tuple.__new__, Charge)


class Charges:
    """Says what a message takes, by these defaults. For many threads."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        # With each message: the counters are the same until one's window ends.
        self._known: Recent[tuple[str, bool], _Counters] = Recent(_KNOWN_MOST)

    def zone(self, credential: Credential) -> str:
        """Return the time zone of a credential's account."""
        return credential.allowance.time_zone or self._defaults.time_zone

    def of(
        self,
        credential: Credential,
        now: float,
        *,
        recipients: int = 1,
        size: int = 0,
        messages: int = 1,
        account: bool = True,
    ) -> tuple[Charge, ...]:
        """Return what a message of a credential takes; empty: it has no limits.

        ``now`` in seconds since 1970; without ``account`` only what the credential's own limits count.
        """
        key = credential.username, account
        known = self._known.get(key)
        if known is None or known.credential is not credential or not known.since <= now < known.until:
            known = self._counters(credential, int(now), account=account)
            self._known.put(key, known)
        if not known.charges:
            return ()
        amounts = {Kind.MESSAGES: messages, Kind.RECIPIENTS: recipients, Kind.BYTES: size}
        return tuple([_with(charge, amounts[charge.limit.kind]) for charge in known.charges])

    def _counters(self, credential: Credential, now: int, *, account: bool) -> _Counters:
        """Return the counters of a credential's messages at a time, with no amounts yet."""
        allowance, defaults = credential.allowance, self._defaults
        own = defaults.own if allowance.own is None else allowance.own
        shared = (defaults.account if allowance.account is None else allowance.account) if account else ()
        zone = self.zone(credential)
        found: list[Charge] = []
        for limit in own:
            found += _charges(limit, ("credential", credential.username), own_key(credential), zone, now)
        for limit in shared:
            key = account_key(credential.account_id, allowance.since)
            found += _charges(limit, ("account", credential.account), key, zone, now)
        # No window is shorter than a second, nor does one begin within a second.
        until = min([next_start(charge.want) for charge in found], default=now + _UNLIMITED_SECONDS)
        return _Counters(credential, now, until, tuple(found))


class _Counters(NamedTuple):
    """The counters of a credential's messages from ``since`` on, before ``until``."""

    credential: Credential
    since: int
    until: int
    charges: tuple[Charge, ...]


def next_start(want: Want) -> int:
    """Return when the bucket that is being filled is another one."""
    if want.first == want.start:
        return want.ends
    return want.start + (want.start - want.first) // PARTS


def _with(charge: Charge, amount: int) -> Charge:
    want, limit, scope, name, burst, quiet = charge
    key, start, first, ends, _, most = want
    return _charge((_want((key, start, first, ends, amount, most)), limit, scope, name, burst, quiet))


def own_key(credential: Credential) -> str:
    """Return what a credential's counters begin with: another one of its number, made later, has others."""
    return f"c{credential.account_id}.{credential.id}.{int(credential.created_at.timestamp())} "


def account_key(account_id: int, since: int) -> str:
    """Return what the counters of an account begin with that was made then."""
    return f"a{account_id}.{since} "


def _charges(limit: Limit, whose: tuple[str, str], key: str, zone: str, now: int) -> Iterator[Charge]:
    name = f"{key}{limit.kind.value} {limit.period.value}"
    whole = f"{name} sliding" if limit.sliding else name
    quiet = -(-limit.most * min(SHARES) // 100)
    if limit.hold:  # beside one that refuses, each counts for itself
        want = Want(f"{whole} hold", *window(limit, now, zone), 0, _NO_END)
        yield Charge(want, limit, *whose, False, quiet)
        return
    yield Charge(Want(whole, *window(limit, now, zone), 0, limit.most), limit, *whose, False, quiet)
    if limit.burst:
        want = Want(f"{whole} burst", *burst_window(limit, now), 0, limit.burst)
        yield Charge(want, limit, *whose, True, limit.burst + 1)


def with_recipients(charges: Sequence[Charge], recipients: int) -> tuple[Charge, ...]:
    """Return what the same message takes with another number of recipients."""
    return tuple([_with(one, recipients) if one.limit.kind is Kind.RECIPIENTS else one for one in charges])
