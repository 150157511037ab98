# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Relays, throttling and outbound TLS as parameters, services and lookup tables of Postfix.

Tables are ``texthash:`` files (DATABASE_README): they need no postmap(1), and no database type that a
build of
Postfix may lack. They are put after the tables that are there, so that an entry made by hand wins.
Parameters: postconf(5), transport(5), SASL_README, TLS_README. Pure. What cannot be meant raises
``RefusedError``, whose text names the role's variable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?")
_NAME = re.compile(r"[a-z0-9_]+")
_DOMAIN = re.compile(r"\.?[^\s@#\[\]/:,]+")
_DELAY = re.compile(r"\d+[smhd]?")

Rows = list[dict[str, Any]]


class RefusedError(Exception):
    """A variable is not usable: its name, what it was, what it may be."""


def outgoing(values: Mapping[str, Any], domains: Iterable[Mapping[str, Any]], folder: str) -> dict[str, Any]:
    """Return ``parameters``, ``services`` and ``tables`` (name, lines, whether secret).

    ``values`` are the role's variables without its prefix; ``domains`` is what ``gatepost domain list
      --json``
    prints; ``folder`` is where the tables are. Raises RefusedError.
    """
    relays = list(_relays(values))
    policies = list((values.get("outbound_tls") or {}).get("policies") or [])
    groups = list(values.get("throttle") or [])
    _check_throttle(groups)
    tables = {
        "passwords": (list(_passwords(relays, domains)), True),
        "sender_relays": (list(_sender_relays(relays, domains)), False),
        "tls_policies": (list(_tls_policies(relays, policies)), False),
        "transports": (list(_transports(groups, values.get("relayhost") or {})), False),
    }
    used = {name: f"texthash:{folder}/{name}" for name, (lines, _) in tables.items() if lines}
    parameters = [
        *_relay_parameters(values, used),
        *_tls_parameters(values.get("outbound_tls") or {}, used),
        *_throttle_parameters(groups, used),
        *(
            [{"name": "inet_interfaces", "value": values["inet_interfaces"]}]
            if values.get("inet_interfaces")
            else []
        ),
        *own_parameters(values.get("parameters") or {}),
    ]
    return {
        # Of two rows of one name the later wins.
        "parameters": list({row["name"]: row for row in parameters}.values()),
        "services": [_throttled(group) for group in groups],
        "tables": [
            {
                "name": name,
                "text": "".join(f"{line}\n" for line in lines),
                "secret": secret,
                "used": bool(lines),
            }
            for name, (lines, secret) in tables.items()
        ],
    }


