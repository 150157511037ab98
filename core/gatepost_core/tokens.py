"""Signed tokens: links, images and bounce addresses that only this service can make.

A click token is self-contained: scheme and authority of the link and the message's id are
in it, and its MAC covers path and query as well, so a click redirects rightly without a
database, and never anywhere else. An open token is the same for a remote image; neither serves as
the other. Pixel and unsubscribe tokens name no address to go to. A bounce token is at most 40
characters of ``[a-z2-7]``, so that it survives lower-casing and the 64 bytes of a local part
(RFC 5321 section 4.5.3.1.1).
A token that was changed, or whose key is gone, raises ``TokenError``.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from gatepost_core import ids
from gatepost_core.keyed_hash import KeyedHash
from gatepost_core.keyring import Keyring

_MAC = 10
_ID = 13
_HTTPS = 0x01
# The first byte says what a token is for; its MAC covers it, and the purpose's name besides.
_CLICK, _OPEN, _PIXEL, _UNSUBSCRIBE = 0x10, 0x20, 0x30, 0x40
_ACCOUNT = 4
_RECIPIENT_MOST = 320
_USUAL = 256
_BOUNCE_PREFIX = "bounce-"
_BOUNCE_MAC = 18

_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Browsers differ in what else they escape on the way (quotes, brackets, braces): in the normal form it is
# escaped always. What separates parts of a query is kept apart from its escaped form.
_KEPT = _UNRESERVED | frozenset(b"/?&=+;:@!$*(),%#")
_ESCAPED = {byte: f"%{byte:02X}".encode() for byte in range(256) if byte not in _KEPT}
_PLAIN = re.compile(rb"[A-Za-z0-9\-._~/?&=+;:@!$*(),]*")
_DOTS = re.compile(rb"(?:^|/)\.\.?(?:/|$)")
# hmac.digest lets go of Python's lock at each call, however short the text: with dozens of links a message,
# most of the milter's task switches were that. Keys have 32 bytes (keyring.py), and there are few.
_keyed = lru_cache(maxsize=16)(KeyedHash)


class TokenError(ValueError):
    """The token is not one of ours, or what it signs was changed."""


@dataclass(frozen=True, slots=True)
class Click:
    """What a click token holds: where the link led, and the message that it stood in."""

    scheme: str
    authority: str
    message_id: str


class _LinkTokens:
    """Tokens that stand for ``scheme://authority`` of an address whose path stays readable."""

    _kind: ClassVar[int]
    _purpose: ClassVar[bytes]

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._key_id, self._key = keyring.current("token")

    def issue(self, scheme: str, authority: str, path_and_query: str, message_id: str) -> str:
        """Return a token, URL-safe base64, for a link of scheme ``http`` or ``https``.

        ``path_and_query`` is what stands between authority and fragment. Raises TokenError for
        another scheme, an empty authority, or a path that climbs above the root: a browser would
        resolve it before asking, and the token would be gone.
        """
        return self.issuer(message_id)(scheme, authority, path_and_query)

    def issuer(self, message_id: str) -> Callable[[str, str, str], str]:
        """Return ``issue`` for one message: a message has dozens of links."""
        own = bytes((ord(self._key_id),)) + ids.to_bytes(message_id)
        heads = {"http": bytes((self._kind,)) + own, "https": bytes((self._kind | _HTTPS,)) + own}
        keyed, prefix = _keyed(self._key), self._purpose + b"\0"
        encode = binascii.b2a_base64
        # Most links of a message lead to one or two hosts.
        begun: dict[tuple[str, str], tuple[bytes, Callable[[bytes], bytes]]] = {}

        def begin(scheme: str, authority: str) -> tuple[bytes, Callable[[bytes], bytes]]:
            if scheme not in heads or not authority:
                raise TokenError(f"not a web address: {scheme}://{authority}")
            head = heads[scheme] + authority.encode("utf-8", "replace")
            begun[scheme, authority] = known = (head, keyed.beginning(prefix + head + b"\0"))
            return known

        def issue(scheme: str, authority: str, path_and_query: str) -> str:
            head, mac = begun.get((scheme, authority)) or begin(scheme, authority)
            token = head + mac(normal_path(path_and_query))[:_MAC]
            return encode(token, newline=False).translate(_URL_SAFE, b"=").decode("ascii")

        return issue

    def verify(self, token: str, path_and_query: str) -> Click:
        """Return what the token holds, when it was made for this path and query. Raises TokenError."""
        head = _opened(self._keyring, token, self._kind, self._purpose, b"\0" + normal_path(path_and_query))
        if len(head) <= 2 + _ID:
            raise TokenError("the token names no address")
        scheme = "https" if head[0] & _HTTPS else "http"
        return Click(scheme, head[2 + _ID :].decode("utf-8"), ids.from_bytes(head[2 : 2 + _ID]))


class ClickTokens(_LinkTokens):
    """Makes and checks the identifiers in rewritten links."""

    _kind, _purpose = _CLICK, b"click"


class OpenTokens(_LinkTokens):
    """Makes and checks the identifiers in the addresses of rewritten remote images."""

    _kind, _purpose = _OPEN, b"open"


class PixelTokens:
    """Makes and checks the names of 1x1 images, which stand for a message and nothing else."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def issue(self, message_id: str) -> str:
        """Return the token, URL-safe base64, of a message."""
        return _sealed(self._keyring, _PIXEL, b"pixel", ids.to_bytes(message_id))

    def verify(self, token: str) -> str:
        """Return the message's id. Raises TokenError."""
        head = _opened(self._keyring, token, _PIXEL, b"pixel")
        if len(head) != 2 + _ID:
            raise TokenError("not a pixel token")
        return ids.from_bytes(head[2:])


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """What an unsubscribe token holds: who wants no more mail of which account, and where it was said."""

    message_id: str
    account_id: int
    recipient: str


