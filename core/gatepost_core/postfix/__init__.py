"""The main.cf and master.cf settings that Gatepost counts on, each with its reason.

One definition for ``gatepost postfix-settings``, ``gatepost doctor``, ``script/server`` and the
roles: pure data made from the settings, nothing is read or written. ``postfix.scope`` says how much
of Postfix is ours: ``host`` describes a Postfix that does nothing else, in main.cf (``host``);
``ports`` adds services to a Postfix that has other work, and leaves that alone (``ports``). Names and
meanings: postconf(5), master(5), SASL_README, SMTPD_POLICY_README and MILTER_README of Postfix 3.7
and later. A misspelt parameter is only a warning to Postfix, so a test asks postconf about each.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatepost_core.postfix import host, ports
from gatepost_core.postfix.forwarding import socket as forwarding_socket
from gatepost_core.postfix.parts import Match, Parameter, Role, Service, endpoint
from gatepost_core.postfix.routes import destination
from gatepost_core.postfix.subjects import queue_size_limit
from gatepost_core.settings import Settings

__all__ = [
    "Match",
    "Parameter",
    "Role",
    "Service",
    "destination",
    "endpoint",
    "forwarding_socket",
    "main_cf",
    "master_cf",
    "queue_size_limit",
]


def main_cf(settings: Settings, bounce_domains: Iterable[str]) -> list[Parameter]:
    """Return the main.cf parameters of the scope in force, in the order to print them."""
    scope = host if settings.postfix.scope == "host" else ports
    return list(scope.main_cf(settings, bounce_domains))


def master_cf(settings: Settings) -> list[Service]:
    """Return the master.cf services of the scope in force: one a port, and what they need beside them."""
    scope = host if settings.postfix.scope == "host" else ports
    return list(scope.master_cf(settings))
