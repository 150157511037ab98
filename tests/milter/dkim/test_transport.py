"""Before it is signed, a message is made such that smtp(8) has nothing left to change."""

from __future__ import annotations

import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from gatepost_milter.dkim.transport import Prepared, broken_lines, has_long_line, prepare
from gatepost_milter.editing.headers import AddHeader, ChangeHeader, Headers, calls
from gatepost_milter.editing.message import Message, Plan, render
from gatepost_milter.parts.transfer import LINE_MOST
from tests.milter.making import message

HEAD = "From: a@example.test\nMIME-Version: 1.0\n"
LONG = "word " * 400


def prepared(msg: Message, *, encode_8bit: bool = False, most: int = 0, limit: int = 0) -> Prepared:
    headers = Headers.of(msg.headers)
    return prepare(headers, msg.body, encode_8bit=encode_8bit, most=most, limit=limit)


def after(msg: Message, result: Prepared) -> bytes:
    return render(msg, Plan(headers=result.headers, body=result.body))


def content(raw: bytes) -> list[bytes]:
    """Return the decoded leaves of a message, by the standard library."""
    parsed = email.message_from_bytes(raw, policy=email.policy.SMTP)
    return [
        payload
        for part in parsed.walk()
        if not part.is_multipart() and isinstance(payload := part.get_payload(decode=True), bytes)
    ]


@given(st.lists(st.sampled_from([1, 500, 997, 998, 999, 1000, 1001, 2500]), max_size=8), st.booleans())
def test_long_lines_are_found_wherever_they_are(lengths: list[int], ended: bool) -> None:
    body = b"\r\n".join(b"x" * length for length in lengths) + (b"\r\n" if ended else b"")
    assert has_long_line(body) == any(length > LINE_MOST for length in lengths)
    assert not has_long_line(broken_lines(body))
    assert broken_lines(body).replace(b"\r\n ", b"") == body.replace(b"\r\n ", b"")


def test_a_message_that_stays_as_it_is_gets_no_edit() -> None:
    msg = message(HEAD + "Content-Type: text/plain; charset=utf-8\n\nGrüße\n" + "x" * 990 + "\n")
    result = prepared(msg)
    assert (calls(result.headers), result.body, result.notes) == ((), None, [])


def test_a_part_with_a_long_line_is_encoded_and_means_the_same() -> None:
    msg = message(
        HEAD + f'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nshort\n--b\n\n{LONG}\n\n--b--\n'
    )
    result = prepared(msg)
    assert result.notes == ["part 2 was encoded as quoted-printable: it has lines over 998 bytes"]
    assert content(after(msg, result)) == content(render(msg, Plan()))
    assert b"--b\r\n\r\nshort\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" in (
        result.body or b""
    )


def test_a_text_without_mime_is_labelled_when_it_is_encoded() -> None:
    msg = message(f"From: a@example.test\n\n{LONG}\n")
    result = prepared(msg)
    assert calls(result.headers) == (
        AddHeader(b"Content-Transfer-Encoding", b" quoted-printable"),
        AddHeader(b"MIME-Version", b" 1.0"),
    )
    assert content(after(msg, result)) == [f"{LONG}\r\n".encode()]


def test_a_multipart_without_its_version_gets_it_when_a_part_is_encoded() -> None:
    msg = message(
        f'From: a@example.test\nContent-Type: multipart/mixed; boundary="b"\n\n--b\n\n{LONG}\n--b--\n'
    )
    result = prepared(msg)
    assert calls(result.headers) == (AddHeader(b"MIME-Version", b" 1.0"),)
    assert content(after(msg, result)) == content(render(msg, Plan()))


def test_an_encoding_is_written_over_the_one_that_came_which_keeps_its_spelling() -> None:
    msg = message(f"{HEAD}content-transfer-ENCODING: 8bit\n\n{LONG}\n")
    result = prepared(msg)
    assert calls(result.headers) == (ChangeHeader(b"content-transfer-ENCODING", 1, b" quoted-printable"),)
    assert b"\r\ncontent-transfer-ENCODING: quoted-printable\r\n" in after(msg, result)


def test_signed_and_embedded_parts_are_broken_as_smtp_would() -> None:
    for kind in ("message/rfc822", "multipart/signed; boundary=c"):
        msg = message(HEAD + f"Content-Type: {kind}\n\n--c\n\n{LONG}\n--c--\n")
        result = prepared(msg)
        assert result.body == broken_lines(msg.body)
        assert "lines over 998 bytes were broken where SMTP would have broken them" in result.notes
        assert any("was not encoded: it is" in note for note in result.notes)


def test_encoded_parts_are_wrapped_anew_and_mean_the_same() -> None:
    for encoding, text in (("base64", "QUJD" * 500), ("quoted-printable", "caf=C3=A9 " * 200)):
        msg = message(HEAD + f"Content-Type: text/plain\nContent-Transfer-Encoding: {encoding}\n\n{text}\n")
        result = prepared(msg)
        assert calls(result.headers) == ()
        assert max(map(len, (result.body or b"").split(b"\r\n"))) <= 76
        assert content(after(msg, result)) == content(render(msg, Plan()))


def test_eight_bit_parts_are_encoded_on_request_only() -> None:
    msg = message(
        HEAD + 'Content-Type: multipart/mixed; boundary="b"\nContent-Transfer-Encoding: 8bit\n\n'
        "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
        "Grüße an alle, die das hier lesen\n"
        "--b\nContent-Type: application/octet-stream\n\nöäü\n--b--\n"
    )
    assert prepared(msg).body is None
    result = prepared(msg, encode_8bit=True)
    raw = after(msg, result)
    assert raw.isascii()
    assert content(raw) == content(render(msg, Plan()))
    assert raw.partition(b"\r\n\r\n")[0].endswith(b"\r\nContent-Transfer-Encoding: 7bit")
    assert result.notes == [
        "part 1 was encoded as quoted-printable: it has 8-bit text",
        "part 2 was encoded as base64: it has 8-bit text",
    ]


def test_mail_with_a_signature_of_its_own_is_not_encoded() -> None:
    msg = message(f"DKIM-Signature: v=1\n{HEAD}\n{LONG}\n")
    result = prepared(msg)
    assert calls(result.headers) == ()
    assert result.body == broken_lines(msg.body)


def test_a_message_that_would_outgrow_the_queue_is_not_encoded() -> None:
    msg = message(HEAD + "Content-Type: text/plain; charset=utf-8\n\n" + "ö" * 1000 + "\n")
    result = prepared(msg, limit=2200)
    assert result.body == broken_lines(msg.body)
    assert any("would grow past 2200 bytes" in note for note in result.notes)


def test_long_header_lines_are_folded_at_white_space_or_else_between_characters() -> None:
    names = ", ".join(f"reader{number}@example.org" for number in range(200))
    msg = message(f"{HEAD}To: {names}\nSubject: {'ü' * 1500}\n\nx\n")
    result = prepared(msg)
    lines = after(msg, result).partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert max(map(len, lines)) <= LINE_MOST
    assert all(line.decode() for line in lines)  # no character is cut in two
    to = next(header.value for header in result.headers if header.name == b"To")
    assert to.replace(b"\n", b"") == f" {names}".encode()
    assert result.notes == ["header lines over 998 bytes were folded"]


def test_a_long_line_that_cannot_be_written_back_is_not_signed() -> None:
    msg = message(HEAD.encode() + b"Subject: " + b"\xe9 " * 800 + b"\n\nx\n")
    result = prepared(msg)
    assert (calls(result.headers), result.unsignable) == ((), frozenset({b"subject"}))
