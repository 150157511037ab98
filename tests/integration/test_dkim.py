"""Signatures hold at the next hop, after Postfix delivered the message, by two judges that are not ours."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gatepost_core.keys.dkim_keys import txt_record
from gatepost_core.postfix import Parameter
from gatepost_stack.sink import WITHOUT_8BITMIME
from gatepost_stack.stack import Stack
from tests.integration.harness import PORTS, SENDER, Gateway, Port, fresh_recipient
from tests.milter.dkim.judges import BOTH, by_dkimpy, by_opendkim

NEWSLETTER = Path(__file__).parents[1] / "milter/messages/newsletter.eml"
FEATURES = ("inlinecss", "trackclicks", "preventscam", "dkim")
DATE = b"Date: Sun, 1 Mar 2026 12:00:00 +0100\r\n"
HEAD = b"From: <alice@example.test>\r\nTo: <bob@example.org>\r\n" + DATE
MIME = HEAD + b"Subject: x\r\nMIME-Version: 1.0\r\n"
LONG = b"word " * 1000
MULTIPART = MIME + b'Content-Type: multipart/%s; boundary="b"\r\n\r\npreamble\r\n--b\r\n'

CASES: dict[str, bytes] = {
    "newsletter": NEWSLETTER.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "text": HEAD + b"Subject: x\r\n\r\nHello.\r\n",
    "no body": HEAD + b"Subject: empty\r\n\r\n",
    "only blank lines": HEAD + b"Subject: x\r\n\r\n\r\n \t\r\n\r\n",
    "trailing blank lines and spaces": HEAD + b"Subject: x\r\n\r\n  a  b \t\r\n\t\r\n\r\n \r\n",
    "odd white space in headers": HEAD
    + b"Subject:\t no  space \r\nReply-To:  <a@example.test>\r\n\t,\r\n   <b@example.test>  \r\n"
    + b"Cc:\r\n\r\nx\r\n",
    "space before the colon": HEAD + b"Subject : odd\r\nReply-To\t: <a@example.test>\r\n\r\nx\r\n",
    "names in capitals": HEAD.upper().replace(b"EXAMPLE.TEST", b"example.test") + b"SUBJECT: x\r\n\r\nx\r\n",
    "raw 8-bit header and body": HEAD + b"Subject: caf\xe9 \xc3\xa9\r\n\r\ncaf\xe9 \xff\xfe\r\n",
    "the same header more than once": HEAD
    + b"To: <c@example.org>\r\nSubject: 1\r\nSubject: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nx\r\n",
    "nothing that Postfix adds is there": b"From: <alice@example.test>\r\nSubject: x\r\n\r\nx\r\n",
    "what Postfix drops is there": HEAD
    + b"Bcc: <c@example.org>\r\nReturn-Path: <a@example.test>\r\nContent-Length: 3\r\n\r\nx\r\n",
    "bare CR and LF": HEAD + b"Subject: x\r\n\r\na\rb\nc\r\r\nd\n\ne\r\n",
    "lines with dots": HEAD + b"Subject: x\r\n\r\n.\r\n..\r\n.x\r\n",
    "long line of text": HEAD + b"Subject: x\r\n\r\n" + LONG + b"\r\nshort\r\n",
    "long line without a blank": HEAD + b"Subject: x\r\n\r\n" + b"x" * 5000 + b"\r\n",
    "lines of 998 and 999 bytes": HEAD + b"Subject: x\r\n\r\n" + b"y" * 998 + b"\r\n" + b"z" * 999 + b"\r\n",
    "long 8-bit line of HTML": MIME
    + b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>"
    + "größer ".encode() * 500
    + b"</p>\r\n",
    "long lines in two parts": MULTIPART % b"alternative"
    + b"Content-Type: text/plain\r\n\r\n"
    + LONG
    + b"\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>"
    + LONG
    + b"</p>\r\n--b--\r\n",
    "long line in the preamble": (MULTIPART % b"mixed").replace(b"preamble", LONG)
    + b"Content-Type: text/plain\r\n\r\nx\r\n--b--\r\n",
    "long line in an embedded message": MULTIPART % b"mixed"
    + b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n"
    + LONG
    + b"\r\n--b--\r\n",
    "long line in what is signed": MULTIPART % b"signed"
    + b"Content-Type: text/plain\r\n\r\n"
    + LONG
    + b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n",
    "base64 in one line": MIME
    + b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b"QUJD" * 1000
    + b"\r\n",
    "quoted-printable in one line": MIME
    + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b"caf=C3=A9 " * 300
    + b"\r\n",
    "long list of recipients in one line": b"From: <alice@example.test>\r\nTo: "
    + b", ".join(b"<reader%d@example.org>" % number for number in range(400))
    + b"\r\n"
    + DATE
    + b"Subject: x\r\n\r\nx\r\n",
    "long header line without a blank": HEAD + b"Subject: " + b"x" * 3000 + b"\r\n\r\nx\r\n",
    "long 8-bit header line": HEAD + b"Subject: " + b"\xe9t\xe9 " * 500 + b"\r\n\r\nx\r\n",
    "one-click unsubscription": HEAD
    + b"Subject: x\r\nList-Unsubscribe: <https://example.test/u>\r\n"
    + b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Id: <news.example.test>\r\n\r\nx\r\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def without_8bitmime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway whose next hop does not announce 8BITMIME, and that encodes 8-bit parts before signing.

    Postfix is left to convert what it finds too, so that anything left to convert breaks the signature.
    """
    converting = [Parameter("disable_mime_output_conversion", "no", "test")]
    with Stack(
        tmp_path_factory.mktemp("without8"),
        extra=converting,
        tables={"dkim": {"encode_8bit": True, "unregistered": "default", "default_domain": "example.test"}},
        sink_options=[WITHOUT_8BITMIME],
    ) as stack:
        yield Gateway(stack)


