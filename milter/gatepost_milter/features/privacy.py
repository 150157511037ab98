"""privacy: header fields that tell of the sender's program, machine or address are removed."""

from __future__ import annotations

from gatepost_milter.editing.headers import Headers
from gatepost_milter.surgery.feature import Change, Feature, plain_name

# What a mail program, a web mailer or a script tells of itself, its user and its machine.
PRIVATE = frozenset(
    (
        "x-mailer",
        "user-agent",
        "x-user-agent",
        "mail-user-agent",
        "x-newsreader",
        "x-mimeole",
        "x-mozilla-draft-info",
        "x-mozilla-keys",
        "x-originating-ip",
        "x-originating-email",
        "x-originalarrivaltime",
        "x-sender-ip",
        "x-client-ip",
        "x-remote-ip",
        "x-remote-addr",
        "x-http-user-agent",
        "x-php-script",
        "x-php-originating-script",
        "x-authenticated-sender",
        "x-authenticated-user",
        "x-authentication-warning",
        "x-auth-user",
        "x-get-message-sender-via",
        "x-source",
        "x-source-args",
        "x-source-dir",
        "x-antiabuse",
        "x-envelope-from",
    )
)


class Privacy(Feature):
    """Removes what only tells of the sender."""

    name = "privacy"
    step = "headers"

    def finish(self, headers: Headers) -> Change:
        """Return the header without such fields."""
        left = headers.without(lambda header: plain_name(header) in PRIVATE)
        return Change(reason="no such field") if left == headers else Change(headers=left)
