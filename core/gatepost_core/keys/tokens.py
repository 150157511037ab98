"""Signed tokens: links, images and bounce addresses that only this service can make.

One format, as bytes::

    version (3 bits), key (5 bits)
    kind (2 bits), tracking mode (2), https (1), 0 (1), bytes of the credential's id less one (2)
    the credential's id (1 to 4 bytes), the message's id (13 bytes, the time among them)
    what the kind adds: the authority that a link led to, the recipient who unsubscribes
    MAC (10 bytes; of a bounce address what is left of 25 bytes in all)

The MAC is HMAC-SHA-256 over these bytes and over path and query of the link, under a key that is the HMAC of
the host that the token is for (click domain or bounce domain; lower case, no port). So a token serves at its
own host only, and a click leads rightly without a database and never anywhere else. There is one spelling of
each: URL-safe base64 without padding; bounce addresses are 40 characters of ``[a-z2-7]``, of which hosts on
the way may change the case, within the 64 bytes of a local part (RFC 5321 section 4.5.3.1.1). Keys are apart
for clicks (images too), for unsubscribing and for bounces. A token that was changed, or whose key is gone,
raises ``TokenError``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby, islice
from operator import itemgetter
from typing import ClassVar, NamedTuple

from gatepost_core.domain import ids
from gatepost_core.domain.memo import memo
from gatepost_core.keys.keyed_hash import Begun, KeyedHash
from gatepost_core.keys.keyring import Keyring, Purpose
from gatepost_core.keys.urlpaths import PathError, normal_path, normal_paths

__all__ = [
    "BounceTokens",
    "Click",
    "ClickTokens",
    "OpenTokens",
    "Origin",
    "PixelTokens",
    "TokenError",
    "TrackingMode",
    "UnsubscribeTokens",
    "Unsubscription",
    "normal_path",
]  # fmt: skip

_VERSION = 1
_MAC = 10
_ID = 13
_CLICK, _OPEN, _PIXEL, _OTHER = range(4)  # kinds; keys of their own tell others apart
_HTTPS = 0x08
_CREDENTIAL_MOST = 1 << 32
_RECIPIENT_MOST = 320
_TOKEN_MOST = 2048  # characters; an authority has at most 260
_KEY_A = ord("a")
_BOUNCE_PREFIX = "bounce-"
_BOUNCE_SIZE, _BOUNCE_LENGTH = 25, 40  # bytes, and as characters of base 32

_ORIGIN = itemgetter(0, 1)
_URL_SAFE, _USUAL = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
_FILLED = (b"", b"=", b"==", b"===")


# hmac.digest lets go of Python's lock at each call, however short the text: with dozens of links a message,
# most of the milter's task switches were that. Keys have 32 bytes (keyring.py), and there are few.
# A key of its own for each host: what has to be hashed for a link is no longer than without the host.
@memo(256)
def _keyed(key: bytes, host: str) -> KeyedHash:
    """Return what makes MACs for a host: lower case, without its port."""
    name = host.partition(":")[0].lower().encode("utf-8", "replace")
    return KeyedHash(KeyedHash(key)(name))


class TokenError(ValueError):
    """The token is not one of ours, or what it signs was changed."""


class TrackingMode(IntEnum):
    """What may be kept of who clicked: 0 and 3 are reserved. Without tracking there is no token."""

    ANONYMOUS = 1
    IDENTIFIED = 2


_MODES = {int(mode): mode for mode in TrackingMode}


@dataclass(frozen=True, slots=True)
class Origin:
    """What a token is for: the host that answers it, and whose message it stood in."""

    host: str
    credential_id: int
    message_id: str
    mode: TrackingMode = TrackingMode.IDENTIFIED


@dataclass(frozen=True, slots=True)
class Click:
    """What a click token holds: where the link led, and what it stood in."""

    scheme: str
    authority: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """What an unsubscribe token holds: who wants no more such mail, and where it was said."""

    origin: Origin
    recipient: str


def _head(key_id: str, kind: int, origin: Origin) -> bytes:
    """Return a token's beginning. Raises TokenError for a credential that no token can name."""
    credential = origin.credential_id
    if not 0 <= credential < _CREDENTIAL_MOST:
        raise TokenError(f"not a credential: {credential}")
    size = max((credential.bit_length() + 7) // 8, 1)
    first = _VERSION << 5 | ord(key_id) - _KEY_A
    return (
        bytes((first, kind << 6 | origin.mode << 4 | size - 1))
        + credential.to_bytes(size, "big")
        + ids.to_bytes(origin.message_id)
    )


def _read(raw: bytes, kind: int, host: str) -> tuple[str, Origin, bytes]:
    """Return key id, origin and what the kind added, of a token without its MAC. Raises TokenError."""
    if len(raw) < 2 or raw[0] >> 5 != _VERSION or raw[1] >> 6 != kind:
        raise TokenError("not a token of this kind")
    at = 3 + (raw[1] & 3)
    if len(raw) < at + _ID:
        raise TokenError("the token ends too early")
    mode = _MODES.get(raw[1] >> 4 & 3)
    if mode is None:
        raise TokenError("the token has an unknown tracking mode")
    message_id = ids.from_bytes(raw[at : at + _ID])
    origin = Origin(host, int.from_bytes(raw[2:at], "big"), message_id, mode)
    return chr(_KEY_A + (raw[0] & 31)), origin, raw[at + _ID :]


def _encoded(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE, b"=").decode("ascii")


def _decoded(token: str) -> bytes:
    """Return a token's bytes, if it is spelt as it was issued. Raises TokenError."""
    if len(token) > _TOKEN_MOST:
        raise TokenError("too long for a token")
    try:
        raw = binascii.a2b_base64(token.encode("ascii").translate(_USUAL) + _FILLED[-len(token) % 4])
    except (binascii.Error, ValueError) as error:
        raise TokenError("not base64") from error
    if _encoded(raw) != token:  # what the decoder passes over, it does not write
        raise TokenError("not as it was issued")
    return raw


class _Tokens:
    """What all kinds of token share."""

    _kind: ClassVar[int]
    _purpose: ClassVar[Purpose]
    _name: ClassVar[str]

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._key_id, self._key = keyring.current(self._purpose)

    def _signed(self, origin: Origin, data: bytes) -> bytes:
        raw = _head(self._key_id, self._kind, origin) + data
        return raw + _keyed(self._key, origin.host)(raw)[:_MAC]

    def _verified(self, token: str, host: str, more: bytes = b"") -> tuple[int, Origin, bytes]:
        """Return flags, origin and what the kind added, if the MAC fits. Raises TokenError."""
        sealed = _decoded(token)
        raw, mac = sealed[:-_MAC], sealed[-_MAC:]
        try:
            key_id, origin, data = _read(raw, self._kind, host)
        except TokenError as error:
            raise TokenError(f"not a token of kind {self._name}: {error}") from error
        key = self._keyring.get(self._purpose, key_id)
        if key is None:
            raise TokenError("made with a key that is gone")
        if not hmac.compare_digest(mac, _keyed(key, host)(raw + more)[:_MAC]):
            raise TokenError("the signature does not fit")
        return raw[1], origin, data


class _Series(NamedTuple):
    """What tokens of one message for one scheme and authority begin with, and their MACs."""

    head: bytes
    macs: Begun

    def tokens(self, paths: list[bytes]) -> list[str]:
        """Return the token of each path; all are encoded in one go."""
        size = len(self.head) + _MAC
        filled = b"\0" * (
            -size % 3
        )  # base64 has no part of its own for less; what it makes of that is cut off
        macs = [mac[:_MAC] for mac in self.macs.each(paths)]
        text = _encoded(self.head + (filled + self.head).join(macs) + filled)
        width, kept = (size + 2) // 3 * 4, (size * 4 + 2) // 3
        return [text[place : place + kept] for place in range(0, width * len(paths), width)]


class LinkIssuer:
    """Issues the tokens of one message's links, which begin alike but for what they led to."""

    def __init__(self, head: bytes, keyed: KeyedHash) -> None:
        self._heads = {"http": head, "https": bytes((head[0], head[1] | _HTTPS)) + head[2:]}
        self._keyed = keyed

    def __call__(self, scheme: str, authority: str, path_and_query: str) -> str:
        """Return the token of one link. Raises TokenError."""
        series = self._series(scheme, authority)
        try:
            return series.tokens([normal_path(path_and_query)])[0]
        except PathError as error:
            raise TokenError(str(error)) from error

    def many(self, links: list[tuple[str, str, str]]) -> list[str | None]:
        """Return the tokens of links (scheme, authority, path and query); None where one would be refused.

        Most links of a message lead to one or two hosts, and several of them to one address.
        """
        made: list[str | None] = []
        paths = iter(normal_paths([path for _, _, path in links]))
        for (scheme, authority), alike in groupby(links, _ORIGIN):
            own = list(islice(paths, len(list(alike))))
            asked = list(filter(None, dict.fromkeys(own)))
            known = scheme in self._heads and authority
            tokens = self._series(scheme, authority).tokens(asked) if known else ()
            found = dict(zip(asked, tokens, strict=False))
            made += [None if path is None else found.get(path) for path in own]
        return made

    def _series(self, scheme: str, authority: str) -> _Series:
        if scheme not in self._heads or not authority:
            raise TokenError(f"not a web address: {scheme}://{authority}")
        head = self._heads[scheme] + authority.encode("utf-8", "replace")
        return _Series(head, self._keyed.beginning(head + b"\0"))


class _LinkTokens(_Tokens):
    """Tokens that stand for ``scheme://authority`` of an address whose path stays readable."""

    _purpose = "click"

    def issue(self, scheme: str, authority: str, path_and_query: str, origin: Origin) -> str:
        """Return a token, URL-safe base64, for a link of scheme ``http`` or ``https``.

        ``path_and_query`` is what stands between authority and fragment. Raises TokenError for
        another scheme, an empty authority, or a path that climbs above the root: a browser would
        resolve it before asking, and the token would be gone.
        """
        return self.issuer(origin)(scheme, authority, path_and_query)

    def issuer(self, origin: Origin) -> LinkIssuer:
        """Return ``issue`` for one message: a message has dozens of links. Raises TokenError."""
        return LinkIssuer(_head(self._key_id, self._kind, origin), _keyed(self._key, origin.host))

    def verify(self, token: str, host: str, path_and_query: str) -> Click:
        """Return what the token holds, when it was made for this host, path and query. Raises TokenError."""
        try:
            path = normal_path(path_and_query)
        except PathError as error:
            raise TokenError(str(error)) from error
        flags, origin, authority = self._verified(token, host, b"\0" + path)
        if not authority:
            raise TokenError("the token names no address")
        return Click("https" if flags & _HTTPS else "http", authority.decode("utf-8"), origin)


class ClickTokens(_LinkTokens):
    """Makes and checks the identifiers in rewritten links."""

    _kind, _name = _CLICK, "click"


class OpenTokens(_LinkTokens):
    """Makes and checks the identifiers in the addresses of rewritten remote images."""

    _kind, _name = _OPEN, "open"


class PixelTokens(_Tokens):
    """Makes and checks the names of 1x1 images, which stand for a message and nothing else."""

    _kind, _purpose, _name = _PIXEL, "click", "pixel"

    def issue(self, origin: Origin) -> str:
        """Return the token, URL-safe base64, of a message. Raises TokenError."""
        return _encoded(self._signed(origin, b""))

    def verify(self, token: str, host: str) -> Origin:
        """Return what the image stood in. Raises TokenError."""
        _, origin, data = self._verified(token, host)
        if data:
            raise TokenError("not a pixel token")
        return origin


class UnsubscribeTokens(_Tokens):
    """Makes and checks the identifiers in List-Unsubscribe fields (RFC 8058): all that the request needs."""

    _kind, _purpose, _name = _OTHER, "unsubscribe", "unsubscribe"

    def issue(self, unsubscription: Unsubscription) -> str:
        """Return the token, URL-safe base64. Raises TokenError for a recipient that no address can be."""
        recipient = unsubscription.recipient.encode("utf-8", "surrogatepass")
        if not 0 < len(recipient) <= _RECIPIENT_MOST:
            raise TokenError(f"not a recipient: {unsubscription.recipient[:40]!r}")
        return _encoded(self._signed(unsubscription.origin, recipient))

    def verify(self, token: str, host: str) -> Unsubscription:
        """Return what the token holds. Raises TokenError."""
        _, origin, recipient = self._verified(token, host)
        if not recipient:
            raise TokenError("not an unsubscribe token")
        return Unsubscription(origin, recipient.decode("utf-8", "surrogatepass"))


class BounceTokens(_Tokens):
    """Makes and checks local parts of envelope senders at a bounce domain, which is the origin's host."""

    _kind, _purpose, _name = _OTHER, "bounce", "bounce"

    def issue(self, origin: Origin) -> str:
        """Return the local part: ``bounce-`` and 40 characters of ``[a-z2-7]``. Raises TokenError."""
        token = self._signed(origin, b"")[:_BOUNCE_SIZE]
        return _BOUNCE_PREFIX + base64.b32encode(token).decode("ascii").lower()

    def verify(self, local_part: str, host: str) -> Origin | None:
        """Return what the mail to a local part at ``host`` is about, or None if it is not ours.

        In any case of letters: hosts change it on the way. Nothing else has two spellings.
        """
        prefix, text = local_part[: len(_BOUNCE_PREFIX)], local_part[len(_BOUNCE_PREFIX) :]
        if not local_part.isascii() or prefix.lower() != _BOUNCE_PREFIX or len(text) != _BOUNCE_LENGTH:
            return None
        try:
            sealed = base64.b32decode(text.upper())
            raw = sealed[: 3 + (sealed[1] & 3) + _ID] if len(sealed) == _BOUNCE_SIZE else b""
            key_id, origin, _ = _read(raw, self._kind, host)
        except (binascii.Error, TokenError):
            return None
        key = self._keyring.get(self._purpose, key_id)
        mac = sealed[len(raw) :]
        if key is None or not hmac.compare_digest(mac, _keyed(key, host)(raw)[: len(mac)]):
            return None
        return origin
