"""``gatepost explain``: the whole decision, by the daemons' own code, without sending anything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_cli.maildiff import changes, within
from gatepost_core.keys.dkim_keys import txt_record
from gatepost_core.store import domains
from gatepost_core.store.sqlite.engine import open_engine
from gatepost_milter.editing.message import Message, Plan, render
from gatepost_milter.parts import eml
from tests.milter.dkim.judges import BOTH, by_dkimpy
from tests.steps import World, assert_linear

from .command import Gatepost

NEWSLETTER = Path(__file__).parents[1] / "milter/messages/newsletter.eml"
ALL = ("inlinecss", "trackclicks", "preventscam", "dkim")


@pytest.fixture
def gatepost(gatepost: Gatepost) -> Gatepost:
    gatepost("domain", "add", "example.test", "--account", "acme")
    return gatepost


def user(gatepost: Gatepost, *words: str) -> str:
    return gatepost.add_credential(*words)["username"]


def with_all(gatepost: Gatepost) -> str:
    return user(gatepost, *[word for name in ALL for word in ("--feature", name)])


def explain(gatepost: Gatepost, file: Path, username: str, *words: str) -> Any:
    result = gatepost("explain", str(file), "--credential", username, "--json", *words)
    assert result.code == (0 if result.data["accepted"] else 1), result
    return result.data


def write(folder: Path, text: str) -> Path:
    file = folder / "message.eml"
    file.write_text(text)
    return file


def test_each_feature_is_told_with_what_it_changes(gatepost: Gatepost) -> None:
    found = explain(gatepost, NEWSLETTER, with_all(gatepost))
    assert found["accepted"]
    assert [answer["stage"] for answer in found["answers"]] == [
        "RCPT <reader@example.org>",
        "DATA",
        "end of message",
    ]
    features = {feature["name"]: feature for feature in found["features"]}
    for name in ALL:
        assert features[name]["applied"], name
        assert features[name]["changes"], name
    assert "part 2 (text/html): " in features["trackclicks"]["changes"]
    assert features["dkim"]["changes"] == "header: 2 fields new, 0 gone"
    assert not features["tags"]["applied"]
    html = next(change for change in found["changes"] if "text/html" in change["where"])
    assert any(line.startswith("+ ") and "https://click.example.test/" in line for line in html["lines"])
    assert "Received" in found["notes"][0]


def test_the_output_is_what_would_be_sent_signature_and_all(gatepost: Gatepost, tmp_path: Path) -> None:
    output = tmp_path / "out.eml"
    found = explain(gatepost, NEWSLETTER, with_all(gatepost), "--output", str(output))
    engine = open_engine(f"sqlite:///{gatepost.folder}/store/directory.db", reading=True)
    with engine.connect() as connection:
        keys = domains.get(connection, "example.test").keys
    engine.dispose()
    records = {
        f"{key.selector}._domainkey.example.test": txt_record(key.algorithm, key.public) for key in keys
    }
    assert by_dkimpy(output.read_bytes(), records) == BOTH
    assert len(output.read_bytes()) == found["size_after"]


def test_nothing_is_recorded(gatepost: Gatepost) -> None:
    explain(gatepost, NEWSLETTER, with_all(gatepost))
    assert gatepost("message", "list", "--json").data == []


def test_what_is_off_stays_and_what_is_skipped_says_why(gatepost: Gatepost, tmp_path: Path) -> None:
    file = write(tmp_path, "From: a@other.test\nTo: b@example.org\nSubject: x\n\ntext\n")
    found = explain(gatepost, file, with_all(gatepost))
    features = {feature["name"]: feature for feature in found["features"]}
    assert features["dkim"]["skipped"] == "other.test is not a registered sender domain of this account"
    assert features["inlinecss"]["skipped"] == "no HTML part"
    assert found["changes"] == []
    assert "Postfix adds Date, Message-ID" in found["notes"][1]


def test_an_override_in_the_message_counts_and_is_removed(gatepost: Gatepost, tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "From: a@example.test\nTo: b@example.org\nX-Gatepost-Tags: one\nSubject: x\n\ntext\n",
    )
    found = explain(gatepost, file, user(gatepost))
    features = {feature["name"]: feature for feature in found["features"]}
    assert features["tags"]["value"] == ["one"]
    assert found["changes"] == [{"where": "header", "lines": ["- X-Gatepost-Tags: one"]}]


def test_metadata_is_told_removed_and_refused_by_name(gatepost: Gatepost, tmp_path: Path) -> None:
    head = "From: a@example.test\nTo: b@example.org\nX-Gatepost-Metadata: "
    found = explain(gatepost, write(tmp_path, head + '{"order": "1234"}\n\ntext\n'), user(gatepost))
    metadata = next(feature for feature in found["features"] if feature["name"] == "metadata")
    assert (metadata["value"], metadata["applied"]) == ('{"order":"1234"}', True)
    assert metadata["changes"] == "nothing in the message"
    assert found["changes"] == [{"where": "header", "lines": ['- X-Gatepost-Metadata: {"order": "1234"}']}]
    refused = explain(gatepost, write(tmp_path, head + "[1]\n\ntext\n"), user(gatepost))
    assert not refused["accepted"]
    assert "X-Gatepost-Metadata: '[1]' is JSON, but no object" in refused["answers"][-1]["reply"]


def test_what_was_encoded_for_the_signature_is_told(gatepost: Gatepost, tmp_path: Path) -> None:
    file = write(tmp_path, f"From: a@example.test\nTo: b@example.org\n\n{'word ' * 400}\n")
    found = explain(gatepost, file, user(gatepost, "--feature", "dkim"))
    assert "the message was encoded as quoted-printable: it has lines over 998 bytes" in found["notes"]
    body = next(change for change in found["changes"] if change["where"] == "body (text/plain)")
    assert body["lines"] == ["transfer encoding none became quoted-printable"]


@pytest.mark.parametrize(
    ("options", "words", "stage", "reply"),
    [
        (
            ["--sender", "example.test"],
            ["--from", "a@evil.test"],
            "RCPT",
            "Sender address <a@evil.test> is not",
        ),
        (
            ["--sender", "other.test"],
            ["--from", ""],
            "end of message",
            "From header address <news@example.test>",
        ),
    ],
)
def test_a_refusal_is_told_with_its_stage_and_reply(
    gatepost: Gatepost, options: list[str], words: list[str], stage: str, reply: str
) -> None:
    found = explain(gatepost, NEWSLETTER, user(gatepost, *options), *words)
    assert not found["accepted"]
    [refused] = [answer for answer in found["answers"] if not answer["accepted"]]
    assert refused["stage"].startswith(stage)
    assert refused["reply"].startswith("550 5.7.1 ")
    assert reply in refused["reply"]


def test_a_sandbox_credential_s_message_is_told_to_be_discarded(gatepost: Gatepost) -> None:
    found = explain(gatepost, NEWSLETTER, user(gatepost, "--mode", "sandbox", "--feature", "dkim"))
    assert (found["accepted"], found["delivered"]) == (True, False)
    assert "discarded" in found["answers"][-1]["reason"]
    assert next(one for one in found["features"] if one["name"] == "dkim")["applied"]
    assert explain(gatepost, NEWSLETTER, user(gatepost))["delivered"] is True


def test_a_held_message_is_told_to_go_into_the_hold_queue_with_the_reason(gatepost: Gatepost) -> None:
    found = explain(gatepost, NEWSLETTER, user(gatepost, "--mode", "hold", "--feature", "dkim"))
    assert (found["accepted"], found["delivered"]) == (True, True)
    reason = found["answers"][-1]["reason"]
    assert reason == "edited and recorded, into the hold queue: the credential is in mode hold"


def test_who_is_suppressed_is_told_at_rcpt_and_for_a_tag_at_the_end(gatepost: Gatepost) -> None:
    login = user(gatepost, "--feature", "tags=news")
    add = ("suppression", "add", "--account", "acme")
    assert gatepost(*add, "anna@example.org").code == 0
    assert gatepost(*add, "ben@example.org", "--credential", login, "--tag", "news").code == 0
    recipients = ("anna@example.org", "ben@example.org", "carol@example.org")
    found = explain(gatepost, NEWSLETTER, login, *[word for one in recipients for word in ("--to", one)])
    assert [answer["accepted"] for answer in found["answers"]] == [False, True, True, True, True]
    assert found["answers"][0]["reply"].startswith("550 5.7.1 Suppressed since ")
    said = "<ben@example.org> does not get it: suppressed for the tag news"
    assert any(said in one for one in found["notes"])
    found = explain(gatepost, NEWSLETTER, login, "--to", "ben@example.org")
    assert (found["accepted"], found["answers"][-1]["reply"][:36]) == (
        False,
        "550 5.7.1 No recipient is left: <ben",
    )


def test_a_disabled_credential_and_an_unknown_one(gatepost: Gatepost) -> None:
    name = user(gatepost)
    gatepost("credential", "disable", name)
    assert not explain(gatepost, NEWSLETTER, name)["accepted"]
    assert gatepost("explain", str(NEWSLETTER), "--credential", "nobody").code == 3


def test_the_text_is_for_people(gatepost: Gatepost) -> None:
    result = gatepost("explain", str(NEWSLETTER), "--credential", with_all(gatepost))
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "asked at\tanswer\twhy"
    assert any(line.startswith("dkim\ton\tapplied\theader: 2 fields new") for line in lines)
    assert any(line.startswith("  + DKIM-Signature: v=1; a=rsa-sha256;") for line in lines)
    assert max(map(len, lines)) < 400


def test_each_edit_is_shown_with_its_feature_and_the_envelope_before_and_after(
    gatepost: Gatepost, tmp_path: Path
) -> None:
    text = NEWSLETTER.read_text(encoding="utf-8")
    file = write(tmp_path, "".join(line for line in text.splitlines(True) if "List-Unsub" not in line))
    name = user(
        gatepost, *[word for one in (*ALL, "trackbounces", "unsubscribe") for word in ("--feature", one)]
    )
    result = gatepost("explain", str(file), "--credential", name)
    assert result.code == 0
    told = re.search(r"^envelope:\n  sender     <news@example.test> becomes <(.*)>$", result.out, re.M)
    assert told
    assert re.fullmatch(r"bounce-[a-z2-7]{40}@bounces\.example\.test", told[1])
    assert re.search(r"^  \+ List-Unsubscribe: <https://click\.example\.test/u/\S+>$", result.out, re.M)
    clicks = result.out.partition("part 2 (text/html), trackclicks:\n")[2].splitlines()
    assert re.fullmatch(r"  www\.example\.org → click\.example\.test/\S+", clicks[0])
    assert clicks[5] == "  … and 19 more; --all shows them"
    whole = gatepost("explain", str(file), "--credential", name, "--all").out
    assert whole.count(" → click.example.test/") == 24
    found = explain(gatepost, file, name)
    assert found["sender_after"].endswith("@bounces.example.test")
    features = {feature["name"]: feature for feature in found["features"]}
    assert features["trackbounces"]["changes"].startswith("envelope sender becomes <bounce-")
    assert [edit["now"].partition(":")[0] for edit in features["unsubscribe"]["edits"]] == [
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
    ]


def test_standard_input_is_read_where_a_dash_stands_for_the_file(gatepost: Gatepost) -> None:
    name = user(gatepost)
    done = gatepost.process(
        "explain", "-", "--credential", name, "--json", stdin=NEWSLETTER.read_text("utf-8")
    )
    assert (done.code, json.loads(done.out)["accepted"]) == (0, True)


@given(st.lists(st.text("ab<> =\"'", max_size=40), min_size=2, max_size=2))
def test_what_changed_within_a_line_leads_from_one_to_the_other(pair: list[str]) -> None:
    was, now = pair
    edits = within([f"- {was}", f"+ {now}"])
    assert (edits == []) == (was == now)
    assert all(edit.was in was and edit.now in now for edit in edits)
    # What stays is the same on both sides.
    left, right = was, now
    for edit in edits:
        left, right = left.replace(edit.was, "", 1), right.replace(edit.now, "", 1)
    assert sorted(left) == sorted(right)


def test_lines_of_many_words_are_compared_in_linear_time(world: World) -> None:
    compare = world.load("gatepost_cli.maildiff").within

    def lines(n: int) -> list[str]:
        return [
            f"{sign} x" + " ".join(f"{letter}{number}" for number in range(n)) + "y"
            for sign, letter in ("-a", "+b")
        ]

    assert_linear(world, lines, compare, 20_000)


def test_a_message_without_a_recipient_needs_one(gatepost: Gatepost, tmp_path: Path) -> None:
    file = write(tmp_path, "From: a@example.test\n\ntext\n")
    assert gatepost("explain", str(file), "--credential", user(gatepost)).code == 2
    assert explain(gatepost, file, user(gatepost), "--to", "b@example.org")["accepted"]


@given(st.binary(max_size=300))
def test_any_file_can_be_read_and_compared(raw: bytes) -> None:
    headers, body = eml.read(raw)
    message = Message(headers, body)
    assert eml.read(render(message, Plan())) == (headers, body)
    assert changes(message, message) == []


def test_a_file_is_read_as_postfix_would_hand_it_over() -> None:
    raw = b"From a Mon\r\nFrom: a\r\nBcc: b\nX-Folded: one\n\ttwo\nno field\nbody\r\n"
    headers, body = eml.read(raw)
    assert [(header.name, header.value) for header in headers] == [
        (b"From", b" a"),
        (b"X-Folded", b" one\n\ttwo"),
    ]
    assert body == b"no field\r\nbody\r\n"
    assert eml.missing(headers) == ["Date", "Message-ID"]


def test_a_credential_with_networks_is_explained_from_one_of_them_and_from_any_other_that_is_named(
    gatepost: Gatepost,
) -> None:
    username = user(gatepost, "--network", "192.0.2.0/24")
    assert explain(gatepost, NEWSLETTER, username)["accepted"]
    assert explain(gatepost, NEWSLETTER, username, "--client", "192.0.2.9")["accepted"]
    refused = explain(gatepost, NEWSLETTER, username, "--client", "198.51.100.1")
    assert not refused["accepted"]
    assert "may not be used from 198.51.100.1" in str(refused["answers"])


def test_what_is_no_address_of_a_client_is_named(gatepost: Gatepost) -> None:
    result = gatepost("explain", str(NEWSLETTER), "--credential", user(gatepost), "--client", "shop")
    assert result.code == 2
    assert "'shop' does not appear to be an IPv4 or IPv6 address; expected something like" in result.err
