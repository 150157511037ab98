"""What a bounce's text for people says of a recipient, where nothing says it for programs. Pure.

Only what is said: from the recipient's address on, as far as the next recipient's or the copy of the message
that came back, whose words are the sender's own and would tell of any class that they like.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gatepost_bounces import mime

SAID_MOST: Final = 2_000
# Lines that a copy of the message begins with, or what stands before one.
_COPY = re.compile(
    r"(?im)^(?=[^\n]{0,120}(?:original message|original mail|copy of (?:the|your) message|old message|"
    r"returned (?:mail|message)|message (?:text )?follows|message reads))"
    r"|^(?:return-path|received|from|to|subject):"
)


def text_of(mail: mime.Mail) -> str:
    """Return the text for people, up to the copy of the message that came back; '' where there is none."""
    text = next((part.text for part in mail.parts if part.kind == "text/plain"), "")
    copy = _COPY.search(text)
    return text[: copy.start()] if copy is not None else text


def near(text: str, recipient: str, others: Iterable[str] = ()) -> str:
    """Return what a text says of a recipient: from its address to another's; all of it if it is not named."""
    lowered = text.lower()
    start = max(0, lowered.find(recipient.lower()))
    after = start + len(recipient)
    ends = (lowered.find(other.lower(), after) for other in others if other.lower() != recipient.lower())
    end = min((one for one in ends if one >= 0), default=len(text))
    return text[start:end][:SAID_MOST]
