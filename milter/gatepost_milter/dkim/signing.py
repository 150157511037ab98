"""Who signs a message, and the step that does it: after every other change (RFC 6376 section 5).

The first author's domain signs if each author's is registered by the credential's own account, or granted to
it: another account's keys are never used, and no author is vouched for along with another. Pure but for the
look-up that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import perf_counter

from gatepost_core.domain import Credential, Defer, Reject, SenderDomain
from gatepost_core.domain.rules import UNREADABLE, normal_domain
from gatepost_core.keys import Keyring, KeyringError
from gatepost_core.keys.dkim_keys import active_keys
from gatepost_core.postfix import queue_size_limit
from gatepost_core.settings import DkimSettings, Settings
from gatepost_milter.dkim.keys import KeyCache
from gatepost_milter.dkim.signature import SignatureError, signatures
from gatepost_milter.dkim.transport import prepare
from gatepost_milter.editing.message import Message, Plan, new_headers

FEATURE = "dkim"
# Left free below Postfix's limit for what signing adds: signatures, broken lines, folds.
HEAD_ROOM = 16384
_HEAD_ROOM_SHARE = 100

Find = Callable[[str], SenderDomain | None]


@dataclass(frozen=True, slots=True)
class Choice:
    """The domain that signs, or None with the reason why nobody does."""

    domain: SenderDomain | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes: above ``encode`` no body is encoded, above ``queue`` Postfix refuses a message. 0: no limit."""

    encode: int = 0
    queue: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Return what these settings say."""
        return cls(settings.milter.edit_size_limit, queue_size_limit(settings))


class Signing:
    """Chooses and signs. One for a process; its methods may run in many threads."""

    def __init__(self, settings: DkimSettings, keyring: Keyring, limits: Limits | None = None) -> None:
        self._settings = settings
        self._keys = KeyCache(keyring)
        self._limits = limits or Limits()

    def choose(
        self, find: Find, credential: Credential, authors: Sequence[str], now: datetime
    ) -> Choice | Reject:
        """Return who signs for a message by these From addresses, or its refusal."""
        domains = _domains(authors)
        whys = (_unusable(find(name), name, credential.account_id, now) for name in domains)
        why = next(filter(None, whys), "") or _unreadable(authors)
        if not why:
            return Choice(find(domains[0]))
        if self._settings.unregistered == "refuse":
            return _refused(why)
        if self._settings.unregistered == "default":
            return self._default(find, why, now)
        return Choice(None, why)

    def refusal(self, find: Find, credential: Credential, authors: Sequence[str]) -> Reject | None:
        """Return why a message that asks for no signature is refused: ``unregistered`` says so."""
        if self._settings.unregistered != "refuse":
            return None
        whys = (_unregistered(find(name), name, credential.account_id) for name in _domains(authors))
        why = next(filter(None, whys), "") or _unreadable(authors)
        return _refused(why) if why else None

    def _default(self, find: Find, why: str, now: datetime) -> Choice:
        name = normal_domain(self._settings.default_domain)
        domain = find(name)
        if domain is None or not active_keys(domain.keys, now):
            return Choice(None, f"{why}; dkim.default_domain {name} is not registered, or has no active key")
        return Choice(domain)

    def apply(self, message: Message, plan: Plan, choice: Choice, now: datetime) -> Plan | Defer:
        """Return ``plan`` with the signatures of its outcome, or a Defer when a key cannot be opened."""
        if choice.domain is None:
            return replace(plan, skipped={**plan.skipped, FEATURE: choice.reason})
        began = perf_counter()
        try:
            signed = self._signed(message, plan, choice.domain, now)
        except KeyringError as error:
            return Defer(451, "4.7.0", "The message cannot be signed now; try again later", f"dkim: {error}")
        except SignatureError as error:
            return replace(plan, skipped={**plan.skipped, FEATURE: str(error)})
        return replace(signed, seconds={**plan.seconds, FEATURE: perf_counter() - began})

    def _signed(self, message: Message, plan: Plan, domain: SenderDomain, now: datetime) -> Plan:
        keys = self._keys.keys(domain, now)
        prepared = prepare(
            new_headers(message, plan),
            message.body if plan.body is None else plan.body,
            encode_8bit=self._settings.encode_8bit,
            most=self._limits.encode,
            limit=room(self._limits.queue),
        )
        body = plan.body if prepared.body is None else prepared.body
        fields = signatures(
            prepared.headers,
            message.body if body is None else body,
            domain.name,
            keys,
            self._times(now, max(now, plan.send_at or now)),
            unsignable=prepared.unsignable,
        )
        return replace(
            plan,
            # RSA, which every verifier knows, stands first.
            headers=prepared.headers.on_top(*fields),
            body=body,
            applied=(*plan.applied, FEATURE),
            notes=(*plan.notes, *prepared.notes),
        )

    def _times(self, now: datetime, sent: datetime) -> tuple[int, int | None]:
        """Return when it is signed, and when that ends, which counts from when the message is sent."""
        days = self._settings.expire_days
        return int(now.timestamp()), int((sent + timedelta(days=days)).timestamp()) if days else None


def room(limit: int) -> int:
    """Return what other edits may make of a message that is signed after them; ``limit`` 0 is none."""
    return limit - limit // _HEAD_ROOM_SHARE - HEAD_ROOM if limit else 0


def _domains(authors: Sequence[str]) -> list[str]:
    """Return the domains of the addresses that can be read, each once."""
    names = [normal_domain(author.rpartition("@")[2]) for author in authors if author != UNREADABLE]
    return list(dict.fromkeys(names))


def _unreadable(authors: Sequence[str]) -> str:
    """Return why nobody can say who all the authors are; empty if one can."""
    if not authors:
        return "the From header holds no address"
    return "the From header holds an address that cannot be read" if UNREADABLE in authors else ""


def _unregistered(domain: SenderDomain | None, name: str, account_id: int) -> str:
    """Return why a From domain is none of an account's; empty if it is."""
    if domain is not None and domain.usable_by(account_id):
        return ""
    return f"{name} is not a registered sender domain of this account"


def _unusable(domain: SenderDomain | None, name: str, account_id: int, now: datetime) -> str:
    """Return why a From domain cannot sign; empty if it can."""
    if domain is None or not domain.usable_by(account_id):
        return _unregistered(domain, name, account_id)
    return "" if active_keys(domain.keys, now) else f"{name} has no active key"


def _refused(why: str) -> Reject:
    return Reject(550, "5.7.1", f"The message cannot be signed: {_ascii(why)}", "From not registered")


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")
