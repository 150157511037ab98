"""Documents of mail builders as letters, and what the pipeline makes of them with every feature on.

One picture of each document is embedded (``cid:``), so that ``images`` has something to host. The tokens,
the image store and the contexts are the product's own; ``original`` is what a tracker does with an address.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import re
import struct
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import urlsplit

from gatepost_core.domain import FeatureValue, SenderDomain, ids
from gatepost_core.keys.tokens import Click, ClickTokens, OpenTokens, PixelTokens, TokenError
from gatepost_core.store.images import FileImageStore
from gatepost_milter.contexts import ContextMaker, SizeLimits, Tracking
from gatepost_milter.editing.message import Plan
from gatepost_milter.pipeline import process
from gatepost_milter.transaction import Transaction
from tests.core.making import credential
from tests.milter.making import message
from tests.milter.test_contexts import KEYRING

DOCUMENTS = Path(__file__).parent / "documents"
EVERYTHING: dict[str, FeatureValue] = {
    "inlinecss": True,
    "trackclicks": True,
    "honeylink": True,
    "preventscam": True,
    "trackopens": True,
    "trackbounces": True,
    "unsubscribe": True,
    "images": "hosted",
}
CLICK = "click.example.test"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
PICTURE, EMBEDDED = "cid:picture@example.test", "https://embedded.example.test/picture.png"
PIXEL = "the 1x1 image"
_REMOTE = re.compile(r"""(<img\b[^>]*?\bsrc=["'])(https?://[^"'{}]+)(?=["'])""", re.IGNORECASE)
_SHEET = '<link rel="stylesheet" href="foundation-emails.css">'


class Domains:
    """One registered domain with a click domain."""

    def domain(self, name: str) -> SenderDomain | None:
        """Return it, whatever its name."""
        return SenderDomain(1, 3, "Acme Ltd", name, CLICK, "bounces.example.test", NOW)


@dataclass(frozen=True)
class Letter:
    """A document before and after; ``pixel`` is the address of the 1x1 image, should it be there, ``honey``
    that of the hidden link."""

    before: str
    after: str
    pixel: str
    plan: Plan
    honey: str = ""


def names() -> list[str]:
    """Return the documents' names, ``collection/page``."""
    return sorted(
        path.relative_to(DOCUMENTS).with_suffix("").as_posix() for path in DOCUMENTS.rglob("*.html")
    )


def letter(name: str, images: Path, features: dict[str, FeatureValue] | None = None) -> Letter:
    """Return a document as it leaves a mail builder and as the pipeline hands it on."""
    wanted = EVERYTHING if features is None else features
    raw = _message(_document(name))
    maker = ContextMaker(Domains(), KEYRING, FileImageStore(images), Tracking(), SizeLimits())
    sender = credential(id=7, account_id=3, account="Acme Ltd", features=wanted)
    transaction = Transaction("gp1", b"<a@example.test>")
    transaction.add_recipient(b"<bob@example.org>")
    context = maker.make(sender, ["a@example.test"], ids.new(1), transaction)
    msg = message(raw)
    plan = process(msg, context)
    assert isinstance(plan, Plan), plan
    assert not plan.notes, plan.notes
    after = msg if plan.body is None else replace(msg, body=plan.body)
    whole = b"".join(b"%s:%s\r\n" % header for header in after.headers) + b"\r\n" + after.body
    return Letter(_html(raw), _html(whole), context.pixel, plan, context.honey)


def _document(name: str) -> str:
    path = DOCUMENTS / f"{name}.html"
    html = path.read_text(encoding="utf-8")
    if _SHEET in html:
        sheet = (path.parent / "foundation-emails.css").read_text(encoding="utf-8")
        html = html.replace(_SHEET, f'<style type="text/css">\n{sheet}</style>')
    return _REMOTE.sub(lambda found: found[1] + PICTURE, html, count=1)


def _message(html: str) -> bytes:
    result = EmailMessage(policy=email.policy.SMTP)
    result["From"], result["To"] = "Alice <a@example.test>", "bob@example.org"
    result.set_content("The same as text.\n")
    result.add_alternative(html, subtype="html", cte="quoted-printable")
    if PICTURE in html:
        body = result.get_body(("html",))
        assert isinstance(body, EmailMessage)
        body.add_related(picture(EMBEDDED), "image", "png", cid=f"<{PICTURE[4:]}>")
    return result.as_bytes()


def _html(raw: bytes) -> str:
    body = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",))
    assert isinstance(body, EmailMessage)
    text = body.get_content()
    assert isinstance(text, str)
    return text.replace(PICTURE, EMBEDDED)


def picture(address: str) -> bytes:
    """Return a picture of its own for each address, a transparent one for the 1x1 image."""
    seed = hashlib.sha256(address.encode()).digest()
    if address == PIXEL:
        return _png(1, 1, 6, [bytes(4)])
    width, height = 40 + seed[0] % 160, 20 + seed[1] % 90
    square = [bytes(seed[3 * colour : 3 * colour + 3]) * 8 for colour in range(2)]
    rows = [
        b"".join(square[(column + row // 8) % 2] for column in range(width // 8 + 1)) for row in range(height)
    ]
    return _png(width, height, 2, [row[: 3 * width] for row in rows])


def _png(width: int, height: int, colours: int, rows: list[bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def original(address: str) -> str:
    """Return the address that one of the click domain stands for; others stand for themselves.

    Raises TokenError for a token that does not fit what was asked.
    """
    parts = urlsplit(address)
    if parts.netloc != CLICK:
        return address
    token, slash, path = parts.path[1:].partition("/")
    if token == "i":
        return EMBEDDED
    if token == "o":
        PixelTokens(KEYRING).verify(path.removesuffix(".gif"), CLICK)
        return PIXEL
    rest = slash + path + ("?" + parts.query if "?" in address.partition("#")[0] else "")
    fragment = address.partition("#")[1] + address.partition("#")[2]
    link = _opened(token, rest)
    # As a browser writes it: no address is without a path.
    return f"{link.scheme}://{link.authority}{'' if rest.startswith('/') else '/'}{rest}{fragment}"


def _opened(token: str, rest: str) -> Click:
    try:
        return ClickTokens(KEYRING).verify(token, CLICK, rest)
    except TokenError:
        return OpenTokens(KEYRING).verify(token, CLICK, rest)
