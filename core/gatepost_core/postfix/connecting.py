"""What people are told of how to connect with a credential: pure, made from the settings."""

from __future__ import annotations

import shlex
import socket
from dataclasses import dataclass

from gatepost_core.postfix import host, ports
from gatepost_core.postfix.parts import role_of
from gatepost_core.settings import Settings

_USUAL = 587
_TLS = {"submissions": "TLS from the first byte", "mx": "STARTTLS", "submission": "STARTTLS"}


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where clients connect: host name, ports, and the authority to verify with (empty: a public one)."""

    host: str
    ports: tuple[int, ...]
    ca_file: str = ""

    @property
    def port(self) -> int:
        """The port to name first: 587 where it is served (RFC 6409), else the first."""
        return _USUAL if _USUAL in self.ports else self.ports[0]

    def described(self) -> str:
        """Return host and ports in words."""
        return f"Clients connect to {self.host}: {self.told}."

    @property
    def told(self) -> str:
        """The ports in words."""
        return ", ".join(f"{port} ({_TLS[role_of(port)]})" for port in self.ports)

    def swaks(self, username: str, password: str, sender: str) -> str:
        """Return a swaks(1) line that sends a message to its own sender."""
        tls = "--tls-on-connect" if role_of(self.port) == "submissions" else "--tls"
        words = ["swaks", "--server", self.host, "--port", str(self.port), tls, "--tls-verify"]
        if self.ca_file:
            words += ["--tls-ca-path", self.ca_file]
        words += ["--auth", "PLAIN", "--auth-user", username, "--auth-password", password]
        words += ["--from", sender, "--to", sender]
        return shlex.join(words)


def gateway(settings: Settings) -> Gateway:
    """Return where clients of this gateway connect."""
    served = host.PORTS if settings.postfix.scope == "host" else ports.PORTS
    return Gateway(
        settings.clients.host or settings.postfix.hostname or socket.gethostname(),
        settings.clients.ports or _for_clients(settings.postfix.ports or served),
        settings.clients.ca_file,
    )


def _for_clients(served: tuple[int, ...]) -> tuple[int, ...]:
    """Leave port 25 out, which many networks close to clients, unless there is no other."""
    return tuple(port for port in served if role_of(port) != "mx") or served


def example_sender(patterns: tuple[str, ...], domain: str) -> str:
    """Return an address that a credential may send as: of its senders, or else at ``domain``."""
    for pattern in patterns:
        return pattern if "@" in pattern else f"you@{pattern.replace('*', 'mail', 1)}"
    return f"you@{domain or 'example.com'}"
