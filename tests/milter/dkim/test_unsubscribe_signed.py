"""RFC 8058 section 4: the fields of one-click unsubscription come only with a signature that covers them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_core import settings as core_settings
from gatepost_core.domain import FeatureValue
from gatepost_core.domain.walls import Walls
from gatepost_core.keys import Keyring
from gatepost_core.store import Reader
from gatepost_core.store.images import FileImageStore
from gatepost_milter.contexts import ContextMaker, SizeLimits, Tracking
from gatepost_milter.dkim.signing import Signing
from gatepost_milter.editing.headers import AddHeader, ChangeHeader
from gatepost_milter.judge import Accepted, Judge
from gatepost_milter.transaction import Transaction
from gatepost_stack.provision import Provision, write_settings

FROM = ("From", b" <alice@example.test>")


class Bench:
    """A judge on a store in which example.test has DKIM keys."""

    def __init__(self, folder: Path) -> None:
        tables = {
            "store": {"url": f"sqlite:///{folder}/directory.db"},
            "keys": {"directory": str(folder / "keys")},
        }
        write_settings(folder / "gatepost.toml", tables)
        settings = core_settings.load(folder / "gatepost.toml", environ={})
        self.provision = Provision(settings)
        self.provision.initialise()
        keyring = Keyring.load(settings.keys.directory)
        self.reader = Reader(settings.store.url)
        images = FileImageStore(folder / "images")
        tracking = Tracking(fallback_domain="click.example.test")
        contexts = ContextMaker(self.reader, keyring, images, tracking, SizeLimits())
        self._judge = Judge(
            self.reader, contexts, walls=Walls(self.reader), signing=Signing(settings.dkim, keyring)
        )

    def verdict(
        self,
        features: dict[str, FeatureValue],
        *headers: tuple[str, bytes],
        to: tuple[bytes, ...] = (b"<b@c>",),
    ) -> Accepted:
        transaction = Transaction(self.provision.credential(features).username, b"<alice@example.test>")
        for recipient in to:
            transaction.add_recipient(recipient)
        for name, value in headers:
            transaction.add_header(name, value)
        verdict = self._judge.decide(transaction, "4Q1")
        assert isinstance(verdict, Accepted)
        return verdict


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.reader.close()


def added(verdict: Accepted) -> list[bytes]:
    return [call.name for call in verdict.header_calls if isinstance(call, AddHeader)]


def test_with_a_signature_both_fields_are_added_and_covered(bench: Bench) -> None:
    verdict = bench.verdict({"unsubscribe": True, "dkim": True}, FROM)
    assert added(verdict) == [b"List-Unsubscribe", b"List-Unsubscribe-Post"]
    assert verdict.plan.headers is not None
    assert len(verdict.plan.headers.top) == 2
    for signature in verdict.plan.headers.top:
        covered = b"".join(signature.value.split()).partition(b";h=")[2].partition(b";")[0].split(b":")
        assert covered.count(b"list-unsubscribe") == covered.count(b"list-unsubscribe-post") == 2


@pytest.mark.parametrize(
    ("features", "headers", "why"),
    [
        ({"unsubscribe": True}, (FROM,), "the feature dkim is off"),
        (
            {"unsubscribe": True, "dkim": True},
            (("From", b" <a@other.test>"),),
            "other.test is not a registered sender domain of this account",
        ),
        (
            {"unsubscribe": True, "dkim": True},
            (FROM, *[("Cc", b" x@example.org")] * 600),
            "there are more than 500 header fields to sign",
        ),
        ({}, (FROM, ("X-Gatepost-Unsubscribe", b" on")), "the feature dkim is off"),
    ],
)
def test_without_one_no_field_is_added_the_reason_is_told_and_overrides_still_go(
    bench: Bench, features: dict[str, FeatureValue], headers: tuple[tuple[str, bytes], ...], why: str
) -> None:
    verdict = bench.verdict(features, *headers)
    assert added(verdict) == []
    assert "unsubscribe" not in verdict.record.applied
    assert verdict.record.skipped["unsubscribe"] == f"RFC 8058 asks for a DKIM signature, and {why}"
    overrides = [name for name, _ in headers if name.startswith("X-Gatepost")]
    removed = [call.name.decode() for call in verdict.header_calls if isinstance(call, ChangeHeader)]
    assert removed == overrides


def test_other_reasons_come_first(bench: Bench) -> None:
    verdict = bench.verdict({"unsubscribe": True}, FROM, to=(b"<b@c>", b"<d@e>"))
    assert verdict.record.skipped["unsubscribe"] == "the message has several recipients"
