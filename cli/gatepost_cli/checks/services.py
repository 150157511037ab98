"""Postfix's services as master.cf has them, and which of them do what Gatepost wants of a port."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field

from gatepost_cli.checks.base import Context
from gatepost_core.postfix import Parameter, Service
from gatepost_core.postfix.cf_plan import version

_SEPARATORS = re.compile(r"[,\s]+")
_PROGRAMS = ("smtpd", "cleanup", "lmtp", "smtp")
_LOOPBACK = ("all", "loopback-only", "localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Entry:
    """One service of master.cf: its name and type (master(5)), and its ``-o`` options."""

    name: str
    type: str
    options: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def proxied(self) -> bool:
        """Whether a load balancer connects, which speaks first (PROXY protocol)."""
        return bool(self.options.get("smtpd_upstream_proxy_protocol"))


def entries(context: Context) -> list[Entry]:
    """Return the services of these programs. Raises OSError when postconf(1) cannot say."""
    found: dict[str, Entry] = {}
    for line in context.postconf("-M").splitlines():
        words = line.split()
        if len(words) > 7 and words[7] in _PROGRAMS:
            found[f"{words[0]}/{words[1]}"] = Entry(words[0], words[1])
    for name, value in context.parameters("-P").items():
        entry, _, option = name.rpartition("/")
        if entry in found:
            found[entry].options[option] = value
    return list(found.values())


def serving(service: Service, listed: list[Entry]) -> Entry | None:
    """Return the entry of a wanted service: that of its name, or one that does the same under another."""
    for entry in listed:
        if (entry.name, entry.type) == (service.name, service.type):
            return entry
    if service.role in ("cleanup", "route", "forward"):
        return None
    return next((entry for entry in listed if _same(service, entry)), None)


def alike(parameter: Parameter, value: str) -> bool:
    """Compare as Postfix reads lists; one that others are in charge of too may hold more than ours."""
    wanted, found = (_SEPARATORS.sub(" ", text).strip() for text in (parameter.value, value))
    if parameter.match == "at_least":
        return version(found) >= version(wanted)
    if parameter.match == "include":
        return set(wanted.split()) <= set(found.split())
    return wanted == found


def endpoint(context: Context, entry: Entry) -> tuple[str, int]:
    """Return where to connect to a service from this host. Raises OSError for a name without a port."""
    host, _, port = entry.name.rpartition(":")
    if not host:
        interfaces = _SEPARATORS.split(context.postconf("-xh", "inet_interfaces").strip())
        known = any(name in _LOOPBACK for name in interfaces)
        host = "127.0.0.1" if known or not interfaces[0] else interfaces[0]
    return host.strip("[]"), int(port) if port.isdecimal() else socket.getservbyname(port, "tcp")


def _same(service: Service, entry: Entry) -> bool:
    return set(entry.options) == {option.name for option in service.options} and all(
        alike(option, entry.options[option.name]) for option in service.options
    )
