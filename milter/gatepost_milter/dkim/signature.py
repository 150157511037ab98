"""Making DKIM-Signature fields (RFC 6376 section 3.5; Ed25519: RFC 8463): relaxed/relaxed, SHA-256, no l=.

All signatures of a message share one hash of the body and one of the header fields. Folded with LF, as
libmilter wants it. ``SignatureError`` says why a message cannot be signed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from gatepost_milter.dkim.canonical import body_digest, header_field, header_value
from gatepost_milter.editing.headers import Header

# Named once more than they occur, so that none can be added (RFC 6376 section 8.15). From, and what readers
# see or what says how to read the body.
_ALWAYS_OVERSIGNED = (
    b"from", b"reply-to", b"subject", b"date", b"message-id", b"to", b"cc",
    b"mime-version", b"content-type", b"content-transfer-encoding",
)  # fmt: skip
# The same where they occur; elsewhere a mailing list may add its own.
_OVERSIGNED = (
    b"sender", b"in-reply-to", b"references", b"list-unsubscribe", b"list-unsubscribe-post",
    b"cfbl-address", b"cfbl-feedback-id",
)  # fmt: skip
_SIGNED = (
    b"list-id", b"list-help", b"list-subscribe", b"list-post", b"list-owner", b"list-archive", b"feedback-id",
    b"content-disposition", b"content-id", b"content-description", b"autocrypt",
    b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-date", b"resent-message-id",
)  # fmt: skip
ORDER = (*_ALWAYS_OVERSIGNED, *_OVERSIGNED, *_SIGNED)
_NAMES = frozenset(ORDER)
_ALWAYS, _PRESENT = frozenset(_ALWAYS_OVERSIGNED), frozenset(_OVERSIGNED)
# Nobody needs more; a signature that names thousands would be cut by Postfix's header_size_limit.
_NAMES_MOST = 500
_LINE = 72


class SignatureError(Exception):
    """The message cannot be signed; the text says why."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, ready to sign the SHA-256 digest that it is given."""

    algorithm: str  # the a= tag, such as rsa-sha256
    selector: str
    sign: Callable[[bytes], bytes]


def signatures(
    headers: Iterable[Header],
    body: bytes,
    domain: str,
    keys: Iterable[SigningKey],
    times: tuple[int, int | None],
    *,
    unsignable: Collection[bytes] = (),
) -> tuple[Header, ...]:
    """Return one DKIM-Signature field for each key. Raises SignatureError.

    ``times`` are t= and x= in seconds since 1970, x= left out when None. ``unsignable`` names fields,
    in lower case, that will not stay as they are.
    """
    if b"from" in unsignable:
        raise SignatureError("the From field has a line over 998 bytes that cannot be folded")
    names, digest = _hashed(headers, unsignable)
    begun, expires = times
    end = "" if expires is None else f" x={expires};"
    listed = _folded(":".join(names), ":")
    hashed = base64.b64encode(body_digest(body)).decode("ascii")
    fields = []
    for key in keys:
        value = (
            f" v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain};\n\ts={key.selector}; t={begun};{end}\n"
            f"\tbh={hashed};\n\th={listed};\n\tb="
        )
        own = digest.copy()
        own.update(b"dkim-signature:" + header_value(value.encode("ascii")))
        signed = base64.b64encode(key.sign(own.digest())).decode("ascii")
        fields.append(Header(b"DKIM-Signature", (value + _folded(signed)).encode("ascii")))
    return tuple(fields)


def _hashed(
    headers: Iterable[Header], unsignable: Collection[bytes]
) -> tuple[tuple[str, ...], hashlib._Hash]:
    """Return the names for h= and the hash of their fields, the last of a name first (section 5.4.2)."""
    found: dict[bytes, list[bytes]] = {}
    for header in headers:
        name = header.name.lower().strip()
        if name in _NAMES and name not in unsignable:
            found.setdefault(name, []).append(header_field(name, header.value))
    names: list[str] = []
    fields: list[bytes] = []
    for name in ORDER:
        present = found.get(name, [])
        times = len(present) + (name in _ALWAYS or (name in _PRESENT and bool(present)))
        if name not in unsignable:
            names += [name.decode("ascii")] * times
            fields += reversed(present)
    if len(names) > _NAMES_MOST:
        raise SignatureError(f"there are more than {_NAMES_MOST} header fields to sign")
    return tuple(names), hashlib.sha256(b"".join(fields))


def _folded_list(text: str, after: str) -> str:
    lines = [""]
    for word in text.split(after):
        if len(lines[-1]) + len(word) >= _LINE:
            lines.append("")
        lines[-1] += word + after
    return "\n\t ".join(lines)[: -len(after)]


def _folded(text: str, after: str = "") -> str:
    """Return a tag's value in lines; white space may stand after each ``after``, or anywhere without one."""
    if after:
        return _folded_list(text, after)
    return "\n\t".join(text[place : place + _LINE] for place in range(0, len(text), _LINE))
