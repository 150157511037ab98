"""Requests and tokens that somebody made up: nothing leads anywhere, nothing is recorded, none takes long."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.domain import ids
from gatepost_core.keys import Keyring
from gatepost_core.keys.keyring import create_missing
from gatepost_core.keys.tokens import (
    ClickTokens,
    OpenTokens,
    Origin,
    PixelTokens,
    UnsubscribeTokens,
    Unsubscription,
)
from gatepost_core.keys.urlpaths import PathError, normal_path
from gatepost_core.serving.proxies import Proxies
from gatepost_tracker import proxied, verdicts
from gatepost_tracker.bounds import Bounds
from gatepost_tracker.codec import Refused, Request, RequestReader, Response, render
from gatepost_tracker.proxied import ProxyError
from gatepost_tracker.site import Image, Keep, Reply, Site
from tests.steps import World, assert_linear

HOST = "click.example.test"
TRIES = int(os.environ.get("GATEPOST_ATTACKS", "3000"))
PATH = "/a/b?c=%20d&e=1"


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    folder = tmp_path_factory.mktemp("keys")
    create_missing(folder)
    return Keyring.load(folder)


def site_of(keyring: Keyring) -> Site:
    return Site(
        ClickTokens(keyring),
        OpenTokens(keyring),
        PixelTokens(keyring),
        UnsubscribeTokens(keyring),
        lambda host: host == HOST,
        verdicts.load(),
    )


def targets(keyring: Keyring) -> list[str]:
    origin = Origin(HOST, 1, ids.new(1_700_000_000_000))
    told = UnsubscribeTokens(keyring).issue(Unsubscription(origin, "bob@example.org"))
    return [
        f"/{ClickTokens(keyring).issue('https', 'www.example.org', PATH, origin)}{PATH}",
        f"/{OpenTokens(keyring).issue('http', 'img.example.org', PATH, origin)}{PATH}",
        f"/o/{PixelTokens(keyring).issue(origin)}.gif",
        f"/u/{told}",
    ]


def mutated(chance: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(changed) or 1)
        kind = chance.randrange(4)
        if kind == 0 and changed:
            changed[at] = chance.randrange(256)
        elif kind == 1:
            changed[at:at] = bytes((chance.randrange(256),))
        elif kind == 2 and changed:
            del changed[at]
        else:
            changed[at:at] = chance.choice((b"/", b"//", b"..", b"?", b"%2e", b"\r\n", b"@", b"#", data[:9]))
    return bytes(changed)


def same_page(url: str) -> bool:
    """Whether an address is what was signed, in any spelling that means the same page."""
    for base in ("https://www.example.org", "http://img.example.org"):
        if url.startswith(base) and url[len(base) : len(base) + 1] in ("/", "?", ""):
            try:
                return normal_path(url[len(base) :]) == normal_path(PATH)
            except PathError:
                return False
    return False


def test_whatever_is_made_of_a_request_leads_only_to_what_was_signed(keyring: Keyring) -> None:
    chance = random.Random(2580)  # noqa: S311 - mutations
    site, good = site_of(keyring), targets(keyring)
    answered = followed = 0
    for number in range(TRIES):
        target = good[number % len(good)]
        method = "POST" if number % 8 == 7 else "GET"
        body = "List-Unsubscribe=One-Click" if method == "POST" else ""
        asked = f"{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        for one in RequestReader().feed(mutated(chance, asked.encode())):
            if isinstance(one, Refused):
                assert 400 <= one.status < 500
                continue
            answer = site.answer(one, "192.0.2.1")
            answered += 1
            if isinstance(answer, Image):
                continue
            render(answer.response)
            location = dict(answer.response.fields).get("Location")
            if location is not None:
                followed += 1
                assert same_page(location), one.target
            if isinstance(answer, Keep):
                assert answer.event.recipient == "bob@example.org"
            elif answer.event is not None:
                assert answer.response.status in (200, 302)
    assert answered > TRIES // 20
    assert followed


def test_no_token_that_was_changed_is_taken(keyring: Keyring) -> None:
    chance = random.Random(12)  # noqa: S311 - mutations
    site = site_of(keyring)
    for target in targets(keyring):
        at = 3 if target[1:3] in ("o/", "u/") else 1
        end = at + len(target[at:].partition("/")[0].partition(".gif")[0])
        for _ in range(TRIES // 4):
            letters = list(target[at:end])
            letters[chance.randrange(len(letters))] = chance.choice("abcXYZ019-_=")
            changed = target[:at] + "".join(letters) + target[end:]
            if changed != target:
                answer = site.answer(Request("GET", changed, {"host": HOST}), "")
                assert isinstance(answer, Reply)
                assert (answer.response.status, answer.event) == (404, None), changed


def test_a_proxys_header_is_one_or_none() -> None:
    chance = random.Random(5)  # noqa: S311 - mutations
    line = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"
    head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)
    for number in range(TRIES):
        data = mutated(chance, (line, head)[number % 2])
        try:
            found = proxied.read(data)
        except ProxyError:
            continue
        assert found is None or 0 < found.size <= len(data)
    for end in range(len(line)):
        assert proxied.read(line[:end]) is None


def test_a_field_never_holds_a_line_of_its_own() -> None:
    with pytest.raises(ValueError, match="is no field's value"):
        render(Response(302, (("Location", "https://a/\r\nSet-Cookie: a=b"),)))


def test_what_is_counted_of_links_and_messages_has_an_end() -> None:
    bounds = Bounds(link=2, message=3)
    kept = [bounds.admit("m", what, 0.0) for what in ("a", "a", "a", "b", "b")]
    assert kept == [True, True, False, True, False]
    assert bounds.admit("m", "a", 3600.0)
    for number in range(200_000):
        bounds.admit(str(number), "a", 3601.0)
    assert len(bounds._links) <= 50_000


def test_requests_are_read_in_linear_time(world: World) -> None:
    reader = world.load("gatepost_tracker.codec").RequestReader
    for make in (
        lambda n: b"GET /" + b"a" * n + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        lambda n: b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * n,
        lambda n: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * n,
    ):
        assert_linear(world, make, lambda data: reader().feed(data))


def test_targets_are_answered_in_linear_time(world: World, keyring: Keyring) -> None:
    module: Any = world.load("gatepost_tracker.site")
    request = world.load("gatepost_tracker.codec").Request
    tokens = world.load("gatepost_core.keys.tokens")
    names = ("ClickTokens", "OpenTokens", "PixelTokens", "UnsubscribeTokens")
    site = module.Site(
        *[getattr(tokens, name)(keyring) for name in names], lambda _: True, module.verdicts.load()
    )
    start = targets(keyring)[0].partition("?")[0]
    for piece in ("/..", "%2e/", "é", "?", "/a"):
        assert_linear(
            world,
            lambda n, piece=piece: request("GET", start + piece * n, {"host": HOST}),  # type: ignore[misc]
            lambda asked: site.answer(asked, ""),
        )
    proxies = world.load("gatepost_core.serving.proxies").Proxies(("0.0.0.0/0",))
    assert_linear(world, lambda n: "1.1.1.1," * n, lambda text: proxies.client("1.1.1.1", text))


def test_a_list_of_proxies_is_believed_up_to_the_first_that_is_none(tmp_path: Path) -> None:
    del tmp_path
    proxies = Proxies(("10.0.0.0/8", "::1/128"))
    assert proxies.client("10.1.1.1", "1.2.3.4, 5.6.7.8, 10.2.2.2") == "5.6.7.8"
    assert proxies.client("::ffff:10.1.1.1", "1.2.3.4") == "1.2.3.4"
    assert proxies.client("9.9.9.9", "1.2.3.4") == "9.9.9.9"
    assert proxies.client("10.1.1.1", "nonsense") == "10.1.1.1"
    assert proxies.client("", "1.2.3.4") == "1.2.3.4"
