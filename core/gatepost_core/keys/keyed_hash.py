"""HMAC-SHA-256 (RFC 2104) under one key, for what is computed at each login and for each link.

The two inner states that depend on the key alone are made once. The interpreter's own SHA-256 is preferred:
OpenSSL looks its algorithm up at each use, which between two requests, with cold caches, costs more
than the hash. ``hmac.digest`` gives the same values; a test holds that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

_BLOCK = 64  # of SHA-256, in bytes


def _fastest() -> Any:
    for module in ("_sha2", "_sha256"):  # CPython from 3.12 on, and before
        try:
            return __import__(module).sha256
        except (ImportError, AttributeError):
            continue
    return hashlib.sha256


_sha256 = _fastest()


class KeyedHash:
    """HMAC-SHA-256 with a key of at most 64 bytes. Raises ValueError for a longer one."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        if len(key) > _BLOCK:
            raise ValueError(f"a key of {len(key)} bytes; at most {_BLOCK} can be used")
        padded = key.ljust(_BLOCK, b"\0")
        self._inner = _sha256(bytes(byte ^ 0x36 for byte in padded))  # RFC 2104 section 2, ipad
        self._outer = _sha256(bytes(byte ^ 0x5C for byte in padded))  # opad

    def __call__(self, message: bytes) -> bytes:
        """Return the 32 bytes for a message."""
        inner, outer = self._inner.copy(), self._outer.copy()  # as _ended, at each login without another call
        inner.update(message)
        outer.update(inner.digest())
        digest: bytes = outer.digest()
        return digest

    def beginning(self, first: bytes) -> Begun:
        """Return what gives the 32 bytes of ``first`` and what follows: many messages begin alike."""
        inner = self._inner.copy()
        inner.update(first)
        return Begun(inner, self._outer)


class Begun:
    """HMAC-SHA-256 of many messages that begin alike."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, inner: Any, outer: Any) -> None:
        self._inner = inner
        self._outer = outer

    def each(self, rests: Iterable[bytes]) -> list[bytes]:
        """Return the 32 bytes for each message, of which these are what follows the beginning."""
        begun, ended = self._inner.copy, self._outer.copy
        found: list[bytes] = []
        for rest in rests:
            inner, outer = begun(), ended()
            inner.update(rest)
            outer.update(inner.digest())
            found.append(outer.digest())
        return found
