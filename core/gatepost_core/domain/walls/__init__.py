"""Accounts are walls: who may use which domain. Used by policy at RCPT and DATA, by the milter at end of
message, and by what the command says of both.

A sender domain that an account registered belongs to it, with its click and bounce domain and all names below
each: the domain's SPF lets the gateway send, and so vouches for whoever sends in that name. The longest
registration wins. The gateway's own names belong to the operator. What nobody registered may be used by all.
Pure but for the look-up that is passed in; the null sender is the empty string, and always passes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gatepost_core.domain.decision import Reject
from gatepost_core.domain.model import Claim, Credential, WallMode
from gatepost_core.domain.rules import UNREADABLE, normal_domain, plain_name, readable

# RFC 1035 section 2.3.4, without the root's dot: no longer name can be registered.
NAME_MOST = 253
# On record under this name is what walls would refuse where they only report.
RECORDED = "walls"
# Each costs a look-up when it is new, and no message has as many authors.
DOMAINS_MOST = 100
TOO_MANY = Reject(
    550,
    "5.7.1",
    f"The From and Sender headers are too long, or name more than {DOMAINS_MOST} domains",
    "too many domains in From and Sender",
)


class Claims(Protocol):
    """What is read of the store (``store.sqlite.reader.Reader``). Both raise StoreUnavailable."""

    def claims(self, name: str) -> tuple[Claim, ...]:
        """Return the claims to a name in A-labels and to names above it, the longest name first."""
        ...

    def walls(self) -> WallMode:
        """Return what the store says of walls."""
        ...


@dataclass(frozen=True, slots=True)
class Wall:
    """Why an account may not use a name: ``name`` covers it, and is another's, or the gateway's own."""

    name: str
    gateways: bool = False


class Walls:
    """Holds credentials to their accounts' domains. ``own`` are the gateway's names, the first its host's.

    ``mode`` None: the store says whether walls are enforced. One for a process; for many threads.
    """

    def __init__(self, claims: Claims, own: Iterable[str] = (), mode: WallMode | None = None) -> None:
        names = [normal_domain(name) for name in own]
        self._home = names[0] if names else ""
        self._own = tuple(dict.fromkeys(filter(None, names)))
        self._claims = claims
        self._mode = mode

    def mode(self) -> WallMode:
        """Return what is in force. Raises StoreUnavailable."""
        return self._mode or self._claims.walls()

    def wall(self, account_id: int, domain: str) -> Wall | None:
        """Return what keeps an account from using a domain, as an address has it. Raises StoreUnavailable."""
        name = plain_name(domain)
        if len(name) > NAME_MOST:
            name = _end_of(name)
        return wall(name, self._claims.claims(name), self._own, account_id)

    def envelope(self, credential: Credential, sender: str) -> Reject | None:
        """Return the refusal of an envelope sender; whether it counts, ``mode`` says."""
        if not sender:
            return None
        # Without a domain it gets the gateway's own from trivial-rewrite(8).
        domain = sender.rpartition("@")[2] if "@" in sender else self._home
        found = self.wall(credential.account_id, domain)
        return None if found is None else _refusal(f"Sender address <{readable(sender)}>", found, credential)

    def headers(
        self, credential: Credential, fields: Iterable[tuple[str, Sequence[str]]], named: Iterable[str] = ()
    ) -> Reject | None:
        """Return the refusal of a message by what its header says, as in ``envelope``.

        ``fields``: each one's name and its addresses; ``named``: domains in fields that cannot be read.
        """
        seen: set[str] = set()
        for name, addresses in fields:
            for address in addresses:
                found = None if address == UNREADABLE else self._once(seen, address, credential)
                if found is not None:
                    return _refusal(f"{name} header address <{readable(address)}>", found, credential)
        for domain in named:
            found = self._once(seen, domain, credential)
            if found is not None:
                what = f"{readable(domain)}, in a header that cannot be read,"
                return _refusal(what, found, credential)
        return None

    def _once(self, seen: set[str], address: str, credential: Credential) -> Wall | Reject | None:
        domain = address.rpartition("@")[2].lower()
        if domain in seen:
            return None
        seen.add(domain)
        return TOO_MANY if len(seen) > DOMAINS_MOST else self.wall(credential.account_id, domain)


def wall(name: str, claims: Sequence[Claim], own: tuple[str, ...], account_id: int) -> Wall | None:
    """Return what keeps an account from using ``name``, in A-labels; None if nothing does.

    ``claims`` as ``Claims.claims`` returns them, ``own`` the gateway's names in A-labels.
    """
    ours = own_name(name, own) if name.endswith(own) else ""
    for claim in claims:
        if claim.owners:  # the longest registration
            if len(claim.name) < len(ours):
                break
            mine = account_id in claim.owners or account_id in claim.granted
            return None if mine else Wall(claim.name)
    if not ours or any(claim.name == ours and account_id in claim.granted for claim in claims):
        return None
    return Wall(ours, gateways=True)


def own_name(name: str, own: Collection[str]) -> str:
    """Return the longest of the gateway's names that covers ``name``, empty if none does."""
    return max([one for one in own if name == one or name.endswith(f".{one}")], key=len, default="")


def covering(name: str) -> list[str]:
    """Return a name and all above it, the longest first; of a longer text what a name can be."""
    name = _end_of(name)
    names: list[str] = []
    while name:
        names.append(name)
        name = name.partition(".")[2]
    return names


def _end_of(name: str) -> str:
    """Return the labels at the end that a name has room for."""
    return name if len(name) <= NAME_MOST else name[-NAME_MOST - 1 :].partition(".")[2]


def _refusal(what: str, found: Wall | Reject, credential: Credential) -> Reject:
    if isinstance(found, Reject):
        return found
    if found.gateways:
        return Reject(
            550,
            "5.7.1",
            f"{what} is of the gateway's own domain; credential {credential.username} may not use it",
            f"{found.name} is the gateway's own",
        )
    return Reject(
        550,
        "5.7.1",
        f"{what} is of a domain that another account registered; "
        f"credential {credential.username} may not use it",
        f"{found.name} is another account's",
    )
