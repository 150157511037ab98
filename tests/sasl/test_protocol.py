"""The codec of the Dovecot authentication protocol."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_sasl import protocol
from gatepost_sasl.peer import Peer
from gatepost_sasl.protocol import Auth, Cancel, Cont, Decoder, ProtocolError, Version

WORDS = st.sampled_from(
    [b"AUTH", b"CONT", b"VERSION", b"CPID", b"CANCEL", b"1", b"PLAIN", b"resp=", b"\t", b"="]
)
LINES = st.one_of(st.binary(max_size=60), st.lists(WORDS, max_size=8).map(b"\t".join))


def test_every_field_of_a_request_is_read() -> None:
    line = b"AUTH\t7\tplain\tservice=smtp\tnologin\tlip=192.0.2.1\trip=2001:db8::1\tsecured\tresp=AGE="
    peer = Peer("2001:db8::1", "192.0.2.1", "smtp", secured=True)
    assert protocol.decode(line) == Auth(7, "PLAIN", peer, b"AGE=")


@pytest.mark.parametrize("size", [0, 400])  # short ones are kept, long ones read each time
def test_nothing_in_a_response_passes_for_a_parameter(size: int) -> None:
    """A client's own words are in it: were there a tab, it must not say where the client is."""
    line = b"AUTH\t7\tPLAIN\tx=%s\trip=192.0.2.7\tresp=AGE=\trip=10.0.0.1\tsecured\tresp=AGI="
    for _ in range(2):
        assert protocol.decode(line % (b"x" * size)) == Auth(7, "PLAIN", Peer("192.0.2.7", "", ""), b"AGE=")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"VERSION\t1\t0", Version(1, 0)),
        (b"CONT\t3\tAGE=", Cont(3, b"AGE=")),
        (b"CONT\t3", Cont(3, b"")),
        (b"CANCEL\t3", Cancel(3)),
        (b"CPID\t9", None),
    ],
)
def test_commands_are_told_apart(line: bytes, command: protocol.Command | None) -> None:
    assert protocol.decode(line) == command


@given(LINES)
def test_any_line_is_a_command_or_nothing_or_a_protocol_error(line: bytes) -> None:
    try:
        command = protocol.decode(line)
    except ProtocolError:
        return
    assert command is None or isinstance(command, Version | Auth | Cont | Cancel)


@given(st.lists(st.binary(max_size=20)), st.data())
def test_lines_are_the_same_however_they_arrive(pieces: list[bytes], data: st.DataObject) -> None:
    stream = b"\n".join(pieces) + b"\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder = Decoder()
    lines: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        lines += decoder.lines(stream[start:end])
    assert lines == stream.split(b"\n")[:-1]


@pytest.mark.parametrize("stream", [b"x" * 11, b"x" * 11 + b"\n", b"ok\n" + b"x" * 11])
def test_a_line_over_the_limit_ends_the_connection(stream: bytes) -> None:
    decoder = Decoder(line_limit=10)
    assert decoder.lines(b"0123456789\n") == [b"0123456789"]
    with pytest.raises(ProtocolError, match="more than 10 bytes"):
        decoder.lines(stream)


@given(st.binary())
def test_base64_responses_are_read_back(raw: bytes) -> None:
    assert protocol.decode_response(base64.b64encode(raw)) == raw


@given(st.binary())
def test_any_response_is_bytes_or_a_value_error(text: bytes) -> None:
    try:
        raw = protocol.decode_response(text)
    except ValueError:
        return
    assert raw == b"" or base64.b64encode(raw) == text


@given(st.binary(max_size=200))
def test_answers_are_one_line_each(data: bytes) -> None:
    for answer in (protocol.challenge(1, data), protocol.failure(1, "no"), protocol.success(1, "jörg")):
        assert answer.endswith(b"\n")
        assert answer.count(b"\n") == 1
    assert base64.b64decode(protocol.challenge(1, data).split(b"\t")[2]) == data


def test_requests_do_not_show_responses_when_printed() -> None:
    assert "c2VjcmV0" not in repr(Auth(1, "PLAIN", Peer("192.0.2.1"), b"c2VjcmV0")) + repr(
        Cont(1, b"c2VjcmV0")
    )
