"""The first word of each command: its help in one line, and the module that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Noun:
    """One word after ``gatepost``: ``module`` is below this package and has it as ``command``."""

    module: str
    help: str


NOUNS: Mapping[str, Noun] = MappingProxyType(
    {
        "account": Noun("account", "Owners of credentials and sender domains."),
        "user": Noun("user", "People who sign in to the dashboard."),
        "credential": Noun("credential", "SMTP logins: generated user names and passwords with features."),
        "domain": Noun("domain", "Sender domains: DKIM keys, click and bounce domain, DNS records."),
        "message": Noun("message", "Messages that were accepted."),
        "event": Noun("event", "What happened to messages, and what happens now."),
        "suppression": Noun("suppression", "Whom mail is not to reach: bounces, complaints, opt-outs."),
        "webhook": Noun("webhook", "Where events are sent, signed, as they happen."),
        "token": Noun("token", "API tokens: what may be done over HTTP, and by whom."),
        "stats": Noun("stats", "How much was sent and what became of it."),
        "limit": Noun("limit", "How much may be sent in a time, how much has been, and a fresh start."),
        "policy": Noun("policy", "What the rules say to a transaction, step by step."),
        "explain": Noun("explain", "What would happen to a message, and why, without sending it."),
        "settings": Noun("settings", "The settings in force, and where each came from."),
        "postfix-settings": Noun("postfix_settings", "What to set in main.cf and master.cf, and why."),
        "doctor": Noun("doctor", "What is wrong with this installation, and what to do about it."),
        "backup": Noun("backup", "Everything that cannot be made again, in one archive; and back from it."),
        "store": Noun("store", "The databases and the key directory."),
        "completion": Noun("completion", "Shell completion of commands, options and names."),
    }
)
