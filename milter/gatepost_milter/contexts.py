"""What the surgery is told about one message: addresses with their tokens, made only when asked for.

All of them are on the click and bounce domains of the first From domain; ``Tracking`` names a click domain
for From domains that are not registered. Raises StoreUnavailable when the domain cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from gatepost_core.domain import Credential, FeatureValue, Mode, SenderDomain, in_force, rules
from gatepost_core.domain.images import ImageStore
from gatepost_core.keys import Keyring
from gatepost_core.keys.tokens import (
    BounceTokens,
    ClickTokens,
    LinkIssuer,
    OpenTokens,
    Origin,
    PixelTokens,
    TokenError,
    TrackingMode,
    UnsubscribeTokens,
    Unsubscription,
)
from gatepost_core.postfix import queue_size_limit
from gatepost_core.settings import Settings
from gatepost_milter.css.calculator import Compute, at_once
from gatepost_milter.css.weight import Allowance
from gatepost_milter.dkim.signing import room
from gatepost_milter.surgery.context import Context, ImageHost, Tracked
from gatepost_milter.transaction import Transaction

# Paths of the click domain beside those of rewritten links, which begin with a longer token.
PIXEL_PATH, IMAGE_PATH, UNSUBSCRIBE_PATH, HONEY_PATH = "o/", "i/", "u/", "h/"
_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")
_OFF = "the feature is off"
_NOTHING = Tracked()


class Domains(Protocol):
    """What is read of the store: ``gatepost_core.store.sqlite.reader.Reader``."""

    def domain(self, name: str) -> SenderDomain | None:
        """Return a registered sender domain."""
        ...


@dataclass(frozen=True, slots=True)
class Tracking:
    """How links lead back here; ``fallback_domain`` serves From domains that are not registered.

    ``feedback``: the local part at a bounce domain to which complaints go; '' for none.
    """

    scheme: str = "https"
    fallback_domain: str = ""
    feedback: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Tracking:
        """Return what these settings say."""
        tracking = settings.tracking
        return cls(tracking.click_scheme, tracking.click_domain, settings.bounces.feedback)


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """Bytes: above ``edit`` a message is not edited; above ``queue`` Postfix refuses it. 0: no limit.

    Images larger than ``image`` stay embedded, and those for which an account's ``image_quota`` has no room.
    """

    edit: int = 0
    queue: int = 0
    image: int = 5_000_000
    image_quota: int = 1_000_000_000

    @classmethod
    def of(cls, settings: Settings) -> SizeLimits:
        """Return what these settings say; a message that is signed afterwards still has to fit the queue."""
        queue = room(queue_size_limit(settings))
        return cls(settings.milter.edit_size_limit, queue, settings.images.size_limit, settings.images.quota)


class ContextMaker:
    """Makes contexts. One for a process; for many threads. ``calculate``: who calculates style sheets."""

    def __init__(
        self,
        domains: Domains,
        keyring: Keyring,
        images: ImageStore,
        tracking: Tracking,
        limits: SizeLimits,
        *,
        calculate: Compute = at_once,
    ) -> None:
        self._domains = domains
        self._clicks, self._opens = ClickTokens(keyring), OpenTokens(keyring)
        self._pixels, self._bounces = PixelTokens(keyring), BounceTokens(keyring)
        self._unsubscribes = UnsubscribeTokens(keyring)
        self._images = images
        self._tracking = tracking
        self._limits = limits
        self._calculate = calculate

    def make(
        self,
        credential: Credential,
        authors: list[str],
        message_id: str,
        transaction: Transaction,
        *,
        overridden: bool = True,
    ) -> Context:
        """Return the context of one message. Raises StoreUnavailable.

        ``overridden``: the message's own header may turn any feature on. Otherwise what only a feature that
        is off would need is left out: making the tokens was half of the cost of a message without features.
        """
        features = in_force(credential.features)
        name = rules.normal_domain(authors[0].rpartition("@")[2]) if authors else ""
        domain = self._domains.domain(name) if name else None
        if domain is not None and not domain.usable_by(credential.account_id):
            domain = None  # another account's clicks, opens and bounces are none of this one's
        host = domain.click_domain if domain is not None else self._tracking.fallback_domain
        base = f"{self._tracking.scheme}://{host}/" if host else ""
        origin = Origin(host, credential.id, message_id)
        unsubscribe, no_unsubscribe, sender, no_sender = "", _OFF, "", _OFF
        if overridden or features["unsubscribe"]:
            unsubscribe, no_unsubscribe = self._unsubscribe(base, origin, transaction)
        if overridden or features["trackbounces"]:
            sender, no_sender = self._bounce_sender(domain, origin, transaction)
        complaints, no_complaints = "", _OFF
        if overridden or features["cfbl"]:
            complaints, no_complaints = self._complaints(domain, origin)
        tracked = partial(
            self._tracked,
            base,
            origin,
            opens=bool(overridden or features["trackopens"]),
            honey=bool(features["honeylink"]),
        )
        click, opens, pixel, honey = tracked(features["tracking"])
        return Context(
            features=features,
            click=click,
            opens=opens,
            pixel=pixel,
            honey=honey,
            tracked=tracked,
            host=self._image_host(base, credential) if base else None,
            image_size_limit=self._limits.image,
            unsubscribe=unsubscribe,
            bounce_sender=sender,
            feedback=_feedback(credential, name) if overridden or features["feedbackid"] else "",
            complaints=complaints,
            missing={"unsubscribe": no_unsubscribe, "trackbounces": no_sender, "cfbl": no_complaints},
            options=credential.options,
            edit_size_limit=self._limits.edit,
            queue_size_limit=self._limits.queue,
            allowance=Allowance(),
            calculate=self._calculate,
            owner=(credential.id, credential.created_at),
        )

    def _tracked(self, base: str, origin: Origin, mode: FeatureValue, *, opens: bool, honey: bool) -> Tracked:
        """Return what makes the addresses of a tracking mode; ``off`` asks for none."""
        if not base:
            return _NOTHING
        if mode == "anonymous":
            origin = replace(origin, mode=TrackingMode.ANONYMOUS)
        click = _Links(self._clicks.issuer, base, origin)
        hidden = f"{base}{HONEY_PATH}{self._pixels.issue(origin)}" if honey else ""
        if not opens:
            return Tracked(click, honey=hidden)
        pixel = f"{base}{PIXEL_PATH}{self._pixels.issue(origin)}.gif"
        return Tracked(click, _Links(self._opens.issuer, base, origin), pixel, hidden)

    def _unsubscribe(self, base: str, origin: Origin, transaction: Transaction) -> tuple[str, str]:
        """Return the address to unsubscribe at, or why there is none."""
        if not base:
            return "", "no click domain for the From domain"
        if not base.startswith(("https:", "http://127.0.0.1:")):  # a private stack's own has no certificate
            return "", "RFC 8058 asks for https"
        if len(transaction.recipients) != 1:
            return "", "the message has several recipients"
        told = Unsubscription(origin, transaction.recipients[0])
        try:
            return f"{base}{UNSUBSCRIBE_PATH}{self._unsubscribes.issue(told)}", ""
        except TokenError as error:
            return "", str(error)

    def _bounce_sender(
        self, domain: SenderDomain | None, origin: Origin, transaction: Transaction
    ) -> tuple[str, str]:
        """Return the envelope sender to which bounces come back, or why there is none."""
        if not transaction.sender:
            return "", "the envelope sender is empty"
        if domain is None:
            return "", "the From domain is not registered"
        if not domain.bounce_domain:
            return "", "the From domain has no bounce domain"
        host = domain.bounce_domain
        return f"{self._bounces.issue(replace(origin, host=host))}@{host}", ""

    def _complaints(self, domain: SenderDomain | None, origin: Origin) -> tuple[str, str]:
        """Return what message it is and where complaints go, or why there is nowhere."""
        if domain is None or not domain.bounce_domain:
            return "", "the From domain is not registered, or has no bounce domain"
        host = domain.bounce_domain
        if not f".{host}".endswith(f".{domain.name}"):
            return "", "the bounce domain is not below the From domain (RFC 9477 section 3.1)"
        if not self._tracking.feedback:
            return "", "no address takes complaints (bounces.feedback)"
        return f"{self._bounces.issue(replace(origin, host=host))} {self._tracking.feedback}@{host}", ""

    def _image_host(self, base: str, credential: Credential) -> ImageHost:
        """Return what keeps an image of the account; what is not delivered keeps none."""
        images = self._images.trial() if credential.mode is Mode.SANDBOX else self._images
        quota = self._limits.image_quota if credential.image_quota is None else credential.image_quota

        def host(data: bytes, content_type: str) -> str:
            return f"{base}{IMAGE_PATH}{images.put(credential.account_id, data, content_type, quota)}"

        return host


class _Links:
    """Makes the new beginning of an address: scheme, click domain and token."""

    def __init__(self, issuer: Callable[[Origin], LinkIssuer], base: str, origin: Origin) -> None:
        self._issuer = issuer
        self._made: LinkIssuer | None = None
        self._base = base
        self._origin = origin

    def __call__(self, scheme: str, authority: str, path_and_query: str) -> str | None:
        """Return what replaces ``scheme://authority``, or None for an address that must stay as it is."""
        return self.many([(scheme, authority, path_and_query)])[0]

    def many(self, links: list[tuple[str, str, str]]) -> list[str | None]:
        """Return the same for each link: scheme, authority, path and query."""
        if self._made is None:
            self._made = self._issuer(self._origin)
        base = self._base
        own = {name for name in {link[1] for link in links} if base.endswith(f"/{name.lower()}/")}
        tokens = self._made.many(links)
        if own:
            tokens = [None if link[1] in own else one for link, one in zip(links, tokens, strict=True)]
        return [None if token is None else base + token for token in tokens]


def _feedback(credential: Credential, domain: str) -> str:
    """Return Feedback-ID after its first field: credential, account, and the sender's own name.

    The last field is the one that mailbox providers ask for, 5 to 15 characters.
    """
    account = _LABEL.sub("-", credential.account)[:40]
    sender = _LABEL.sub("-", credential.account)[:15].ljust(5, "-")
    return f"{credential.id}:{account}:{sender}" if domain else ""