@pytest.fixture(scope="module")
def plain_next_hop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a next hop that does not announce 8BITMIME; unregistered domains are refused."""
    with Stack(
        tmp_path_factory.mktemp("plain"),
        tables={"dkim": {"unregistered": "refuse"}},
        sink_options=[WITHOUT_8BITMIME],
    ) as stack:
        yield Gateway(stack)


def records(gateway: Gateway) -> dict[str, str]:
    domain = gateway.stack.provision.domain()
    return {
        f"{key.selector}._domainkey.{domain.name}": txt_record(key.algorithm, key.public)
        for key in domain.keys
    }


def send(
    gateway: Gateway, contents: list[bytes], role: Port, features: tuple[str, ...] = FEATURES
) -> list[str]:
    """Send messages in one session; return the recipient of each."""
    login = gateway.stack.provision.credential(dict.fromkeys(features, True))
    recipients = []
    with gateway.logged_in(login, role) as connection:
        for content in contents:
            recipients.append(fresh_recipient())
            connection.mail(SENDER, ["body=8bitmime"])
            connection.rcpt(recipients[-1])
            code, text = connection.data(content)
            assert code == 250, text
    return recipients


def at_the_sink(gateway: Gateway, recipient: str) -> bytes:
    return gateway.delivered(recipient).message.replace(b"\n", b"\r\n")


def through(gateway: Gateway, content: bytes, role: Port = "submission") -> bytes:
    return at_the_sink(gateway, send(gateway, [content], role)[0])


def assert_holds(gateway: Gateway, raw: bytes, folder: Path) -> None:
    assert by_dkimpy(raw, records(gateway)) == BOTH
    assert by_opendkim(raw, records(gateway), folder) == BOTH


@pytest.mark.parametrize("name", CASES)
def test_both_signatures_hold_at_the_next_hop(gateway: Gateway, name: str, tmp_path: Path) -> None:
    role = PORTS[list(CASES).index(name) % len(PORTS)]
    assert_holds(gateway, through(gateway, CASES[name], role), tmp_path)


def test_a_body_with_nul_is_signed_as_it_is(gateway: Gateway) -> None:
    """By dkimpy alone: opendkim's test mode reads lines as C strings, which end at NUL."""
    raw = through(gateway, HEAD + b"Subject: x\r\n\r\na\0b\r\n\0\r\n")
    assert b"a\0b" in raw
    assert by_dkimpy(raw, records(gateway)) == BOTH