class UnsubscribeTokens:
    """Makes and checks the identifiers in List-Unsubscribe fields (RFC 8058): all that the request needs."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def issue(self, unsubscription: Unsubscription) -> str:
        """Return the token, URL-safe base64. Raises TokenError for a recipient that no address can be."""
        recipient = unsubscription.recipient.encode("utf-8", "surrogatepass")
        if not 0 < len(recipient) <= _RECIPIENT_MOST or not 0 <= unsubscription.account_id < 1 << 32:
            raise TokenError(f"not a recipient: {unsubscription.recipient[:40]!r}")
        account = unsubscription.account_id.to_bytes(_ACCOUNT, "big")
        data = ids.to_bytes(unsubscription.message_id) + account + recipient
        return _sealed(self._keyring, _UNSUBSCRIBE, b"unsubscribe", data)

    def verify(self, token: str) -> Unsubscription:
        """Return what the token holds. Raises TokenError."""
        head = _opened(self._keyring, token, _UNSUBSCRIBE, b"unsubscribe")
        if len(head) <= 2 + _ID + _ACCOUNT:
            raise TokenError("not an unsubscribe token")
        account, recipient = head[2 + _ID : 2 + _ID + _ACCOUNT], head[2 + _ID + _ACCOUNT :]
        own = ids.from_bytes(head[2 : 2 + _ID])
        return Unsubscription(own, int.from_bytes(account, "big"), recipient.decode("utf-8", "surrogatepass"))


def _sealed(keyring: Keyring, kind: int, purpose: bytes, data: bytes) -> str:
    """Return the token of kind, key id and data."""
    key_id, key = keyring.current("token")
    head = bytes((kind, ord(key_id))) + data
    return base64.urlsafe_b64encode(head + _mac(key, purpose, head, _MAC)).rstrip(b"=").decode("ascii")


def _opened(keyring: Keyring, token: str, kind: int, purpose: bytes, more: bytes = b"") -> bytes:
    """Return a token's kind, key id and data, when its MAC fits them and ``more``. Raises TokenError."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise TokenError("not base64") from error
    head, mac = raw[:-_MAC], raw[-_MAC:]
    if len(head) < 2 + _ID or head[0] & ~_HTTPS != kind:
        raise TokenError(f"not a token of kind {purpose.decode('ascii')}")
    key = keyring.get("token", chr(head[1]))
    if key is None:
        raise TokenError("made with a key that is gone")
    if not hmac.compare_digest(mac, _mac(key, purpose, head + more, _MAC)):
        raise TokenError("the signature does not fit")
    return head


class BounceTokens:
    """Makes and checks local parts of envelope senders at a bounce domain."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._key_id, self._key = keyring.current("token")

    def issue(self, message_id: str) -> str:
        """Return the local part for a message: ``bounce-`` and 40 characters of ``[a-z2-7]``."""
        return _BOUNCE_PREFIX + self._key_id + message_id + _bounce_mac(self._key, message_id)

    def verify(self, local_part: str) -> str | None:
        """Return the message id of a local part in any case of letters, or None if it is not ours."""
        text = local_part.lower().removeprefix(_BOUNCE_PREFIX)
        if len(text) != 1 + ids.LENGTH + _BOUNCE_MAC or len(text) == len(local_part) or not text.isascii():
            return None
        message_id, mac = text[1 : 1 + ids.LENGTH], text[1 + ids.LENGTH :]
        key = self._keyring.get("token", text[0])
        if key is None or not hmac.compare_digest(mac, _bounce_mac(key, message_id)):
            return None
        return message_id


def normal_path(path_and_query: str) -> bytes:
    """Return path and query in the form that a MAC covers, the same before and after a browser had it.

    Escapes of unreserved characters are undone and the others written in capitals (RFC 3986
    section 6.2.2), anything that clients may escape is escaped, dot segments are resolved. Raises
    TokenError for dot segments that climb above the root.
    """
    # Addresses recur, in a message and from message to message.
    return _usual_path(path_and_query) if len(path_and_query) < _USUAL else _normal_path(path_and_query)


def _normal_path(path_and_query: str) -> bytes:
    raw = path_and_query.encode("utf-8", "replace")
    if not _PLAIN.fullmatch(raw):
        raw = raw.replace(b"\t", b"").replace(b"\n", b"").replace(b"\r", b"")
        raw = _ESCAPE.sub(_unescape, raw)
        raw = b"".join(_ESCAPED.get(byte) or bytes((byte,)) for byte in raw)
    path, question, query = raw.partition(b"?")
    if _DOTS.search(path):
        path = _resolved(path)
    return (path or b"/") + question + query


_usual_path = lru_cache(maxsize=2048)(_normal_path)


def _unescape(match: re.Match[bytes]) -> bytes:
    byte = int(match[1], 16)
    return bytes((byte,)) if byte in _UNRESERVED else b"%" + match[1].upper()


def _resolved(path: bytes) -> bytes:
    segments: list[bytes] = []
    parts = path.split(b"/")[1:]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == b"..":
            if not segments:
                raise TokenError("the path climbs above the root")
            segments.pop()
        elif part != b".":
            segments.append(part)
            continue
        if last:
            segments.append(b"")
    return b"/" + b"/".join(segments)


def _mac(key: bytes, purpose: bytes, data: bytes, size: int) -> bytes:
    return _keyed(key)(purpose + b"\0" + data)[:size]


def _bounce_mac(key: bytes, message_id: str) -> str:
    mac = _mac(key, b"bounce", message_id.encode("ascii", "replace"), 15)
    return base64.b32encode(mac)[:_BOUNCE_MAC].decode("ascii").lower()
