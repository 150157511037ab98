"""Whose domains a message is written in the name of: every From field, every Sender field.

An address that cannot be read for sure may be read by somebody else, so there each word counts that could be
a domain. Linear in the size of the fields; never raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gatepost_core.domain import Credential, Reject
from gatepost_core.domain.rules import UNREADABLE
from gatepost_core.domain.walls import DOMAINS_MOST, TOO_MANY, Walls
from gatepost_milter.editing.headers import Header
from gatepost_milter.parts.addresses import SIZE_MOST
from gatepost_milter.parts.words import decoded

_FIELDS = (b"from", b"sender")
_NO_NAME = re.compile(r"[^\w.-]+")


def refusal(
    walls: Walls,
    credential: Credential,
    headers: Sequence[Header],
    authors: Sequence[str],
    senders: Sequence[str],
) -> Reject | None:
    """Return why a message may not go out in these names: its From addresses and its Sender addresses.

    Raises StoreUnavailable.
    """
    named: Iterable[str] = ()
    if UNREADABLE in authors or UNREADABLE in senders:
        fields = [one.value for one in headers if one.name.strip().lower() in _FIELDS]
        if sum(map(len, fields)) > 2 * SIZE_MOST:
            return TOO_MANY
        named = _names(fields)
    return walls.headers(credential, (("From", authors), ("Sender", senders)), named)


def _names(fields: Sequence[bytes]) -> Iterator[str]:
    """Yield, each once, the words of From and Sender that could be domains; one more than are looked up."""
    seen: set[str] = set()
    for field in fields:
        raw = field.decode("utf-8", "replace")
        for word in [*_words(raw), *(_words(decoded(raw)) if "=?" in raw else ())]:
            name = word.strip(".").lower()
            if "." in name and name not in seen:
                seen.add(name)
                yield name
                if len(seen) > DOMAINS_MOST:
                    return


def _words(text: str) -> list[str]:
    # White space and folds around a dot are obsolete syntax (RFC 5322 section 4.4).
    return _NO_NAME.split(".".join([part.strip() for part in text.split(".")]))
