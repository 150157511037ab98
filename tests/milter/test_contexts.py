"""What the surgery is told about a message: addresses that only the message's own tokens open."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gatepost_core.domain import Mode, SenderDomain, ids
from gatepost_core.domain.images import QuotaError
from gatepost_core.keys.tokens import (
    BounceTokens,
    Click,
    ClickTokens,
    OpenTokens,
    Origin,
    PixelTokens,
    TrackingMode,
    UnsubscribeTokens,
    Unsubscription,
)
from gatepost_core.store.images import FileImageStore
from gatepost_milter.contexts import ContextMaker, SizeLimits, Tracking
from gatepost_milter.surgery.context import Context
from gatepost_milter.transaction import Transaction
from tests.core.keys import keyring
from tests.core.making import credential

KEYRING = keyring()
NOW = datetime(2026, 3, 1, tzinfo=UTC)
OWN = ids.new(1)
GIF = b"GIF89a...."
CREDENTIAL = credential(id=7, account_id=3, account="Acme Ltd")
DOMAIN = SenderDomain(1, 3, "Acme Ltd", "example.test", "click.example.test", "bounces.example.test", NOW)


class Domains:
    def domain(self, name: str) -> SenderDomain | None:
        return DOMAIN if name == "example.test" else None


def transaction(sender: bytes = b"<a@example.test>", *recipients: bytes) -> Transaction:
    result = Transaction("gp1", sender)
    for recipient in recipients or (b"<bob@example.org>",):
        result.add_recipient(recipient)
    return result


@pytest.fixture
def maker(tmp_path: Path) -> ContextMaker:
    return ContextMaker(Domains(), KEYRING, FileImageStore(tmp_path), Tracking(), SizeLimits())


def path_of(address: str | None) -> str:
    parts = urlsplit(address or "")
    assert (parts.scheme, parts.netloc) == ("https", "click.example.test")
    return parts.path[1:]


def test_every_address_holds_a_token_that_its_own_library_opens(maker: ContextMaker) -> None:
    made = maker.make(CREDENTIAL, ["a@EXAMPLE.test"], OWN, transaction())
    assert made.click is not None
    assert made.opens is not None
    click, opened = made.click("https", "x.test", "/p"), made.opens("http", "y.test", "/i")
    host = "click.example.test"
    origin = Origin(host, 7, OWN)
    assert ClickTokens(KEYRING).verify(path_of(click), host, "/p") == Click("https", "x.test", origin)
    assert OpenTokens(KEYRING).verify(path_of(opened), host, "/i") == Click("http", "y.test", origin)
    image = path_of(made.pixel).removeprefix("o/").removesuffix(".gif")
    assert PixelTokens(KEYRING).verify(image, host) == origin
    told = UnsubscribeTokens(KEYRING).verify(path_of(made.unsubscribe).removeprefix("u/"), host)
    assert told == Unsubscription(origin, "bob@example.org")
    local, _, host = made.bounce_sender.partition("@")
    assert host == "bounces.example.test"
    assert BounceTokens(KEYRING).verify(local.upper(), host) == Origin(host, 7, OWN)
    assert made.feedback == "7:Acme-Ltd:Acme-Ltd"


def test_tokens_say_in_which_mode_they_track_and_a_message_may_change_it(maker: ContextMaker) -> None:
    quiet = replace(CREDENTIAL, features={"tracking": "anonymous"})
    host = "click.example.test"
    for whose, header in ((quiet, "anonymous"), (CREDENTIAL, "anonymous"), (quiet, "identified")):
        made = maker.make(whose, ["a@example.test"], OWN, transaction())
        made = made.in_mode({**made.features, "tracking": header})
        assert made.click is not None
        assert made.opens is not None
        origin = Origin(host, 7, OWN, TrackingMode[header.upper()])
        link, image = (
            path_of(made.click("https", "x.test", "/p")),
            path_of(made.opens("https", "x.test", "/i")),
        )
        assert ClickTokens(KEYRING).verify(link, host, "/p").origin == origin
        assert OpenTokens(KEYRING).verify(image, host, "/i").origin == origin
        pixel = path_of(made.pixel).removeprefix("o/").removesuffix(".gif")
        assert PixelTokens(KEYRING).verify(pixel, host) == origin


def test_a_link_to_the_click_domain_itself_and_one_without_a_token_stay(maker: ContextMaker) -> None:
    made = maker.make(CREDENTIAL, ["a@example.test"], OWN, transaction())
    assert made.click is not None
    assert made.click("http", "CLICK.example.test", "/x") is None
    assert made.click("https", "x.test", "/../x") is None


def test_a_from_domain_that_is_not_registered_gets_the_default_click_domain_and_no_bounces(
    maker: ContextMaker, tmp_path: Path
) -> None:
    none = maker.make(CREDENTIAL, ["a@other.test"], OWN, transaction())
    assert (none.click, none.opens, none.pixel, none.host, none.unsubscribe) == (None, None, "", None, "")
    assert none.missing["trackbounces"] == "the From domain is not registered"
    fallback = Tracking("http", "click.example.test")
    other = ContextMaker(Domains(), KEYRING, FileImageStore(tmp_path), fallback, SizeLimits())
    made = other.make(CREDENTIAL, ["a@other.test"], OWN, transaction())
    assert made.pixel.startswith("http://click.example.test/o/")
    assert made.missing["unsubscribe"] == "RFC 8058 asks for https"
    assert other.make(CREDENTIAL, [], OWN, transaction()).feedback == ""


def test_without_overrides_only_the_features_that_are_on_get_their_addresses(maker: ContextMaker) -> None:
    def made(**features: bool) -> Context:
        credential = replace(CREDENTIAL, features=features)
        return maker.make(credential, ["a@example.test"], OWN, transaction(), overridden=False)

    off = made()
    assert (off.pixel, off.unsubscribe, off.bounce_sender) == ("", "", "")
    assert made(trackopens=True).pixel.startswith("https://click.example.test/o/")
    assert made(unsubscribe=True).unsubscribe.startswith("https://click.example.test/u/")
    assert made(trackbounces=True).bounce_sender.endswith("@bounces.example.test")


def test_the_null_sender_stays_and_several_recipients_share_no_unsubscribe_address(
    maker: ContextMaker,
) -> None:
    made = maker.make(CREDENTIAL, ["a@example.test"], OWN, transaction(b"<>", b"<b@x.test>", b"<c@x.test>"))
    assert (made.bounce_sender, made.unsubscribe) == ("", "")
    assert made.missing == {
        "unsubscribe": "the message has several recipients",
        "trackbounces": "the envelope sender is empty",
        "cfbl": "no address takes complaints (bounces.feedback)",
    }


def test_complaints_go_to_the_bounce_domain_if_it_is_below_the_from_domain(tmp_path: Path) -> None:
    class Elsewhere:
        def domain(self, name: str) -> SenderDomain:
            return replace(DOMAIN, name=name, bounce_domain="bounces.other.test")

    def made(domains: Any) -> Context:
        tracking = Tracking(feedback="fbl")
        maker = ContextMaker(domains, KEYRING, FileImageStore(tmp_path), tracking, SizeLimits())
        return maker.make(CREDENTIAL, ["a@example.test"], OWN, transaction(b"<>"))

    token, address = made(Domains()).complaints.split(" ")
    assert address == "fbl@bounces.example.test"
    assert BounceTokens(KEYRING).verify(token, "bounces.example.test") is not None
    assert "not below" in made(Elsewhere()).missing["cfbl"]


def test_a_domain_without_a_bounce_domain_keeps_the_sender() -> None:
    class Bare:
        def domain(self, name: str) -> SenderDomain:
            return replace(DOMAIN, name=name, bounce_domain="")

    maker = ContextMaker(Bare(), KEYRING, FileImageStore(Path()), Tracking(), SizeLimits())
    made = maker.make(CREDENTIAL, ["a@example.test"], OWN, transaction())
    assert made.missing["trackbounces"] == "the From domain has no bounce domain"


def test_an_image_is_kept_for_its_account_and_has_an_address(maker: ContextMaker, tmp_path: Path) -> None:
    made = maker.make(CREDENTIAL, ["a@example.test"], OWN, transaction())
    assert made.host is not None
    address = made.host(GIF, "image/gif")
    name = path_of(address).removeprefix("i/")
    assert FileImageStore(tmp_path).path(CREDENTIAL.account_id, name).read_bytes() == GIF


def test_in_sandbox_mode_an_image_has_the_same_address_and_nothing_is_kept(
    maker: ContextMaker, tmp_path: Path
) -> None:
    live = maker.make(CREDENTIAL, ["a@example.test"], OWN, transaction()).host
    sandbox = maker.make(replace(CREDENTIAL, mode=Mode.SANDBOX), ["a@example.test"], OWN, transaction()).host
    assert live is not None
    assert sandbox is not None
    path_of(sandbox(GIF, "image/gif"))
    assert list(tmp_path.iterdir()) == []
    live(b"GIF89a, another", "image/gif")
    before = sorted(tmp_path.rglob("*"))
    named = sandbox(GIF, "image/gif")
    assert sorted(tmp_path.rglob("*")) == before
    assert live(GIF, "image/gif") == named


@pytest.mark.parametrize(("own", "refused"), [(None, True), (10_000, False), (0, True)])
def test_an_account_s_own_quota_goes_before_the_setting(
    tmp_path: Path, own: int | None, refused: bool
) -> None:
    limits = SizeLimits(image_quota=5)
    maker = ContextMaker(Domains(), KEYRING, FileImageStore(tmp_path), Tracking(), limits)
    for mode in (Mode.SANDBOX, Mode.LIVE):
        credential = replace(CREDENTIAL, image_quota=own, mode=mode)
        host = maker.make(credential, ["a@example.test"], OWN, transaction()).host
        assert host is not None
        if refused:
            with pytest.raises(QuotaError):
                host(GIF, "image/gif")
        else:
            path_of(host(GIF, "image/gif"))
