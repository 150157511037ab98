# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of one message, read from Postfix's log, and what to do about a refusal.

A message is followed by its Message-ID, which cleanup(8) logs beside each queue id: a content filter hands
it back under another one. Lines as of Postfix 3.7 to 3.10 (src/global/log_adhoc.c, src/qmgr/qmgr_active.c),
whatever syslog put in front. Pure; each line is looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_LINE = re.compile(r"(?:^|[\s:])([0-9A-Za-z]{6,20}): (message-id=|to=|removed\b)(.*)")

# What stands in a reply, and what to do about it; the first that fits.
_ADVICE = (
    (
        r"authentication failed|no mechanism available|no worthy mechs",
        "the gateway refuses the login: 'gatepost credential test USER' on the gateway says why, and the tag "
        "rotate gives this host a new password",
    ),
    (
        r"Sender address|From header",
        "the credential is held to its senders: put the name into smarthost_client_senders, or have "
        "smarthost_client_generic rewrite it",
    ),
    (
        r"certificate|TLS",
        "the gateway's certificate must be one that can be verified: smarthost_client_gateway is a name in "
        "it, smarthost_client_ca_file the authority that signed it",
    ),
    (
        r"Host or domain name not found|Host not found",
        "this host cannot resolve smarthost_client_gateway: look at its DNS and at /etc/hosts",
    ),
    (
        r"timed out|refused|unreachable|No route|lost connection",
        "this host does not reach the gateway: look at its address, the port, and the firewalls between them",
    ),
    (r"^4", "the gateway has a fault of its own: 'gatepost doctor' there names it"),
)
_OTHERWISE = "docs/replies.md says what each reply means"


@dataclass
class Follower:
    """The log lines of the message with ``message_id``, on its way to the server ``relay``."""

    message_id: str
    relay: str
    reply: str = ""
    status: str = ""  # sent, or deferred, bounced and so on; empty while it is on its way
    known: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    elsewhere: str = ""

    def read(self, lines: Iterable[str]) -> None:
        """Take in further lines; ``status`` is set once the result is known."""
        for line in lines:
            found = _LINE.search(line)
            if found and not self.status:
                self._take(*found.groups())

    def _take(self, queue_id: str, kind: str, rest: str) -> None:
        if kind == "message-id=" and rest.strip() == self.message_id:
            self.known.add(queue_id)
        elif queue_id not in self.known:
            return
        elif kind == "removed":
            self.gone.add(queue_id)
            if self.known == self.gone:
                self.status, self.reply = "elsewhere", self.elsewhere
        elif kind == "to=":
            self._outcome(rest)

    def _outcome(self, rest: str) -> None:
        relay, _, rest = rest.partition(", relay=")[2].partition(",")
        status, _, reply = rest.partition(", status=")[2].rstrip().removesuffix(")").partition(" (")
        name = relay.partition("[")[0].rstrip(".").lower()
        if status != "sent" or name == self.relay.lower():
            self.status, self.reply = status, reply
        else:
            self.elsewhere = f"relay={relay}: {reply}"


def advice(reply: str) -> str:
    """Return what to do about a reply, or about why there was none."""
    said = reply.partition(" said: ")[2] or reply
    return next((text for pattern, text in _ADVICE if re.search(pattern, said)), _OTHERWISE)
