"""What reads a stranger's request takes work in proportion to its size, on the worst that can be made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from gatepost_sasl.mechanisms.base import NAME_MOST, PASSWORD_MOST

from ..steps import World, assert_linear

# What SASLprep has most to do with: letters that become eighteen, many scripts. (Marks: see below.)
TEXTS = (
    "\ufdfa",
    "\u0627\u0031",
    "\u00ad",
    "\u3000",
    "a\u0345",
    "\U0001d7d8",
    "\u1e9b\u0323",
)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b"\n" * n,
        lambda n: b"AUTH\t1\tPLAIN" + b"\t" * n + b"\n",
        lambda n: b"AUTH\t1\tPLAIN" + b"\trip=" * n + b"\n",
        lambda n: b"AUTH\t" + b"9" * n + b"\tPLAIN\n",
        lambda n: b"CONT\t1\t" + b"\t=" * n + b"\n",
        lambda n: b"CPID\t" + b"1" * n + b"\n",
        lambda n: b"VERSION" + b"\t1" * n + b"\n",
    ],
)
def test_lines_of_the_protocol(world: World, make: Callable[[int], bytes]) -> None:
    protocol = world.load("gatepost_sasl.protocol")

    def read(data: bytes) -> None:
        for line in protocol.Decoder(10**6).lines(data):
            try:
                assert protocol.decode(line) or protocol.client_of(line) >= 0
            except protocol.ProtocolError:
                continue

    assert_linear(world, make, read)


@pytest.mark.parametrize("text", TEXTS)
def test_saslprep(world: World, text: str) -> None:
    saslprep = world.load("gatepost_sasl.saslprep")

    def prepare(given: str) -> None:
        try:
            saslprep.saslprep(given)
        except saslprep.PrepError:
            return

    assert_linear(world, lambda n: text * n, prepare)


@pytest.mark.parametrize("pattern", ["*a*b*", "*aaab", "a*a*a*a*ab", "**a**"])
def test_patterns_of_names(world: World, pattern: str) -> None:
    names = world.load("gatepost_sasl.names").Names([pattern])
    assert_linear(world, lambda n: "a" * n, lambda name: name in names)


def test_places_of_a_name(world: World) -> None:
    places = world.load("gatepost_core.domain.logins.places")
    rules = places.Rules()
    assert_linear(world, lambda n: "A " * n, lambda name: places.places_of(name, "2001:db8::1", rules))
    assert_linear(world, lambda n: "1." * n, lambda text: places.places_of("alice", text, rules))


def test_long_names_and_passwords_are_refused_before_anything_is_done_with_them(world: World) -> None:
    """NFKC takes quadratic time on marks out of order (unicodeobject's nfd_nfkd), so its input is bounded."""
    base = world.load("gatepost_sasl.mechanisms.base")

    def steps(read: Callable[[bytes], str], size: int) -> int:
        def act() -> None:
            with suppress(base.MechanismError):
                read(b"\xcc\x80\xcc\x96" * (size // 4))

        return world.steps(act)

    for read, most in ((base.username, NAME_MOST), (base.password, PASSWORD_MOST)):
        assert steps(read, most + 4) == steps(read, 100 * most) < 50
        assert steps(read, most) < 200_000
