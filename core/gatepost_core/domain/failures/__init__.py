"""What a failed delivery means: classes of failures, by enhanced status, SMTP code and text. Pure.

Only a permanent *mailbox* failure says something of the recipient; policy and infrastructure tell of the
sender's reputation or of networks, and suppress nobody. So a text that names a blocklist outdoes a status
that says "no such user", as many hosts send both. ``table.toml`` beside this file has phrases, statuses (RFC
3463) and codes, with their sources. What nothing in it fits is ``UNKNOWN``. Work is linear in the text, of
which ``TEXT_MOST`` characters count.
"""

from __future__ import annotations

import functools
import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

# RFC 5321 section 4.5.3.1.5 has 512 bytes for a line of a reply; replies of several lines are joined.
TEXT_MOST: Final = 2_000
_CODE_DIGITS = 3
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# A status in a text, which no address of a host is: 5.1.1, also in (#5.1.1) or 550-5.1.1.
_STATUS = re.compile(r"(?<![0-9.])[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9]|\.[0-9])", re.ASCII)
_CODE = re.compile(r"(?<![0-9.])[45][0-9]{2}(?=:? |-)", re.ASCII)
# A status whose detail says nothing of what is wrong (RFC 3463: other or undefined).
_VAGUE = frozenset(("1.0", "2.0", "3.0", "5.0"))


class FailureClass(StrEnum):
    """Why a message was not delivered."""

    MAILBOX = "mailbox"
    FULL = "full"
    POLICY = "policy"
    INFRASTRUCTURE = "infrastructure"
    CONTENT = "size/content"
    UNKNOWN = "unknown"


class Rule(NamedTuple):
    """A rule of the table: its class holds where one of ``phrases`` is there and none of ``unless``.

    ``status``: beginnings of statuses for which it holds, '' for none at all; an empty tuple: any.
    """

    failure: FailureClass
    phrases: tuple[str, ...]
    unless: tuple[str, ...]
    status: tuple[str, ...]

    def fits(self, words: str, status: str) -> bool:
        """Say whether the rule is about these words, which begin and end with a space."""
        if self.status and not any(_begins(status, one) for one in self.status):
            return False
        return any(one in words for one in self.phrases) and not any(one in words for one in self.unless)


class Table(NamedTuple):
    """``table.toml`` as rules."""

    told: tuple[Rule, ...]
    status: dict[str, FailureClass]
    guessed: tuple[Rule, ...]
    code: dict[str, FailureClass]


def classify(status: str, code: str, text: str) -> FailureClass:
    """Return the class of a failure.

    ``status``: the enhanced status (RFC 3463: ``5.1.1``), ``code``: the reply's (``550``), each '' where it
    is not known or not one; a more exact one in the text then counts. ``text``: what the host said.
    """
    text = text[:TEXT_MOST]
    status, code = _exact(status, code, text)
    words, table = _words(text), _table()
    for rule in table.told:
        if rule.fits(words, status):
            return rule.failure
    subject = status[2:]
    found = table.status.get(subject) or table.status.get(subject.partition(".")[0])
    if found is not None:
        return found
    for rule in table.guessed:
        if rule.fits(words, status):
            return rule.failure
    return table.code.get(code, FailureClass.UNKNOWN)


def permanent(status: str, code: str, text: str = "") -> bool:
    """Say whether the host said that another attempt has no sense: 5, and nowhere 4 (RFC 3463 section 2)."""
    said = {_status(status)[:1], _code(code)[:1]} - {""}
    if not said:
        said = {one[:1] for one in _exact("", "", text[:TEXT_MOST])}
    return "5" in said and "4" not in said


def _exact(status: str, code: str, text: str) -> tuple[str, str]:
    """Return status and code; the text's where none is given, or one that says nothing."""
    status, code = _status(status), _code(code)
    if not status or status[2:3] == "0" or status[2:] in _VAGUE:
        told = _STATUS.search(text)
        if told is not None and told[0][0] == (status or told[0])[0]:
            status = told[0]
    if not code:
        found = _CODE.search(text)
        code = found[0] if found is not None else ""
    return status, code


def _status(text: str) -> str:
    """Return an enhanced status as it is; '' for anything else."""
    text = text.strip()
    return text if _STATUS.fullmatch(text) is not None else ""


def _code(text: str) -> str:
    """Return a code of a refusal as it is; '' for anything else."""
    text = text.strip()
    return (
        text if len(text) == _CODE_DIGITS and text.isascii() and text.isdecimal() and text[0] in "45" else ""
    )


def _begins(status: str, beginning: str) -> bool:
    return not status if not beginning else status == beginning or status.startswith(f"{beginning}.")


def _words(text: str) -> str:
    """Return a text's words, with a space around each; without addresses, host names, statuses and codes.

    The recipient's name is not what the host says: ``spam@example.org`` may be unknown.
    """
    kept = [word for word in text.lower().replace("'", "").replace("\u2019", "").split() if _said(word)]
    parts = _SEPARATORS.split(" ".join(kept))
    return f" {' '.join(one for one in parts if one and not _is_code(one))} "


def _said(word: str) -> bool:
    """Say whether a word is one, and no address or name of a host."""
    return "@" not in word and "." not in word.strip('[](){}<>#.,;:!?"-')


def _is_code(word: str) -> bool:
    return len(word) == _CODE_DIGITS and word[0] in "245" and word.isdecimal()


@functools.cache
def _table() -> Table:
    data = tomllib.loads(Path(__file__).with_name("table.toml").read_text("utf-8"))
    told, guessed = (tuple(_rule(row) for row in data[name]) for name in ("told", "guessed"))
    status, code = (
        {key: FailureClass(value) for key, value in data[name].items()} for name in ("status", "code")
    )
    return Table(told, status, guessed, code)


def _rule(row: dict[str, Any]) -> Rule:
    phrases, unless = (tuple(_words(one) for one in row.get(name, ())) for name in ("phrases", "unless"))
    return Rule(FailureClass(row["class"]), phrases, unless, tuple(row.get("status", ())))
