"""DKIM-Signature fields: what they cover, and how they look."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatepost_milter.dkim.signature import SignatureError, signatures
from gatepost_milter.editing.headers import Header, Headers
from gatepost_milter.editing.message import Message, Plan, render
from tests.milter.making import MESSAGES, message

from .judges import BOTH, DOMAIN, by_dkimpy, by_opendkim, records, signing_keys

KEYS = signing_keys()
HEAD = "From: a@example.test\nTo: b@example.org\nSubject: x\nDate: x\n"


def signed(msg: Message, expires: int | None = None) -> bytes:
    fields = signatures(msg.headers, msg.body, DOMAIN, KEYS, (1_790_000_000, expires))
    return render(msg, Plan(Headers.of(msg.headers).on_top(*fields)))


def tags(raw: bytes) -> dict[str, str]:
    """Return the tags of a message's first signature, white space taken out."""
    field = re.split(rb"\r\n(?![ \t])", raw)[0].partition(b":")[2]
    return dict(part.split("=", 1) for part in re.sub(r"\s", "", field.decode("ascii")).split(";") if part)


def test_both_judges_verify_both_signatures(tmp_path: Path) -> None:
    raw = signed(message((MESSAGES / "newsletter.eml").read_bytes()))
    assert by_dkimpy(raw, records()) == BOTH
    assert by_opendkim(raw, records(), tmp_path) == BOTH


def test_a_judge_refuses_what_was_changed(tmp_path: Path) -> None:
    raw = signed(message(HEAD + "\nbody\n")).replace(b"body", b"bodY")
    assert by_dkimpy(raw, records()) == []
    assert by_opendkim(raw, records(), tmp_path) == []


def test_the_tags_are_what_we_promise() -> None:
    found = tags(signed(message(HEAD + "\nbody\n"), 1_790_086_400))
    assert {name: found[name] for name in ("v", "a", "c", "d", "s", "t", "x")} == {
        "v": "1", "a": "rsa-sha256", "c": "relaxed/relaxed", "d": DOMAIN, "s": "r1",
        "t": "1790000000", "x": "1790086400",
    }  # fmt: skip
    assert "l" not in found
    assert "x" not in tags(signed(message(HEAD + "\nbody\n")))


def test_from_and_what_readers_see_are_named_once_more_than_they_occur() -> None:
    names = tags(signed(message(HEAD + "List-Unsubscribe: <https://x.test>\nList-Id: x\n\nb\n")))["h"].split(
        ":"
    )
    for name in ("from", "to", "subject", "date", "list-unsubscribe"):
        assert names.count(name) == 2, name
    for name in ("reply-to", "cc", "message-id", "mime-version", "content-type", "content-transfer-encoding"):
        assert names.count(name) == 1, name
    assert names.count("list-id") == 1
    assert "in-reply-to" not in names  # a mailing list may add what was not there


def test_fields_that_come_twice_are_all_signed() -> None:
    raw = signed(message(HEAD + "To: c@example.org\nSubject: y\n\nb\n"))
    assert tags(raw)["h"].split(":").count("to") == 3
    assert by_dkimpy(raw, records()) == BOTH
    assert by_dkimpy(raw.replace(b"To: c@", b"To: d@"), records()) == []
    assert by_dkimpy(raw.replace(b"To: b@", b"To: d@"), records()) == []


def test_trace_fields_and_those_that_gateways_add_are_not_signed() -> None:
    names = tags(signed(message("Received: x\nReturn-Path: x\nX-Spam: y\n" + HEAD + "\nb\n")))["h"].split(":")
    assert not {"received", "return-path", "x-spam"} & set(names)


def test_no_line_of_a_signature_is_long_and_none_is_blank() -> None:
    fields = signatures(
        message("References: x\nSender: y\n" + HEAD + "\n").headers, b"", DOMAIN, KEYS, (1_790_000_000, None)
    )
    for field in fields:
        lines = (field.name + b":" + field.value).split(b"\n")
        assert max(map(len, lines)) <= 78
        assert all(line.strip() for line in lines)
        assert b"\r" not in field.value


def test_a_message_with_a_thousand_fields_to_sign_is_not_signed() -> None:
    headers = (Header(b"From", b" a@example.test"), *[Header(b"To", b" b@example.org")] * 1000)
    with pytest.raises(SignatureError, match="more than 500 header fields"):
        signatures(headers, b"", DOMAIN, KEYS, (0, None))