@pytest.mark.parametrize("role", PORTS)
def test_signatures_hold_on_every_port(gateway: Gateway, role: Port, tmp_path: Path) -> None:
    assert_holds(gateway, through(gateway, CASES["newsletter"], role), tmp_path)


def test_a_changed_word_or_an_added_header_breaks_both(gateway: Gateway, tmp_path: Path) -> None:
    raw = through(gateway, CASES["newsletter"])
    for spoilt in (
        raw.replace(b"autumn", b"spring", 1),
        raw.replace(b"\r\nTo:", b"\r\nFrom: <x@evil.test>\r\nTo:", 1),
        raw.replace(b"\r\nTo:", b"\r\nContent-Type: text/plain\r\nTo:", 1),
        raw.replace(b"\r\nTo:", b"\r\nCc: <x@evil.test>\r\nTo:", 1),
    ):
        assert spoilt != raw
        assert by_dkimpy(spoilt, records(gateway)) == []
        assert by_opendkim(spoilt, records(gateway), tmp_path) == []


def test_the_signatures_stand_on_top_rsa_first(gateway: Gateway) -> None:
    raw = through(gateway, CASES["text"])
    names = re.findall(rb"(?m)^([!-9;-~]+):", raw.partition(b"\r\n\r\n")[0])
    assert names[:3] == [b"DKIM-Signature", b"DKIM-Signature", b"Received"]
    assert raw.index(b"a=rsa-sha256") < raw.index(b"a=ed25519-sha256")
    assert b" l=" not in raw
    assert max(map(len, raw.partition(b"\r\nReceived:")[0].split(b"\r\n"))) < 80


def test_random_messages_verify(gateway: Gateway) -> None:
    """Sixty messages of random headers, white space, 8-bit bytes and line lengths."""
    generator = random.Random(6376)  # noqa: S311
    contents = [random_message(generator) for _ in range(60)]
    keys = records(gateway)
    for content, recipient in zip(contents, send(gateway, contents, "submission", ("dkim",)), strict=True):
        assert by_dkimpy(at_the_sink(gateway, recipient), keys) == BOTH, content


def random_message(generator: random.Random) -> bytes:
    letters = b"abc \t=.-\xc3\xa9\xe9:;<>"

    def text(most: int) -> bytes:
        return bytes(generator.choice(letters) for _ in range(generator.randrange(most)))

    fields = [b"From: <alice@example.test>"]
    for name in (b"Subject", b"To", b"cc", b"X-Other", b"References", b"Date"):
        for _ in range(generator.choice((0, 1, 1, 2))):
            lines = [text(generator.choice((20, 90, 1500))) for _ in range(generator.choice((1, 1, 3)))]
            fields.append(name + b":" + b"\r\n ".join(b"x" + line for line in lines))
    generator.shuffle(fields)
    body = [text(generator.choice((5, 70, 70, 70, 3000))) for _ in range(generator.randrange(30))]
    return b"\r\n".join([*fields, b"", *body, b""])


# -- next hops without 8BITMIME ------------------------------------------------------------------------


EIGHT_BIT = MULTIPART.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n", 1) % b"mixed"
EIGHT_BIT += b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
EIGHT_BIT += "Grüße\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>größer</p>\r\n".encode()
EIGHT_BIT += b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
EIGHT_BIT += bytes(range(128, 256)) + b"\r\n--b--\r\n"


@pytest.mark.parametrize("name", ["eight bit", "newsletter", "text", "long 8-bit line of HTML"])
def test_8_bit_parts_encoded_before_signing_survive_a_next_hop_without_8bitmime(
    without_8bitmime: Gateway, name: str, tmp_path: Path
) -> None:
    raw = through(without_8bitmime, (CASES | {"eight bit": EIGHT_BIT})[name])
    assert_holds(without_8bitmime, raw, tmp_path)
    assert raw.isascii()


