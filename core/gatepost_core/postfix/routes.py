"""Routes as smtp(8) services of master.cf, and as the answer FILTER of access(5) names them.

A route is read by smtp(8) alone, so all of it is an option of its own service.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from gatepost_core.postfix.parts import Rows, Service, parameters
from gatepost_core.settings import RouteSettings, Settings

_PREFIX = "gatepost-route-"


def destination(name: str, route: RouteSettings) -> str:
    """Return ``transport:nexthop`` of a route; without a next hop the recipients' domains are it."""
    return f"{_PREFIX}{name}:{route.next_hop}"


def services(settings: Settings) -> Iterator[Service]:
    """Yield a service a route."""
    for name, route in sorted(settings.routes.items()):
        options = parameters(_options(name, route))
        yield Service(
            f"{_PREFIX}{name}", "route", options, f"The route {name}, a way out for those who name it."
        )


def _options(name: str, route: RouteSettings) -> Rows:
    yield "syslog_name", f"postfix/{_PREFIX}{name}", "Log lines of this route can be told from others."
    yield "smtp_tls_security_level", route.tls, "TLS as its section says."
    if route.login_file:
        yield "smtp_sasl_auth_enable", "yes", "It logs in."
        yield "smtp_sasl_password_maps", f"texthash:{route.login_file}", "User name and password by next hop."
        yield "smtp_sasl_security_options", "noanonymous", "Plain text passwords are fine inside TLS."
    else:
        yield "smtp_sasl_auth_enable", "no", "It does not log in."
    if route.bind_address:
        six = ipaddress.ip_address(route.bind_address).version == 6
        yield f"smtp_bind_address{'6' if six else ''}", route.bind_address, "The address that it sends from."
        only = "ipv6" if six else "ipv4"
        yield "inet_protocols", only, "Never from an address of the other protocol."
    if route.helo_name:
        yield "smtp_helo_name", route.helo_name, "The name that belongs to that address."
