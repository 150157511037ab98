"""Decisions: values that can only be what SMTP allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import AUTHENTICATION_REQUIRED, Defer, Reject
from gatepost_core.domain.decision import printable


@pytest.mark.parametrize(
    ("kind", "code", "enhanced"),
    [(Reject, 450, "5.7.1"), (Reject, 550, "4.7.1"), (Defer, 550, "5.7.1"), (Defer, 451, "5.3.0")],
)
def test_a_refusal_for_good_is_never_rendered_as_one_for_now(
    kind: type[Reject | Defer], code: int, enhanced: str
) -> None:
    with pytest.raises(ValueError, match="takes"):
        kind(code, enhanced, "text")


@pytest.mark.parametrize("enhanced", ["5.7", "5.7.1.1", "5.x.y", "5.7.1 "])
def test_an_enhanced_code_has_three_numbers(enhanced: str) -> None:
    with pytest.raises(ValueError, match="RFC 3463"):
        Reject(550, enhanced, "text")


@given(st.text(max_size=2000))
def test_whatever_a_client_sent_the_reply_stays_one_printable_line(text: str) -> None:
    line = Reject(550, "5.7.1", text).text
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= 400
    assert printable(line) == line


def test_a_refusal_reads_as_postfix_wants_it() -> None:
    assert str(AUTHENTICATION_REQUIRED) == "530 5.7.0 Authentication required"
    assert str(Defer(451, "4.3.0", "Try again later")) == "451 4.3.0 Try again later"


def test_a_line_break_cannot_smuggle_a_second_reply() -> None:
    assert "\r" not in str(Reject(550, "5.7.1", "a\r\n250 2.0.0 OK"))
    assert "\n" not in str(Reject(550, "5.7.1", "a\r\n250 2.0.0 OK"))