def test_signatures_survive_a_next_hop_without_8bitmime_by_default(
    plain_next_hop: Gateway, tmp_path: Path
) -> None:
    raw = through(plain_next_hop, EIGHT_BIT)
    assert_holds(plain_next_hop, raw, tmp_path)
    assert "größer".encode() in raw


def test_conversion_on_the_way_out_would_break_them(without_8bitmime: Gateway, tmp_path: Path) -> None:
    """What the setting is for: mail with a signature of its own is not encoded by it, and is converted."""
    own = b"DKIM-Signature: v=1; a=rsa-sha256; d=other.test; s=x; h=from; bh=eA==; b=eA==\r\n"
    raw = through(without_8bitmime, own + EIGHT_BIT)
    assert b"=FD=FE=FF" in raw
    assert by_opendkim(raw, records(without_8bitmime), tmp_path) == []


# -- who signs -----------------------------------------------------------------------------------------


def test_without_the_feature_nothing_is_signed(gateway: Gateway) -> None:
    [recipient] = send(gateway, [CASES["text"]], "submission", ())
    assert b"DKIM-Signature" not in at_the_sink(gateway, recipient)


def test_an_unregistered_from_domain_passes_unsigned_and_the_log_says_why(gateway: Gateway) -> None:
    [recipient] = send(gateway, [CASES["text"].replace(b"example.test", b"other.test")], "submission")
    assert b"DKIM-Signature" not in at_the_sink(gateway, recipient)
    gateway.logged("milter", "dkim: other.test is not a registered sender domain of this account")


def test_what_was_encoded_for_the_signature_is_told_in_the_log(gateway: Gateway) -> None:
    through(gateway, CASES["long line of text"])
    gateway.logged("milter", "the message was encoded as quoted-printable: it has lines over 998 bytes")


def test_an_unregistered_from_domain_can_be_signed_by_the_default_domain(
    without_8bitmime: Gateway, tmp_path: Path
) -> None:
    raw = through(without_8bitmime, CASES["text"].replace(b"example.test", b"other.test"))
    assert_holds(without_8bitmime, raw, tmp_path)


def test_an_unregistered_from_domain_can_be_refused_and_the_session_goes_on(plain_next_hop: Gateway) -> None:
    login = plain_next_hop.stack.provision.credential({"dkim": True})
    with plain_next_hop.logged_in(login) as connection:
        for content, code in (
            (CASES["text"].replace(b"alice@example", b"a@other"), 550),
            (CASES["text"], 250),
        ):
            connection.mail(SENDER)
            connection.rcpt(fresh_recipient())
            answer = connection.data(content)
            assert answer[0] == code
            assert code == 250 or b"other.test is not a registered sender domain" in answer[1]


def test_a_rotation_changes_the_signing_keys_of_running_daemons_without_a_gap(
    plain_next_hop: Gateway, tmp_path: Path
) -> None:
    provision = plain_next_hop.stack.provision
    before = {key.selector for key in provision.domain().keys}
    for _ in range(3):
        provision.rotate()
        raw = through(plain_next_hop, CASES["text"])
        assert_holds(plain_next_hop, raw, tmp_path)
        selectors = {match.decode() for match in re.findall(rb"\ts=(\w+);", raw)}
        assert len(selectors) == 2
        assert not selectors & before
        before |= selectors


def test_signatures_made_in_parallel_hold(gateway: Gateway) -> None:
    """Five sessions at once, each message another: threads of the milter share keys, never digests."""
    contents = [CASES["text"].replace(b"Hello", b"Hello %d" % number) for number in range(60)]
    with ThreadPoolExecutor(5) as pool:
        sent = pool.map(lambda place: send(gateway, contents[place::5], "submission"), range(5))
        recipients = [recipient for session in sent for recipient in session]
    keys = records(gateway)
    assert [by_dkimpy(at_the_sink(gateway, recipient), keys) for recipient in recipients] == [BOTH] * 60
