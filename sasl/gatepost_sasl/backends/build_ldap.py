"""The LDAP back end from its settings."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator

from ldap3 import Connection

from gatepost_core.settings import LdapSettings
from gatepost_sasl.backends.ldap import LdapCheck, Search, Wanted
from gatepost_sasl.backends.ldap_names import BindName, GroupFilter, LdapConfigurationError, UserFilter
from gatepost_sasl.backends.ldap_servers import (
    Address,
    ConnectOptions,
    LdapFault,
    Order,
    bind,
    discard,
    faults,
    open_connection,
    tls_context,
)


def problems(section: LdapSettings) -> Iterator[str]:
    """Yield what keeps the back end from working as configured; no server is asked."""
    if not section.servers:
        yield "ldap.servers: at least one server is needed"
    if not section.user_template and not section.base:
        yield "ldap.base: needed for a search; or set ldap.user_template for a direct bind"
    if section.bind_dn and not section.bind_password:
        yield "ldap.bind_password: needed with ldap.bind_dn (an empty one would be an anonymous bind)"
    by_entry = section.group_features or any(
        text.replace("{user}", "").count("{") for text in section.senders
    )
    if section.user_template and "=" not in section.user_template and by_entry:
        yield "ldap.user_template: attributes and groups need a distinguished name there, or a search"
    try:
        _how(section)
        _wanted(section, frozenset())
        _context(section)
    except LdapConfigurationError as error:
        yield str(error)
    except OSError as error:  # ssl.SSLError is one
        yield f"ldap.ca_file = {section.ca_file!r}: {error}"


def password_check(
    section: LdapSettings, attributes: frozenset[str], on_stuck: Callable[[int], object]
) -> LdapCheck:
    """Return the back end; its threads are started. ``attributes`` are those that the template asks for."""
    return LdapCheck(
        Order([Address.parse(uri) for uri in section.servers], section.retry_seconds),
        _link(section),
        _how(section),
        _wanted(section, attributes),
        threads=section.threads,
        seconds=section.deadline,
        on_stuck=on_stuck,
    )


def probe(section: LdapSettings, uri: str) -> str:
    """Return what is wrong with one server, asked as a search would ask it; empty if nothing is."""
    link = _link(section)
    connection: Connection | None = None
    try:
        address = Address.parse(uri)
        connection = open_connection(address, link, id)
        if section.bind_dn and not section.user_template:
            with faults(address):
                code = bind(connection, section.bind_dn, section.bind_password)
            if code:
                return f"{address}: {section.bind_dn} is not let in (result code {code})"
    except (LdapFault, OSError) as error:
        return str(error)
    finally:
        discard(connection)
    return ""


def _link(section: LdapSettings) -> ConnectOptions:
    return ConnectOptions(
        _context(section), section.tls == "required", section.connect_timeout, section.receive_timeout
    )


def _how(section: LdapSettings) -> Search | BindName:
    if section.user_template:
        return BindName(section.user_template)
    user_filter = UserFilter(section.filter)
    return Search(section.bind_dn, section.bind_password, section.base, user_filter, section.name_attribute)


def _wanted(section: LdapSettings, attributes: frozenset[str]) -> Wanted:
    if not section.group_features:
        return Wanted(attributes)
    return Wanted(
        attributes,
        section.group_attribute,
        section.group_base,
        GroupFilter(section.group_filter) if section.group_base else None,
    )


def _context(section: LdapSettings) -> ssl.SSLContext | None:
    """Return the context for all servers, None when none of them talks TLS."""
    plain = section.tls == "none" and not any(server.startswith("ldaps:") for server in section.servers)
    return None if plain else tls_context(section.ca_file, section.verify)
