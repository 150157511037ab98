"""Sections of the daemons: sasl, policy, milter and bounces, which Postfix talks to, tracker, and events."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from gatepost_core.settings.base import Daemon, Listen, Port, Section, Workers

_MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256")


def networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return texts that are networks. Raises ValueError for another."""
    for text in texts:
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            raise ValueError(f"{text!r} is no network, such as 192.0.2.0/24 ({error})") from error
    return texts


class SaslSettings(Daemon):
    """gatepost-sasl: who may log in."""

    listen: Listen = "unix:/var/spool/postfix/gatepost/sasl"
    mechanisms: tuple[str, ...] = Field(
        default=("PLAIN", "LOGIN"),
        description="SASL mechanisms on offer: PLAIN, LOGIN, SCRAM-SHA-256 (generated passwords only: users "
        "of other back ends cannot use it, and clients choose it where it is on offer).",
    )
    failure_delay: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0.25,
        description="A refused login is answered this many seconds after the request, whatever was wrong, "
        "so that time tells nothing and guessing is slow. At most 5: Postfix waits 10 seconds in all. From "
        "a user's third failure in a network on, each takes twice as long, up to 4 seconds.",
    )
    guess_limit: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=10, description="Failures after which a user is locked out in one network; 0: never."
    )
    guess_network_limit: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=100,
        description="Failures, whoever's, after which a network is locked out for every user; 0: never.",
    )
    guess_lockout: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=900.0,
        description="Seconds that a lock-out lasts. Then one attempt is let through; if that fails too, "
        "it begins anew. Failures are forgotten after four times as long without one.",
    )
    guess_ipv4_prefix: Annotated[int, Field(ge=8, le=32)] = Field(
        default=32,
        description="Length of the prefix that is one network in IPv4. A shorter one slows a guesser who "
        "has many addresses, and lets him lock out his neighbours.",
    )
    guess_ipv6_prefix: Annotated[int, Field(ge=16, le=128)] = Field(
        default=64, description="The same in IPv6, where one host has a /64 at the least."
    )
    guess_shared_networks: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Networks that are not locked out as a whole, only user by user: hosts that log in for "
        "many people, such as a webmail.",
    )

    logins_file: Path = Field(
        default=Path("/run/gatepost-sasl/logins"),
        description="Where it is noted who logged in when on which smtpd(8), for gatepost-policy, which ends "
        "sessions whose password was changed since. Best in memory (tmpfs), in a folder that outlives the "
        "daemon; 256 kB.",
    )
    backends: tuple[str, ...] = Field(
        default=("store",),
        description="Back ends in the order in which they are asked: store, pam, ldap. The first whose "
        "names claim a user name decides; no other is asked after it, whatever it answers.",
    )
    store_names: tuple[str, ...] = Field(
        default=("*",),
        description="User names that the store claims. A pattern is held against the whole name, without "
        "case; * stands for any characters, also none. Generated user names match gp*.",
    )

    @field_validator("backends")
    @classmethod
    def _known_backends(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in ("store", "pam", "ldap"):
                raise ValueError(f"unknown back end {name!r}; known are store, pam, ldap")
        if not names or len(set(names)) < len(names):
            raise ValueError("expected one or more of store, pam, ldap, each at most once")
        return names

    @field_validator("mechanisms")
    @classmethod
    def _known_mechanisms(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        upper = tuple(dict.fromkeys(name.upper() for name in names))
        for name in upper:
            if name not in _MECHANISMS:
                raise ValueError(f"unknown mechanism {name!r}; known are {', '.join(_MECHANISMS)}")
        if not upper:
            raise ValueError(f"at least one mechanism is needed; known are {', '.join(_MECHANISMS)}")
        return upper

    @field_validator("guess_shared_networks")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return networks(texts)


class PolicySettings(Daemon):
    """gatepost-policy: what a credential may send."""

    # One answers thousands of requests a second, and its caches stay warm.
    workers: Workers = Field(default=1, description="Processes that share the listening socket.")
    listen: Listen = "unix:/var/spool/postfix/gatepost/policy"
    bounce_ports: tuple[Port, ...] = Field(
        default=(25,),
        description="SMTP ports on which bounces are taken without a login, at the bounce domains only.",
    )


class MilterSettings(Daemon):
    """gatepost-milter: what happens to a message."""

    listen: Listen = "unix:/var/spool/postfix/gatepost/milter"
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4,
        description="Threads per worker that edit messages; what has no features is answered without them.",
    )
    bytes_in_flight: Annotated[int, Field(ge=1)] = Field(
        default=256_000_000,
        description="Bytes of messages that are held at a time, all workers together; the sender of a "
        "message beyond them is told to try again (451). A message's first 64 KiB do not count, a quarter is "
        "kept for messages of up to 1 MiB, and one credential gets half. Each worker has an equal part, "
        "but never less than twice postfix.message_size_limit. While a message is edited and signed it takes "
        "up to four times its bytes.",
    )
    edit_size_limit: Annotated[int, Field(ge=1)] = Field(
        default=10_000_000,
        description="Messages with more bytes than this pass without changes to their HTML, "
        "and the log says so.",
    )


class BouncesSettings(Daemon):
    """gatepost-bounces: takes what comes back to envelope senders at the bounce domains."""

    workers: Workers = Field(default=1, description="Processes that share the listening socket.")
    listen: Listen = "unix:/var/spool/postfix/gatepost/bounces"
    feedback: str = Field(
        default="fbl",
        pattern=r"^[a-z0-9._-]{0,64}$",
        description="Local part at each bounce domain that takes complaints of feedback loops (RFC 5965) "
        "without a login and without a token; a complaint counts only with a proof (docs/bounces.md). "
        "Empty: none.",
    )
    directory: Path = Field(
        default=Path("/var/lib/gatepost/bounces"),
        description="Where messages that came back are kept, a file each, as events name them.",
    )
    keep_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        default=30, description="Days that they are kept."
    )
    keep_size: Annotated[int, Field(ge=1_000_000)] = Field(
        default=1_000_000_000, description="Bytes that they may take; the oldest go first."
    )
    report_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        default=30,
        description="Reports of messages that were accepted longer ago are kept, and count for nothing: an "
        "old bounce address may be anywhere.",
    )
    forwards_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=200,
        description="Reports that the senders of one account are forwarded in an hour, of accounts that have "
        "them forwarded (account set --bounces forward). More wait, for two days at most.",
    )


