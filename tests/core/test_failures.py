"""Classes of failures: each row of the table, and what real hosts say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from gatepost_core.domain import failures
from gatepost_core.domain.failures import FailureClass, classify, permanent

from ..steps import World, assert_linear, growth

TABLE = tomllib.loads(Path(failures.__file__).with_name("table.toml").read_text("utf-8"))


def rows(name: str) -> list[tuple[str, str, str]]:
    """Return each phrase of a list of rules, with a status that fits, and its class."""
    return [
        (phrase, _fitting(rule.get("status", [""])[0]), rule["class"])
        for rule in TABLE[name]
        for phrase in rule["phrases"]
    ]


def _fitting(status: str) -> str:
    return f"{status}.1" if status.count(".") == 1 else status


@pytest.mark.parametrize(("phrase", "status", "expected"), [*rows("told"), *rows("guessed")])
def test_each_phrase_of_the_table_means_its_class(phrase: str, status: str, expected: str) -> None:
    assert classify(status, "", f"host said: {phrase.title()}; sorry") == expected


@pytest.mark.parametrize(("detail", "expected"), TABLE["status"].items())
def test_each_status_of_the_table_means_its_class_transient_ones_as_well(detail: str, expected: str) -> None:
    status = f"5.{detail}" if "." in detail else f"5.{detail}.99"
    assert classify(status, "550", "") == expected
    assert classify(f"4{status[1:]}", "450", "") == expected


@pytest.mark.parametrize(("code", "expected"), TABLE["code"].items())
def test_each_code_of_the_table_means_its_class(code: str, expected: str) -> None:
    assert classify("", code, "") == expected


def said() -> list[tuple[str, str, str, str, str]]:
    """Return what hosts say: class, permanent or '', status, code, text."""
    lines = Path(__file__).with_name("failures.txt").read_text("utf-8").splitlines()
    found = [line.split(" | ") for line in lines if not line.startswith("#")]
    return [(name, *("" if one == "-" else one for one in rest)) for name, *rest in found]  # type: ignore[misc]


@pytest.mark.parametrize(("expected", "final", "status", "code", "text"), said())
def test_what_hosts_say_is_of_a_class_and_permanent_or_not(
    expected: str, final: str, status: str, code: str, text: str
) -> None:
    assert classify(status, code, text) == expected
    assert permanent(status, code, text) is bool(final)


def test_a_name_in_an_address_or_host_means_nothing() -> None:
    text = "<over.quota@spamhaus.test>: user unknown; said mx.blocklist.test[192.0.2.3]"
    assert classify("", "550", text) is FailureClass.MAILBOX


@pytest.mark.parametrize(("status", "code"), [("4.1.1", "550"), ("5.1.1", "450"), ("4.2.1", ""), ("", "450")])
def test_what_says_4_anywhere_is_never_permanent(status: str, code: str) -> None:
    assert not permanent(status, code, "550 5.1.1 User unknown")


@pytest.mark.parametrize(
    "status", ["5.1.1.1", "5.1", "5.1.1111", "\u0665.1.1", "250", "", "5.1.1 x", "9.1.1"]
)
def test_what_is_no_status_is_not_taken_for_one(status: str) -> None:
    assert classify(status, "", "") is FailureClass.UNKNOWN


def test_an_address_of_a_host_is_no_status() -> None:
    assert classify("", "", "host 5.1.1.4 went away; 10.5.1.1 as well") is FailureClass.UNKNOWN


def test_only_the_beginning_of_a_text_counts() -> None:
    assert classify("", "", "x " * 1_000 + "user unknown") is FailureClass.UNKNOWN


@pytest.mark.parametrize("piece", ["a", "a ", "5.1.1", "5.1.", "<@", "user ", "no such ", "'", "550 ", "["])
def test_texts_are_read_in_linear_time(world: World, piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = world.load("gatepost_core.domain.failures")
    monkeypatch.setattr(counted, "TEXT_MOST", 1_000_000)
    assert_linear(world, lambda n: piece * n, lambda text: counted.classify("", "", text))
    assert_linear(world, lambda n: piece * n, lambda text: counted.permanent("", "", text))


def test_a_text_of_any_length_takes_a_bounded_time(world: World) -> None:
    classify_counted = world.load("gatepost_core.domain.failures").classify
    times, _ = growth(world, lambda n: "no such " * n, lambda text: classify_counted("", "", text), 1_000)
    assert times == 0
