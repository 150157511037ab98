"""The things that Gatepost knows: accounts, credentials, secrets, sender domains, messages.

Plain immutable values, as read from the store. No value here prints a secret: a
``Secret`` holds only a keyed hash and SCRAM's server-side values (RFC 5802 section 3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gatepost_core.domain.features import FeatureValues
from gatepost_core.domain.limits import Allowance, Limit
from gatepost_core.domain.limits.suspending import OwnThresholds, Suspension
from gatepost_core.domain.options import NO_ROUTE, Options
from gatepost_core.domain.rules.values import Rules


class State(StrEnum):
    """Whether a credential may be used at all."""

    ACTIVE = "active"
    DISABLED = "disabled"


class Mode(StrEnum):
    """What becomes of a credential's messages: delivered, held until released, recorded and discarded."""

    LIVE = "live"
    HOLD = "hold"
    SANDBOX = "sandbox"


class WallMode(StrEnum):
    """What becomes of mail that uses another account's domain: refused, or let pass and told."""

    ENFORCE = "enforce"
    REPORT = "report"


class Bounces(StrEnum):
    """What an account hears of reports about its mail: events and webhooks, these and the reports themselves
    at the envelope sender, or nothing by itself."""

    EVENTS = "events"
    FORWARD = "forward"
    IGNORE = "ignore"


class Source(StrEnum):
    """Which back end knows a credential's password."""

    STORE = "store"
    PAM = "pam"
    LDAP = "ldap"


@dataclass(frozen=True, slots=True)
class Account:
    """The owner of credentials and sender domains. ``name`` is unique.

    ``image_quota``: bytes that its hosted images may have; ``keep_days``: how long its messages are kept
    (0: for good); None: what the setting says. ``limits`` are those of all its credentials together (None:
    the settings'), ``time_zone`` is where its calendar begins ('': the setting's). ``rules``
    hold for credentials without such a rule of their own.
    ``route``: the way out of its credentials' mail by its name; '' for none. ``suspension``: when its
    credentials are warned and suspended, where that is not as the settings say.
    ``bounces``: what it hears of reports about its mail.
    """

    id: int
    name: str
    created_at: datetime
    image_quota: int | None = None
    keep_days: int | None = None
    limits: tuple[Limit, ...] | None = None
    time_zone: str = ""
    rules: Rules = field(default_factory=Rules)
    route: str = ""
    suspension: OwnThresholds = field(default_factory=OwnThresholds)
    bounces: Bounces = Bounces.EVENTS


@dataclass(frozen=True, slots=True)
class Derived:
    """What is derived of a generated password to be kept.

    ``digest`` is HMAC-SHA-256 of the password under the key ``key_id``; the ``scram_*``
    fields are SCRAM-SHA-256's salt, iteration count, StoredKey and ServerKey.
    """

    key_id: str
    digest: bytes = field(repr=False)
    scram_salt: bytes = field(repr=False)
    scram_iterations: int
    scram_stored_key: bytes = field(repr=False)
    scram_server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Secret(Derived):
    """Kept of one generated password. ``expires_at`` (UTC) ends a rotation's overlap; None: no end."""

    id: int
    created_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImportedSecret:
    """A password hash of another system, an argon2id text (RFC 9106); ``expires_at`` as in Secret."""

    argon2id: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """An SMTP login: who it belongs to, whether it may be used, and what it asks for.

    ``image_quota`` is its account's; ``allowance`` how much it may send, with what its account may.
    ``suspension``: why it was disabled by itself; None where somebody did it, or it is active.
    ``rules`` are in force: its ``own_rules``, and its account's where it has none.
    """

    id: int
    account_id: int
    account: str
    username: str
    label: str
    state: State
    features: FeatureValues
    rules: Rules
    created_at: datetime
    expires_at: datetime | None = None
    secrets: tuple[Secret, ...] = field(default=(), repr=False)
    source: Source = Source.STORE
    imported: ImportedSecret | None = field(default=None, repr=False)
    options: Options = field(default_factory=Options)
    mode: Mode = Mode.LIVE
    image_quota: int | None = None
    allowance: Allowance = field(default_factory=Allowance)
    suspension: Suspension | None = None
    own_rules: Rules = field(default_factory=Rules)
    account_route: str = ""

    @property
    def route(self) -> str:
        """The name of the way out that its mail takes: its own, or its account's; '' for none."""
        own = self.options.route or self.account_route
        return "" if own == NO_ROUTE else own


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A DKIM key pair of a sender domain (RFC 6376, RFC 8463).

    ``algorithm`` is ``rsa`` or ``ed25519``; ``public`` is the ``p=`` value of the DNS record;
    ``sealed_private`` is the PKCS#8 key, encrypted with the store's sealing key. It signs from
    ``activates_at`` (UTC; None: since it was made) until a newer one does, and stays published until
    ``retires_at`` (None: no end is planned).
    """

    selector: str
    algorithm: str
    public: str
    sealed_private: bytes = field(repr=False)
    created_at: datetime
    activates_at: datetime | None = None
    retires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """An account that may use a domain as if it were its own."""

    account_id: int
    account: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A name that belongs to somebody, and all below it: a sender domain, its click or its bounce domain.

    ``owners`` and ``granted`` are ids of accounts. Without an owner it is only granted: one of the gateway's
    own names. A store of an earlier release may have several owners of one click or bounce domain.
    """

    name: str
    owners: frozenset[int]
    granted: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class SenderDomain:
    """A registered From domain with the host names that serve it."""

    id: int
    account_id: int
    account: str
    name: str
    click_domain: str
    bounce_domain: str
    created_at: datetime
    keys: tuple[DkimKey, ...] = field(default=(), repr=False)
    grants: tuple[Grant, ...] = ()

    def usable_by(self, account_id: int) -> bool:
        """Say whether an account owns the domain, or was granted it."""
        return account_id == self.account_id or any(one.account_id == account_id for one in self.grants)


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """What is kept of an accepted message: on disk before the client hears 250.

    ``id`` is the message's own id (``gatepost_core.domain.ids``), ``skipped`` maps a feature that was
    asked for and not applied to the reason why. ``mode`` ``hold``: it was put into Postfix's hold queue;
    ``sandbox``: it was accepted and not delivered.
    ``metadata`` is what its sender gave it (``gatepost_core.domain.metadata``), ``message_id`` the value of
    its field Message-ID. ``account_id`` is 0 where it is not known: in records of earlier releases.
    ``status`` is what became of it so far: ``gatepost_core.domain.outcomes``.
    """

    id: str
    created_at: datetime
    credential_id: int
    username: str
    queue_id: str
    sender: str
    recipients: tuple[str, ...]
    header_from: str
    subject: str
    size: int
    size_after: int
    tags: tuple[str, ...]
    features: tuple[str, ...]
    applied: tuple[str, ...]
    skipped: Mapping[str, str]
    seconds: Mapping[str, float] = field(default_factory=dict)
    mode: Mode = Mode.LIVE
    metadata: Mapping[str, Any] = field(default_factory=dict)
    account_id: int = 0
    message_id: str = ""
    status: str = "accepted"