def _relays(values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the relay for everything (without a domain) and those by domain, checked."""
    main = values.get("relayhost") or {}
    if main:
        yield _checked("postfix_relayhost", main)
    for number, one in enumerate(values.get("sender_relays") or []):
        where = f"postfix_sender_relays[{number}]"
        _expect(where, "domain", one.get("domain"), _DOMAIN, "a domain such as example.org")
        yield _checked(where, one)


def _checked(where: str, one: Mapping[str, Any]) -> dict[str, Any]:
    port, tls = int(one.get("port") or 587), one.get("tls") or "secure"
    _expect(where, "host", one.get("host"), _HOST, "the name of a server such as smtp.example.org")
    if port == 465:
        raise RefusedError(
            f"{where}.port: 465 begins with TLS, which a relay by STARTTLS cannot; expected 587 or another"
        )
    if not 1 <= port <= 65535:
        raise RefusedError(f"{where}.port: {port}; expected 1 to 65535")
    if bool(one.get("username")) != bool(one.get("password")):
        raise RefusedError(f"{where}: expected username and password, or neither")
    if tls == "may" and one.get("username"):
        raise RefusedError(
            f"{where}.tls: 'may' would send the password in the clear; expected secure or encrypt"
        )
    login = f"{one['username']}:{one['password']}" if one.get("username") else ""
    if login.split("\n") != [login] or ":" in str(one.get("username") or ""):
        raise RefusedError(f"{where}: expected a user name without ':' and a password on one line")
    return {
        "domain": one.get("domain"),
        "bounce": one.get("bounce_domains"),
        "login": login,
        "tls": tls,
        "hop": f"[{one['host']}]:{port}",
    }


def _expect(where: str, field: str, value: Any, pattern: re.Pattern[str], wanted: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise RefusedError(f"{where}.{field}: {value!r}; expected {wanted}")


def _senders(relay: Mapping[str, Any], domains: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a relay's sender domains: the From domain, and where its bounces go."""
    yield relay["domain"]
    known = [one["bounce_domain"] for one in domains if one.get("name") == relay["domain"]]
    bounce = relay["bounce"] if relay["bounce"] is not None else known or [f"bounces.{relay['domain']}"]
    yield from (one for one in bounce if one != relay["domain"])


def _passwords(relays: Rows, domains: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    domains = list(domains)
    for relay in relays:
        if relay["login"]:
            # By sender first: two domains may have two logins at one relay.
            keys = [f"@{one}" for one in _senders(relay, domains)] if relay["domain"] else [relay["hop"]]
            yield from (f"{key} {relay['login']}" for key in keys)


def _sender_relays(relays: Rows, domains: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    domains = list(domains)
    for relay in relays:
        if relay["domain"]:
            yield from (f"@{one} {relay['hop']}" for one in _senders(relay, domains))


def _tls_policies(relays: Rows, policies: Rows) -> Iterator[str]:
    lines = {}
    for relay in relays:
        match = " match=nexthop" if relay["tls"] == "secure" else ""
        lines[relay["hop"]] = f"{relay['tls']}{match}"
    for number, one in enumerate(policies):
        if not re.fullmatch(r"\S+", one.get("domain") or ""):
            raise RefusedError(
                f"postfix_outbound_tls_policies[{number}].domain: {one.get('domain')!r}; expected a domain"
            )
        match = f" match={one['match']}" if one.get("match") else ""
        lines[one["domain"]] = f"{one['level']}{match}"
    yield from (f"{key} {value}" for key, value in lines.items())


def _transports(groups: Rows, relayhost: Mapping[str, Any]) -> Iterator[str]:
    main = f"[{relayhost['host']}]:{relayhost.get('port') or 587}" if relayhost.get("host") else ""
    for group in groups:
        hop = group.get("nexthop") or main
        yield from (f"{domain} {_transport(group)}:{hop}" for domain in group["domains"])


def _check_throttle(groups: Rows) -> None:
    names = [group.get("name") for group in groups]
    for number, group in enumerate(groups):
        where = f"postfix_throttle[{number}]"
        _expect(where, "name", group.get("name"), _NAME, "a-z, 0-9 and _")
        if names.count(group["name"]) > 1:
            raise RefusedError(f"{where}.name: {group['name']!r} is there twice; expected each name once")
        for domain in group.get("domains") or [None]:
            _expect(where, "domains", domain, _DOMAIN, "recipient domains such as example.org")
        _expect(where, "rate_delay", str(group.get("rate_delay") or "0s"), _DELAY, "a time such as 1s")


def _relay_parameters(values: Mapping[str, Any], used: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    main = values.get("relayhost") or {}
    if main:
        yield {"name": "relayhost", "value": f"[{main['host']}]:{main.get('port') or 587}"}
    if "passwords" in used:
        yield {"name": "smtp_sasl_auth_enable", "value": "yes"}
        yield {"name": "smtp_sasl_password_maps", "value": used["passwords"], "match": "include"}
        yield {"name": "smtp_sasl_security_options", "value": "noanonymous"}
        yield {"name": "smtp_sasl_tls_security_options", "value": "noanonymous"}
    if "sender_relays" in used:
        yield {"name": "sender_dependent_relayhost_maps", "value": used["sender_relays"], "match": "include"}
        if "passwords" in used:
            yield {"name": "smtp_sender_dependent_authentication", "value": "yes"}


def _tls_parameters(outbound: Mapping[str, Any], used: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    levels = [outbound.get("level") or "", *(one["level"] for one in outbound.get("policies") or [])]
    if outbound.get("level"):
        yield {"name": "smtp_tls_security_level", "value": outbound["level"]}
        yield {"name": "smtp_tls_loglevel", "value": "1", "match": "unless_set"}
    if any(level.startswith("dane") for level in levels):
        yield {"name": "smtp_dns_support_level", "value": "dnssec"}
    if "tls_policies" in used:
        yield {"name": "smtp_tls_policy_maps", "value": used["tls_policies"], "match": "include"}
    if outbound.get("ca_file"):
        yield {"name": "smtp_tls_CAfile", "value": outbound["ca_file"]}
    elif "tls_policies" in used or levels[0] in ("verify", "secure"):
        yield {"name": "smtp_tls_CAfile", "value": CA_FILE, "match": "unless_set"}


def _throttle_parameters(groups: Rows, used: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for group in groups:
        name, concurrency = _transport(group), group.get("concurrency") or 2
        first = min(int(concurrency), 5)  # Postfix's own default for a destination that is new
        for parameter, value in (
            ("destination_concurrency_limit", concurrency),
            ("initial_destination_concurrency", first),
            ("destination_rate_delay", group.get("rate_delay") or "0s"),
            ("destination_recipient_limit", group.get("recipients") or 50),
        ):
            yield {"name": f"{name}_{parameter}", "value": str(value)}
    if "transports" in used:
        yield {"name": "transport_maps", "value": used["transports"], "match": "include"}


def own_parameters(parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield parameters that are given as name and value; YAML's booleans are Postfix's yes and no."""
    for name, value in parameters.items():
        yield {"name": name, "value": ("yes" if value else "no") if isinstance(value, bool) else str(value)}


def _transport(group: Mapping[str, Any]) -> str:
    return f"gatepost_{group['name']}"


def _throttled(group: Mapping[str, Any]) -> dict[str, str]:
    name = _transport(group)
    entry = f"{name} unix - - n - - smtp\n  -o {{ syslog_name = postfix/{name} }}"
    return {"name": name, "type": "unix", "entry": entry}
