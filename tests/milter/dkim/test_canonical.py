"""Our canonicalisation is dkimpy's, for any bytes."""

from __future__ import annotations

import hashlib

import pytest
from dkim.canonicalization import CanonicalizationPolicy
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost_milter.dkim import canonical

RELAXED = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
PIECES = st.sampled_from(
    [b" ", b"\t", b"\r\n", b"\r\n\r\n", b"a", b"b c", b"\xe9", b"\0", b"\r", b"\n", b"\x0b"]
)


@given(st.lists(PIECES, max_size=40).map(b"".join))
@example(b"")
@example(b"\r\n")
@example(b" \t\r\n\r\n")
@example(b"a\r\n \r\n\t\r\n")
@example(b"a\r\r\n\n\r\n")
def test_a_body_is_hashed_as_dkimpy_canonicalises_it(body: bytes) -> None:
    body += b"\r\n"  # what SMTP delivers ends with a line end
    theirs = RELAXED.canonicalize_body(body)
    assert canonical.body_digest(body) == hashlib.sha256(theirs).digest()


@given(st.lists(PIECES, max_size=30).map(b"".join).filter(lambda body: body.rstrip(b" \t\r\n")))
def test_a_last_line_without_an_end_counts_as_if_it_had_one(body: bytes) -> None:
    assert canonical.body_digest(body) == canonical.body_digest(body + b"\r\n")


@given(st.lists(PIECES, max_size=30).map(b"".join), st.integers(1, 9))
def test_reading_a_body_in_pieces_changes_nothing(body: bytes, size: int) -> None:
    body += b"\r\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "_PIECE", size)
        pieces = canonical.body_digest(body)
    assert pieces == canonical.body_digest(body)


@given(st.lists(st.sampled_from([b" ", b"\t", b"\n ", b"\n\t", b"a", b"B", b"\xe9", b"\x0b", b"\x0c"])))
def test_a_header_field_is_dkimpys(words: list[bytes]) -> None:
    value = b" a" + b"".join(words) + b"z "  # at the ends dkimpy strips more than white space
    [(name, theirs)] = RELAXED.canonicalize_headers([(b"Subject ", value.replace(b"\n", b"\r\n") + b"\r\n")])
    assert canonical.header_field(b"Subject ", value) == name + b":" + theirs


def test_millions_of_blank_lines_take_no_time() -> None:
    """Each of these would be quadratic, or a loop over every line, if it were done naively."""
    for body in (
        b"\r\n" * 3_000_000,
        b"a" + b" " * 6_000_000,
        b"a" + b"\n\r" * 3_000_000,
        b" \r\n" * 2_000_000,
    ):
        canonical.body_digest(body)
