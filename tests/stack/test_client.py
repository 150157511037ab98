"""--once sends the file's own bytes and takes the envelope from the message."""

from __future__ import annotations

import pytest

from gatepost_stack.client import read_mail

MESSAGE = b"From: Alice <alice@example.test>\nTo: bob@x.test, Carol <carol@x.test>\nCc: bob@x.test\n\nHi\n"


def test_the_envelope_is_the_messages_own() -> None:
    mail = read_mail(MESSAGE)
    assert mail.sender == "alice@example.test"
    assert mail.recipients == ("bob@x.test", "carol@x.test")
    assert mail.content == MESSAGE


def test_a_given_envelope_wins_and_may_be_the_null_sender() -> None:
    mail = read_mail(MESSAGE, "", ["d@x.test"])
    assert (mail.sender, mail.recipients) == ("", ("d@x.test",))


@pytest.mark.parametrize(
    ("content", "option"),
    [(b"To: bob@x.test\n\nHi\n", "--from"), (b"From: a@x.test\n\nTo: b@x.test\n", "--to")],
)
def test_a_message_without_addresses_says_which_option_to_give(content: bytes, option: str) -> None:
    with pytest.raises(ValueError, match=option):
        read_mail(content)


def test_bytes_that_are_no_text_do_not_hide_the_addresses() -> None:
    assert read_mail(b"Subject: \xff\xfe\nFrom: a@x.test\nTo: b@x.test\n\n\xff").sender == "a@x.test"
