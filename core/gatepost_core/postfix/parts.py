"""What both scopes are made of: parameters, services, and how a socket is named.

Formats: postconf(5) for main.cf, master(5) for master.cf.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gatepost_core.settings import Settings

Role = Literal["mx", "submission", "submissions", "cleanup", "transport", "route", "forward"]
Match = Literal["equal", "include", "at_least"]
# Rows of parameters: name, value, reason.
Rows = Iterator[tuple[str, str, str]]

_NAMES = {25: "smtp", 465: "submissions", 587: "submission"}
_ROLES: dict[int, Role] = {25: "mx", 465: "submissions"}
_SAID: dict[Role, str] = {
    "mx": "Port {port}: submission after a login, and the bounce domains' mail.",
    "submission": "Port {port}: submission, STARTTLS demanded (RFC 6409).",
    "submissions": "Port {port}: submission over TLS from the first byte (RFC 8314).",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of main.cf, or one ``-o`` option of a service, and why it is needed.

    ``match`` says what is enough: ``equal``, a list that may hold more (``include``), or a version that
    may be higher (``at_least``).
    """

    name: str
    value: str
    reason: str
    match: Match = "equal"

    @property
    def line(self) -> str:
        """The parameter as it stands in main.cf."""
        return f"{self.name} = {self.value}".rstrip()


@dataclass(frozen=True, slots=True)
class Service:
    """One service of master.cf (master(5)), chroot column and options spelt out.

    ``role`` says what it is for: ``mx`` takes bounces without a login as well, ``submission`` demands
    STARTTLS, ``submissions`` is TLS from the first byte, ``cleanup`` is behind those; ``transport`` hands the
    bounce domains' mail over, ``route`` is a way out, ``forward`` takes reports from gatepost-events.
    """

    name: str
    role: Role
    options: tuple[Parameter, ...]
    reason: str

    @property
    def type(self) -> str:
        """The transport type: smtpd(8) listens on the network, cleanup(8) and lmtp(8) on a local socket."""
        return "inet" if self.role in ("mx", "submission", "submissions") else "unix"

    @property
    def proxied(self) -> bool:
        """Whether a load balancer connects, which speaks first (PROXY protocol)."""
        return any(option.name == "smtpd_upstream_proxy_protocol" and option.value for option in self.options)

    @property
    def words(self) -> str:
        """The service's first line: a cleanup(8) has no process limit, as Postfix's own has none."""
        if self.role == "transport":
            return f"{self.name} {self.type} - - n - - lmtp"
        if self.role == "route":
            return f"{self.name} {self.type} - - n - - smtp"
        if self.role == "forward":  # not private: a socket in public/ is open to group postdrop
            return f"{self.name} {self.type} n - n - - smtpd"
        rest = "n - 0 cleanup" if self.role == "cleanup" else "n - - smtpd"
        return f"{self.name} {self.type} n - {rest}"

    @property
    def entry(self) -> str:
        """The service as it stands in master.cf: one logical line, an option on each further line."""
        return "\n".join([self.words, *(f"  -o {{ {option.line} }}" for option in self.options)])


def parameters(rows: Rows) -> tuple[Parameter, ...]:
    """Return rows as parameters."""
    return tuple(Parameter(name, value, reason) for name, value, reason in rows)


def service_name(port: int) -> str:
    """Return the name of a port's service in master.cf: that of services(5) for those that have one."""
    return _NAMES.get(port, str(port))


def role_of(port: int) -> Role:
    """Return what a port is for: 25 takes bounces too, 465 begins with TLS, others demand STARTTLS."""
    return _ROLES.get(port, "submission")


def reason_of(port: int) -> str:
    """Return why a port's service is there."""
    return _SAID[role_of(port)].format(port=port)


def endpoint(listen: str, queue_directory: Path) -> str:
    """Return a daemon's ``listen`` setting as Postfix names it.

    A UNIX socket below the queue directory becomes relative to it, so that the name is
    good for a chrooted smtpd too.
    """
    kind, _, address = listen.partition(":")
    if kind == "unix" and Path(address).is_relative_to(queue_directory):
        return f"unix:{Path(address).relative_to(queue_directory)}"
    return listen


def milters(settings: Settings) -> str:
    """Return all milters in their order: each sees the edits of those before it, so the signer is late."""
    own = endpoint(settings.milter.listen, settings.postfix.queue_directory)
    return ", ".join((*settings.postfix.milters_before, own, *settings.postfix.milters_after))
