"""The codec of Postfix's policy protocol."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import Decision, Defer, Pass, Reject
from gatepost_policy.protocol import Decoder, ProtocolError, decode, encode

PIECES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([b"\n", b"\n\n", b"request=smtpd_access_policy\n", b"protocol_state=RCPT\n"]),
)
CODES = st.builds(
    lambda kind, code, text: kind(
        code + (500 if kind is Reject else 400), f"{5 if kind is Reject else 4}.7.1", text
    ),
    st.sampled_from([Reject, Defer]),
    st.integers(0, 99),
    st.text(),
)


def test_values_keep_what_follows_the_first_equals_sign() -> None:
    request = decode(b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a=b@c.test\nsize=")
    assert (request["sender"], request["size"]) == ("a=b@c.test", "")


@given(st.lists(PIECES))
def test_requests_are_the_same_however_they_arrive(pieces: list[bytes]) -> None:
    whole, split = Decoder(), Decoder()
    assert [request for piece in pieces for request in split.requests(piece)] == whole.requests(
        b"".join(pieces)
    )


@given(st.binary())
def test_any_bytes_are_a_request_or_a_protocol_error(raw: bytes) -> None:
    try:
        request = decode(raw)
    except ProtocolError:
        return
    assert request["request"] == "smtpd_access_policy"


@pytest.mark.parametrize("stream", [b"x" * 11, b"x" * 11 + b"\n\n", b"a=b\n\n" + b"x" * 11])
def test_a_request_over_the_limit_ends_the_connection(stream: bytes) -> None:
    with pytest.raises(ProtocolError, match="more than 10 bytes"):
        Decoder(request_limit=10).requests(stream)


@given(st.one_of(CODES, st.builds(Pass, st.text())))
def test_an_answer_is_one_action_in_ascii_never_empty_never_a_bare_code_never_ok(decision: Decision) -> None:
    answer = encode(decision)
    assert answer.startswith(b"action=")
    assert answer.endswith(b"\n\n")
    assert answer.count(b"\n") == 2
    assert answer.isascii()
    words = answer[len("action=") : -2].split(b" ")
    assert words == [b"DUNNO"] if isinstance(decision, Pass) else len([word for word in words if word]) >= 3
