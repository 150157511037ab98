"""Complaints that show no bounce address count by a signature of ours in the message that they return."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gatepost_bounces.proving import Prover
from gatepost_bounces.reading import Reading, read
from gatepost_core.domain import DkimKey, SenderDomain
from gatepost_core.keys.tokens import Origin
from gatepost_core.store import References, Referred, StoreUnavailable

from ..steps import World
from .forms import complaint

WHEN = datetime(2026, 11, 1, tzinfo=UTC)
MESSAGE = (
    "From: Alice <alice@news.example.test>\r\nTo: bob@example.org\r\nSubject: News\r\n"
    "Message-ID: <1@example.test>\r\nDate: Sat, 28 Nov 2026 05:00:00 +0000\r\n\r\nHello.\r\n.. dots \r\n"
)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def signed(key: rsa.RSAPrivateKey, message: str = MESSAGE, names: str = "from:to:subject:message-id") -> str:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    field = dkim.sign(
        message.encode(),
        b"one",
        b"example.test",
        private,
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=[one.encode() for one in names.split(":")],
    )
    return bytes(field).decode() + message


class Store:
    """A directory of one domain, and a journal of two messages with one Message-ID."""

    def __init__(self, key: rsa.RSAPrivateKey, account: int = 1) -> None:
        self._domain = SenderDomain(
            1, account, "shop", "example.test", "click.example.test", "bounces.example.test", WHEN,
            (DkimKey("one", "rsa", public(key), b"", WHEN),),
        )  # fmt: skip
        self.asked = list[str]()

    def domain(self, name: str) -> SenderDomain | None:
        return self._domain if name == "example.test" else None

    def messages(self, message_id: str) -> list[Referred]:
        self.asked.append(message_id)
        if message_id != "<1@example.test>":
            return []
        return [
            Referred("2" * 21, 8, 1, "alice@news.example.test", ("carol@example.org",)),
            Referred("1" * 21, 7, 1, "alice@news.example.test", ("bob@example.org",)),
        ]


def reading(store: Store, raw: bytes) -> Reading:
    return read(raw, None, "fbl@provider.test", lambda _: None, Prover(store, store))


def returning(message: str, *fields: str) -> bytes:
    """Return a complaint that returns a message to the byte."""
    raw = complaint(*fields).replace(b"\n", b"\r\n")
    before, _, after = raw.partition(b"Subject: News\r\n\r\nHello.")
    return before + message.encode() + after


def test_a_complaint_about_a_message_that_we_signed_is_about_that_message_and_recipient(
    key: rsa.RSAPrivateKey,
) -> None:
    found = reading(Store(key), returning(signed(key), "Original-Rcpt-To: <Bob@example.org>"))
    assert found.origin == Origin("bounces.example.test", 7, "1" * 21)
    (one,) = found.told
    assert (one.type, one.recipient, one.detail["proof"]) == ("complaint", "Bob@example.org", "dkim")


def test_where_the_report_names_nobody_the_only_recipient_of_the_newest_is_meant(
    key: rsa.RSAPrivateKey,
) -> None:
    (one,) = reading(Store(key), returning(signed(key))).told
    assert one.recipient == "carol@example.org"


def cases(key: rsa.RSAPrivateKey) -> Iterator[tuple[str, Store, bytes]]:
    """Yield what proves nothing."""
    bob, good = "Original-Rcpt-To: <bob@example.org>", signed(key)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    yield "no signature", Store(key), returning(MESSAGE, bob)
    yield "another's key", Store(key), returning(signed(other), bob)
    yield "a changed body", Store(key), returning(good.replace("Hello", "Hallo"), bob)
    yield "a changed header", Store(key), returning(good.replace("News\r", "Spam\r"), bob)
    yield "Message-ID unsigned", Store(key), returning(signed(key, names="from:to:subject"), bob)
    yield "recipient of no such message", Store(key), returning(good, "Original-Rcpt-To: <eve@example.org>")
    elsewhere = MESSAGE.replace("<1@", "<2@")
    yield "a message that is not known", Store(key), returning(signed(key, elsewhere), bob)
    yield "another author", Store(key), returning(signed(key, MESSAGE.replace("news.", "")), bob)
    yield "another account's domain", Store(key, account=2), returning(good, bob)
    yield "headers alone", Store(key), returning(good, bob).replace(b"message/rfc822", b"text/rfc822-headers")
    yield "too large", Store(key), returning(signed(key, MESSAGE + "x\r\n" * 100_000), bob)
    yield "a run of blanks", Store(key), returning(signed(key, MESSAGE + " " * 101 + "x\r\n"), bob)


def test_nothing_else_proves_anything(key: rsa.RSAPrivateKey) -> None:
    for what, store, raw in cases(key):
        found = reading(store, raw)
        assert found.origin is None, what
        assert "proves no message" in found.unread, what


def test_a_signature_that_is_none_of_ours_has_no_message_looked_up(key: rsa.RSAPrivateKey) -> None:
    store = Store(key)
    reading(store, returning(signed(key).replace("d=example.test", "d=example.org")))
    assert store.asked == []


def test_a_journal_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        References(f"sqlite:///{tmp_path}/journal.db").messages("<1@example.test>")
    assert not list(tmp_path.iterdir())


# A twenty-fifth of what is read of a body, and as much as is read of a signature.
FILLED = {
    "body": ((" " * 99 + "x") * 100, "", ""),
    "lines": ("\r\n" * 5_000, "", ""),
    "signature": ("", " \r\n " * 350 + "b = " * 80, ""),
    "tags": ("", "b=;" * 600, ""),
    "header": ("", "", ("A: " + "\r\n " * 20 + "b\r\n") * 20),
}


@pytest.mark.parametrize("what", FILLED)
def test_a_signature_is_checked_in_a_bounded_number_of_steps(what: str, key: rsa.RSAPrivateKey) -> None:
    world = World("dkim")
    signers = world.load("gatepost_bounces.signed").signers
    body, signature, header = FILLED[what]
    field = (
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.test; s=one; h=from:message-id;\r\n"
        f" bh=aaaa; {signature} b=aaaa\r\n"
    )
    message = f"{field * 3}From: a@b\r\n{header}Message-ID: <1>\r\n\r\n{body}\r\n".encode()
    known = ("rsa", public(key))
    assert world.steps(lambda: list(signers(message, lambda *_: known)), 20_000_000) < 12_000_000