class TrackerSettings(Daemon):
    """gatepost-tracker: answers clicks, opens, hosted images, unsubscribes, behind a web server with TLS."""

    listen: Listen = "inet:127.0.0.1:2580"
    proxies: tuple[str, ...] = Field(
        default=(),
        description="Networks of the web servers in front, such as 127.0.0.0/8: their X-Forwarded-For says "
        "who asked. Of anybody else the field counts for nothing. Who connects to a UNIX socket is one.",
    )
    proxy_protocol: bool = Field(
        default=False,
        description="Each connection begins with a PROXY header, version 1 or 2, and no other is taken.",
    )
    connections: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=2_000, description="Connections at once in each process; more are told to come again (503)."
    )
    request_seconds: Annotated[float, Field(ge=0.1, le=600)] = Field(
        default=10.0,
        description="Seconds that a request may take to arrive, and that a client may take nothing of an "
        "answer.",
    )
    idle_seconds: Annotated[float, Field(ge=0.1, le=600)] = Field(
        default=30.0, description="Seconds that a connection is kept open between two requests."
    )
    events_per_link: Annotated[int, Field(ge=1)] = Field(
        default=100,
        description="Clicks or opens of one link or image of one message that are kept in an hour, of each "
        "process. The rest is answered as well, and counted.",
    )
    events_per_message: Annotated[int, Field(ge=1)] = Field(
        default=1_000, description="The same of one message, all its links and images together."
    )

    @field_validator("proxies")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return networks(texts)


class EventsSettings(Daemon):
    """gatepost-events: moves what the spool holds into the store, and takes orders of the other daemons."""

    workers: Annotated[int, Field(ge=1, le=1)] = Field(
        default=1, description="Always 1: one process of a node writes to the store."
    )
    listen: Listen = "unix:/run/gatepost-events/orders"
    users: tuple[str, ...] = Field(
        default=("gatepost", "gatepost-sasl"),
        description="System users whose processes may give orders (a credential at a first login), beside "
        "root and the daemon's own. A name that the system does not know counts for nothing.",
    )
    interval: Annotated[float, Field(ge=0.02, le=60)] = Field(
        default=0.25,
        description="Most seconds from one look into the spool to the next. While mail flows, it is looked "
        "at up to twenty times a second.",
    )
    log: str = Field(
        default="auto",
        description="Postfix's log, which tells what becomes of messages: auto, journal (journald's), the "
        "path of a file, or none. auto: /var/log/mail.log or /var/log/maillog if somebody wrote to it within "
        "a day, else the journal.",
    )
    log_names: tuple[str, ...] = Field(
        default=("postfix",),
        description="What lines of instances of Postfix begin with that count (syslog_name).",
    )
    prune_interval: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=3600.0,
        description="Seconds from one look for what is older than store.keep_days, or its account's own "
        "number, to the next.",
    )
    node: str = Field(
        default="",
        max_length=255,
        description="Name of this node in the store, by which it knows how far it has taken the spool; "
        "empty: the host's name. It must not change while something waits in the spool.",
    )


class WebhooksSettings(Section):
    """Webhooks: gatepost-events sends events to where accounts want them."""

    timeout: Annotated[float, Field(ge=1, le=60)] = Field(
        default=15.0, description="Seconds that an endpoint has to answer in, names and TLS included."
    )
    connections: Annotated[int, Field(ge=1, le=4_000)] = Field(
        default=500,
        description="Requests at once, to all endpoints. Those that fail, and new ones, have half of them "
        "between them.",
    )
    endpoint_connections: Annotated[int, Field(ge=1, le=100)] = Field(
        default=4, description="Requests at once to one endpoint; to one that fails it is one."
    )
    backlog: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10_000,
        description="Events in the queue of one endpoint. What finds no room there waits in the journal, "
        "as long as that keeps it.",
    )
    ca_file: str = Field(
        default="",
        description="Certificate authorities that are trusted beside the system's, as PEM: for endpoints "
        "of your own. Empty: none.",
    )
