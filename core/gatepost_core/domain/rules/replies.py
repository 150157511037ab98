"""What who breaks a rule hears, what it means and what to do: the rows of docs/replies.md, by rule.

Only the documentation needs it. A test holds the texts against those that the rules really answer with.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Reply(NamedTuple):
    """A reply, with ``…`` for what differs, USER for the credential and, where there is one, a code first."""

    text: str
    when: str
    remedy: str


def _setting(option: str) -> str:
    return f"the operator: `gatepost credential set USER {option} …`"


_UNREADABLE: Final = Reply(
    "550 5.1.3 … Recipient <…> cannot be read as one address with a domain, and credential USER is held to "
    "recipients",
    "no domain, one that is longer than a domain can be, or so many of `%`, `!` and `@` that nobody can tell "
    "where it leads",
    "the plain address",
)
REPLIES: Final[Mapping[str, tuple[Reply, ...]]] = MappingProxyType(
    {
        "senders": (
            Reply(
                "550 5.7.1 … Sender address <…> is not allowed for credential USER",
                "MAIL FROM is not among the credential's senders",
                f"another envelope sender; {_setting('--sender')}",
            ),
            Reply(
                "550 5.7.1 From header address <…> is not allowed for credential USER",
                "one of the From addresses is not among the credential's senders; each of several "
                "counts, any "
                "in "
                "angle brackets in a display name or comment, and any in a name without quotes; a "
                "bare one in a "
                ""
                'quoted or encoded name (`"Bob via alice@example.org"`) is only a name',
                "another From, or another sender rule",
            ),
            Reply(
                "550 5.7.1 The From header holds something that cannot be read as an address; expected "
                "addresses "
                "like Name <user@example.com>, …",
                "the credential is held to senders, and From is malformed, has more than 16,384 bytes "
                "or more "
                ""
                "than 100 addresses in all, or its display name hides whose address it shows; `Alice, "
                "Inc. <…>` "
                ""
                "and `[Shop] Orders <…>` pass, though RFC 5322 wants quotes there",
                "a From header as RFC 5322 has it",
            ),
            Reply(
                "550 5.7.1 The From header holds no address that can be read, …",
                "the credential is held to senders, and there is no From, or an empty one",
                "a From header as RFC 5322 has it",
            ),
            Reply(
                "550 5.7.1 Sender header address <…> is not allowed for credential USER",
                "the credential is held to senders, and the field `Sender:` names another",
                "no `Sender:`, or one of its own",
            ),
            Reply(
                "550 5.7.1 The Sender header cannot be read as an address, …",
                "the same, and the field cannot be read",
                "a `Sender:` as RFC 5322 has it, or none",
            ),
        ),
        "networks": (
            Reply(
                "550 5.7.1 … Credential USER may not be used from …; log in again from a network that is "
                "allowed, "
                "or ask your mail administrator",
                "the rule was made after the login; at a login it is `535 5.7.8` as for a wrong password",
                f"a client in one of the networks; {_setting('--network')}",
            ),
        ),
        "recipients": (
            Reply(
                "550 5.7.1 … Recipient <…> is not among those that credential USER may send to",
                "the credential is held to recipients, and this is none of them",
                _setting("--recipient"),
            ),
            _UNREADABLE,
        ),
        "denied_recipients": (
            Reply(
                "550 5.7.1 … Recipient <…> is denied to credential USER, by its rule …",
                "the address, or its domain, is one that the credential may not send to",
                f"nothing, if that is meant; {_setting('--deny-recipient')}",
            ),
            _UNREADABLE,
        ),
        "max_recipients": (
            Reply(
                "550 5.5.3 … Credential USER may send a message to … recipients at most, and this one has …; "
                "send it in parts",
                "more recipients than the rule has",
                f"fewer in one message; {_setting('--max-recipients')}",
            ),
        ),
        "max_size": (
            Reply(
                "552 5.3.4 … Credential USER may send messages of … bytes at most, and this one has …; send "
                "less "
                "at once",
                "MAIL announced more bytes than the rule has, or the message has more",
                f"a smaller message; {_setting('--max-size')}",
            ),
        ),
        "min_tls": (
            Reply(
                "550 5.7.10 … Credential USER may be used with TLS … or later, and this session has "
                "…; update "
                "the "
                "client",
                "the session's TLS is older than the rule has",
                f"a client with a newer TLS library; {_setting('--min-tls')}",
            ),
        ),
        "hours": (
            Reply(
                "451 4.7.1 … Credential USER may send … (…); try again after …",
                "it is none of the credential's hours, by the time zone in brackets",
                f"nothing: clients try again; {_setting('--hours')}",
            ),
        ),
        "hold_places": (
            Reply(
                "451 4.3.0 What credential USER sends from new places is held, and where its client is "
                "cannot be told just now; try again later",
                "the database of places, or the file of those that it has sent from, cannot be read; the "
                "milter's log says why",
                "nothing: clients try again; the operator: `gatepost doctor`, [hold](hold.md#new-places)",
            ),
        ),
    }
)
