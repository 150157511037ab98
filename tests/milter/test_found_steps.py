"""What reads links, base64, file names and locations is linear on the worst that can be made for it."""

from __future__ import annotations

import pytest

from gatepost_milter.editing.message import Message
from tests.steps import World, assert_linear

from .making import message
from .test_pipeline import multipart


@pytest.mark.parametrize(
    "rest",
    ["%a", "%a%", "&copy;", "&", "&amp", "{a", "{$", "%%%", "&#35;", "/.", "%2e/"],
)
def test_links_are_read_in_linear_time(world: World, rest: str) -> None:
    follows = world.load("gatepost_milter.features.urls").follows
    assert_linear(world, lambda n: "https://x.test/" + rest * n, lambda raw: follows(raw, utf8=True))


@pytest.mark.parametrize("raw", [b"A", b"AAAA\n", b" ", b"\n", b"AAAA =", b"=", b"\r", b"AA\n\t"])
def test_base64_is_read_in_linear_time(world: World, raw: bytes) -> None:
    read = world.load("gatepost_milter.parts.transfer").open_part
    failed = world.load("gatepost_milter.parts.transfer").TransferError

    def tried(data: bytes) -> None:
        try:
            read("base64", data)
        except failed:
            return

    assert_linear(world, lambda n: raw * n, tried)


@pytest.mark.parametrize(
    "part",
    [
        "Content-Type: text/html; name=a\n\n",
        "Content-Type: text/html\nContent-Disposition: inline; filename\n\n",
        "Content-Type: multipart/mixed; boundary=C\nContent-Location: http://x.test/%s\n\n--C\n\n--C--\n",
        "Content-Location: a/../%s\n\n",
    ],
)
def test_files_and_locations_are_found_in_linear_time(world: World, part: str) -> None:
    bodies, mime = world.load("gatepost_milter.parts.bodies"), world.load("gatepost_milter.parts.mime")
    locations = world.load("gatepost_milter.parts.locations").locations

    def read(msg: Message) -> None:
        root = mime.view(msg.headers, msg.body)
        list(bodies.files(root))
        locations(root)

    def make(n: int) -> Message:
        return multipart(*[part.replace("%s", "a/" * 400) for _ in range(n)])

    assert_linear(world, make, read)


@pytest.mark.parametrize("value", ["; ", ";filename", ";\t\t", ';filename*0"', "inline;"])
def test_dispositions_are_read_in_linear_time(world: World, value: str) -> None:
    mime = world.load("gatepost_milter.parts.mime")

    def make(n: int) -> Message:
        return message(f"Content-Type: text/html\nContent-Disposition: {value * n}\n\nx")

    assert_linear(world, make, lambda msg: mime.view(msg.headers, msg.body))
