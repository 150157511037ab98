"""Whom a credential may send to: what a pattern matches, and every way in which an address may be read."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Rules
from gatepost_core.domain.rules import catalogue, readable, recipients
from gatepost_core.domain.rules.asking import Asked, Stage
from tests.core.making import credential
from tests.steps import World, assert_linear

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def answer(
    *recipients: str, allowed: tuple[str, ...] = (), denied: tuple[str, ...] = (), stage: Stage = Stage.RCPT
) -> str:
    """Return a refusal; '' where there is none."""
    held = credential(rules=Rules(recipients=allowed, denied_recipients=denied))
    found = catalogue.refusal(held, Asked(stage, NOW, "UTC", recipients))
    return "" if found is None else str(found)


@pytest.mark.parametrize(
    ("patterns", "recipient", "passes"),
    [
        (("example.org",), "bob@example.org", True),
        (("example.org",), "Bob@EXAMPLE.org.", True),
        (("example.org",), '"bob"@example.org', True),
        (("example.org",), "bob@sub.example.org", False),
        (("*.example.org",), "bob@a.b.example.org", True),
        (("*.example.org",), "bob@example.org", False),
        (("*.example.org",), "bob@badexample.org", False),
        (("bob@example.org",), "BOB@example.org", True),
        (("bob@example.org",), '"b\\ob"@example.org', True),
        (("bob@example.org",), "alice@example.org", False),
        (("bob@example.org",), "bob+news@example.org", False),
        (("xn--exmple-cua.org",), "bob@EXÄMPLE.org", True),
        (("example.org",), "bob@\uff45xample.org", False),
        # What Postfix would read once more, were example.org the gateway's own.
        (("example.org",), "bob%evil.test@example.org", False),
        (("example.org",), "evil.test!bob@example.org", False),
        (("example.org",), '"bob@evil.test"@example.org', False),
        (("example.org", "*.example.org"), "bob%sub.example.org@example.org", True),
        (("example.org",), "bob@[192.0.2.1]", False),
    ],
)
def test_only_who_is_among_the_allowed_may_be_sent_to(
    patterns: tuple[str, ...], recipient: str, passes: bool
) -> None:
    said = answer(recipient, allowed=patterns)
    assert (said == "") is passes
    assert passes or said == (
        f"550 5.7.1 Recipient <{readable(recipient)}> is not among those that credential gp1 may send to"
    )


@pytest.mark.parametrize(
    ("recipient", "by"),
    [
        ("bob@evil.test", "evil.test"),
        ("bob@EVIL.test.", "evil.test"),
        ("bob@sub.evil.test", "*.evil.test"),
        ("bob%evil.test@gateway.test", "evil.test"),
        ("evil.test!bob@gateway.test", "evil.test"),
        ('"bob@evil.test"@gateway.test', "evil.test"),
        ('"\\"bob@evil.test\\"x"@evil.test', "evil.test"),
        ("a!b!c%evil.test@gateway.test", "evil.test"),
        ("bob@\uff45vil.test", "evil.test"),
        ("bob@evil。test", "evil.test"),
        ("bob@e\u00advil.test", "evil.test"),
        ("Mallory@example.org", "mallory@example.org"),
        ("M\u00dcLLER@example.org", "m\u00fcller@example.org"),
        ("mu\u0308ller@example.org", "m\u00fcller@example.org"),
        ("alice@example.org", ""),
        ("mallory@example.com", ""),
        ("bob@" + "a." * 121 + "evil.test", "*.evil.test"),
        ("bob@" + "\u00fc." * 40 + "evil.test", "*.evil.test"),
    ],
)
def test_whom_a_rule_denies_is_denied_however_it_is_written(recipient: str, by: str) -> None:
    denied = ("evil.test", "*.evil.test", "mallory@example.org", "m\u00fcller@example.org")
    said = answer(recipient, denied=denied)
    assert said == (
        by
        and f"550 5.7.1 Recipient <{readable(recipient)}> is denied to credential gp1, by its rule "
        + readable(by)
    )
    # What is denied stays so where it is allowed as well.
    assert (answer(recipient, allowed=(recipient,), denied=denied) == "") is (by == "")


@pytest.mark.parametrize(
    "recipient",
    [
        "postmaster",
        "",
        "@example.org",
        "bob@",
        "a%b%c%d%e%f%g@example.org",
        '""@example.org',
        "@b.test:a@b.test",
        "a@" + "b." * 126 + "test",
        "a@" + "\u00fc." * 50 + "test",
        "a%" + "b." * 126 + "test@example.org",
    ],
)
def test_what_cannot_be_read_for_sure_is_refused_where_a_rule_would_have_to_tell(recipient: str) -> None:
    for allowed, denied in ((("example.org",), ()), ((), ("evil.test",))):
        said = answer(recipient, allowed=allowed, denied=denied)
        assert said.startswith(f"550 5.1.3 Recipient <{readable(recipient)}> cannot be read as one address")
    assert answer(recipient) == ""


@given(st.text(alphabet='ab@%!".\\ü ', max_size=40))
def test_any_text_has_an_answer_and_what_is_allowed_is_of_the_domain(text: str) -> None:
    found = answer(text, allowed=("b.a",))
    assert found.startswith("550 5.") or text.strip().rstrip(".").endswith("@b.a")


def test_any_of_a_messages_recipients_may_be_the_one_that_is_refused() -> None:
    allowed = ("example.org",)
    assert answer("a@example.org", "b@example.org", allowed=allowed, stage=Stage.END) == ""
    found = answer("a@example.org", "postmaster", "b@evil.test", allowed=allowed, stage=Stage.END)
    assert found.startswith("550 5.1.3 Recipient <postmaster>")
    assert answer(allowed=allowed, stage=Stage.DATA) == ""


def test_recipients_are_read_and_compared_in_linear_time(world: World) -> None:
    domain = world.load("gatepost_core.domain")
    counted = world.load("gatepost_core.domain.rules.catalogue")
    asking = world.load("gatepost_core.domain.rules.asking")
    patterns = world.load("gatepost_core.domain.rules.patterns")
    rules = domain.Rules(recipients=("example.org",), denied_recipients=("*.evil.test", "bob@evil.test"))

    class Held:
        username = "gp1"

    Held.rules = rules  # type: ignore[attr-defined]
    for unit in ("a", "@", "%", "!", '"', "\\", "a@b.", "a%b!", "\u00fc", "\u0300\u0327", "."):
        for end in ("", "@example.org", '"@example.org'):
            assert_linear(
                world,
                lambda size, unit=unit, end=end: ('"' if end[:1] == '"' else "") + unit * size + end,  # type: ignore[misc]
                lambda text: counted.refusal(Held, asking.Asked(asking.Stage.RCPT, NOW, "UTC", (text,))),
            )

    def read(text: str) -> None:
        with suppress(domain.RuleError):
            patterns.read(text, "recipient")

    for unit in ("a", "a.", "@", "*.", "ü", "-"):
        assert_linear(world, lambda size, unit=unit: unit * size, read)  # type: ignore[misc]


def test_labels_beyond_those_of_a_name_are_not_looked_at() -> None:
    world = World("idna")
    domain = world.load("gatepost_core.domain")
    counted = world.load("gatepost_core.domain.rules.catalogue")
    asking = world.load("gatepost_core.domain.rules.asking")
    names = world.load("gatepost_core.domain.rules.addresses")
    rules = domain.Rules(recipients=("example.org",), denied_recipients=("*.evil.test", "bob@evil.test"))

    class Held:
        username = "gp1"

    Held.rules = rules  # type: ignore[attr-defined]

    def ask(text: str) -> None:
        counted.refusal(Held, asking.Asked(asking.Stage.END, NOW, "UTC", (text,)))

    for label in ("\u00fc.", "\u0628.", "\ufdfa.", "\u00fc\u3002", "\u00fc\u00ad.", "x.\u00fc."):
        most = [world.steps(lambda label=label: ask("bob@" + label * 40 + "test"))]  # type: ignore[misc]
        for read in (ask, names.normal_address, names.plain_name):
            most += [
                world.steps(lambda label=label, size=size, read=read: read("bob@" + label * size + "test"))  # type: ignore[misc]
                for size in (100, 200, 400, 800)
            ]
        assert max(most) < 1_000_000, (label, most)


def test_recipients_are_read_once_for_both_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = recipients.readings

    def reading(text: str) -> list[str]:
        read.append(text)
        return real(text)

    monkeypatch.setattr(recipients, "readings", reading)
    whom = [f"bob{one}@example.org" for one in range(300)]
    assert answer(*whom, allowed=("example.org",), denied=("evil.test",), stage=Stage.END) == ""
    assert read == whom
