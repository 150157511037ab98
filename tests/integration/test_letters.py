"""Every single feature on letters in which it finds something to do, through a real Postfix to the sink.

With the edits undone each letter is what was sent, signatures hold by both judges, and the same behind a next
hop without 8BITMIME, where 8-bit parts are encoded before they are signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost_core.domain import FeatureValue
from gatepost_core.keys.dkim_keys import txt_record
from gatepost_core.postfix import Parameter
from gatepost_stack.sink import WITHOUT_8BITMIME
from gatepost_stack.stack import Stack
from tests.corpus.letters import letter
from tests.corpus.sunk import check, unsubscribe_fields
from tests.integration.harness import SENDER, Gateway
from tests.integration.lone import ALL
from tests.integration.sinkreader import SinkReader
from tests.milter.dkim.judges import BOTH, by_dkimpy, by_opendkim

LETTERS = range(42)  # each text of each shape once
FEATURES: dict[str, dict[str, FeatureValue]] = {
    "trackclicks": {"trackclicks": True},
    "trackopens": {"trackopens": True},
    "preventscam": {"trackclicks": True, "preventscam": True},
    "inlinecss": {"inlinecss": True},
    "images": {"images": "hosted"},
    "trackbounces": {"trackbounces": True},
    "unsubscribe": {"unsubscribe": True, "dkim": True},
    "privacy": {"privacy": True},
    "feedbackid": {"feedbackid": True},
    "dkim": {"dkim": True},
    "tags": {"tags": ("spring", "sale")},
    "all": ALL,
}


@pytest.fixture(scope="module")
def letters_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway of its own, so that other tests need not look through this sink."""
    with Stack(tmp_path_factory.mktemp("letters")) as stack:
        yield Gateway(stack)


@pytest.fixture(scope="module")
def without_8bitmime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose next hop does not announce 8BITMIME; anything left to convert breaks the signature."""
    with Stack(
        tmp_path_factory.mktemp("letters8"),
        extra=[Parameter("disable_mime_output_conversion", "no", "test")],
        tables={"dkim": {"encode_8bit": True}},
        sink_options=[WITHOUT_8BITMIME],
    ) as stack:
        yield Gateway(stack)


def sent(gateway: Gateway, features: dict[str, FeatureValue], numbers: range, word: str) -> dict[int, bytes]:
    """Send letters in one session, each to a recipient of its own; return what reached the sink."""
    recipients = {f"{word}.{number}@example.org": number for number in numbers}
    with gateway.logged_in(gateway.stack.provision.credential(features)) as connection:
        for recipient, number in recipients.items():
            connection.mail(SENDER, ["body=8bitmime"])
            connection.rcpt(recipient)
            code, reply = connection.data(letter(number))
            assert code == 250, reply
    reader = SinkReader(gateway.stack.layout.delivered)
    reader.wait_for(recipients)
    found = {item.recipients[0]: item for item in reader.items if item.recipients[0] in recipients}
    for recipient, item in found.items():
        assert reader.times[recipient] == 1
        assert item.sender.endswith("@bounces.example.test") == bool(features.get("trackbounces"))
    return {recipients[recipient]: item.message for recipient, item in found.items()}


def hosted(gateway: Gateway) -> Path:
    return gateway.stack.settings.images.directory


def records(gateway: Gateway) -> dict[str, str]:
    domain = gateway.stack.provision.domain()
    return {
        f"{key.selector}._domainkey.{domain.name}": txt_record(key.algorithm, key.public)
        for key in domain.keys
    }


def check_signed(gateway: Gateway, raw: bytes, folder: Path, *, second_judge: bool) -> None:
    whole = raw.replace(b"\n", b"\r\n")
    assert by_dkimpy(whole, records(gateway)) == BOTH
    if second_judge:
        assert by_opendkim(whole, records(gateway), folder) == BOTH


@pytest.mark.parametrize("name", FEATURES)
def test_each_feature_edits_every_letter_and_nothing_else(
    letters_gateway: Gateway, name: str, tmp_path: Path
) -> None:
    features = FEATURES[name]
    letters = sent(letters_gateway, features, LETTERS, f"letter.{name}")
    assert len(letters) == len(LETTERS) > 30
    for number, raw in letters.items():
        got = check(number, raw, features, images=hosted(letters_gateway))
        assert len(unsubscribe_fields(got)) == (2 if features.get("unsubscribe") else 0)
        if features.get("dkim"):
            check_signed(letters_gateway, raw, tmp_path, second_judge=number % 3 == 0)


@pytest.mark.parametrize("name", FEATURES)
def test_the_same_holds_signed_behind_a_next_hop_without_8bitmime(
    without_8bitmime: Gateway, name: str, tmp_path: Path
) -> None:
    features = {**FEATURES[name], "dkim": True}
    for number, raw in sent(without_8bitmime, features, LETTERS, f"behind.{name}").items():
        assert raw.partition(b"\n\n")[2].isascii()
        check(number, raw, features, images=hosted(without_8bitmime))
        check_signed(without_8bitmime, raw, tmp_path, second_judge=number % 4 == 0)


def test_the_record_of_each_letter_says_that_every_feature_was_applied(letters_gateway: Gateway) -> None:
    gateway = letters_gateway
    login = gateway.stack.provision.credential(ALL)
    with gateway.logged_in(login) as connection:
        for number in LETTERS:
            connection.sendmail(SENDER, [f"record.{number}@example.org"], letter(number), ["body=8bitmime"])
    found = gateway.records(login.username)
    assert len(found) == len(LETTERS)
    for record in found:
        assert set(record.applied) == set(ALL), record.skipped
        # One of the two embedded images is not referred to in every letter.
        assert set(record.skipped) <= {"images"}
