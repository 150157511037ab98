"""From a user name to what LDAP is asked: filters (RFC 4515) and names to bind as (RFC 4514).

Whatever stands in a user name is escaped, so that it can only ever be a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ldap3.core.exceptions import LDAPExceptionError
from ldap3.operation.search import parse_filter
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn, parse_dn

_PLACE = re.compile(r"\{(\w+)\}")
# What would make another name of user@domain or DOMAIN\user.
_NOT_IN_A_PRINCIPAL = re.compile(r"[\x00-\x20\x7f@\\/\"\[\]:;|=,+*?<>]")


class LdapConfigurationError(Exception):
    """A filter, name or template of the configuration cannot be used; the text says which and why."""


def _fill(text: str, values: dict[str, str]) -> str:
    return _PLACE.sub(lambda place: values[place[1]], text)


def _parts(name: str) -> dict[str, str]:
    local, at, domain = name.rpartition("@")
    return {"user": name, "local": local if at else name, "domain": domain if at else ""}


def check_filter(text: str, places: Iterable[str], what: str) -> str:
    """Return the filter of the configuration. Raises LdapConfigurationError."""
    used = set(_PLACE.findall(text))
    if not used or not used <= set(places):
        raise LdapConfigurationError(
            f"{what} {text!r}: expected at least one of {', '.join(f'{{{place}}}' for place in places)}, "
            "and nothing else in braces"
        )
    try:
        parse_filter(_PLACE.sub("x", text), None, False, False, None, False)
    except (LDAPExceptionError, IndexError) as error:
        raise LdapConfigurationError(f"{what} {text!r} is not a search filter: {error}") from error
    return text


class UserFilter:
    """Makes the filter that finds a user. Raises LdapConfigurationError for a text that cannot be one."""

    def __init__(self, text: str) -> None:
        self._text = check_filter(text, ("user", "local", "domain"), "ldap.filter")

    def of(self, name: str) -> str:
        """Return the filter for a user name."""
        return _fill(self._text, {key: escape_filter_chars(value) for key, value in _parts(name).items()})


class GroupFilter:
    """Makes the filter that finds the groups of a user."""

    def __init__(self, text: str) -> None:
        self._text = check_filter(text, ("dn", "user"), "ldap.group_filter")

    def of(self, dn: str, name: str) -> str:
        """Return the filter for a user's distinguished name and user name."""
        return _fill(self._text, {"dn": escape_filter_chars(dn), "user": escape_filter_chars(name)})


def _escaped(value: str) -> str:
    """Return an attribute value as it stands in a distinguished name (RFC 4514 section 2.4).

    ldap3 escapes a number sign only where it must be, at the beginning, and takes none elsewhere.
    """
    return "\\#".join(part and escape_rdn(part) for part in value.split("#"))


class BindName:
    """Makes what to bind as, directly: a distinguished name, or user@domain as Active Directory takes it."""

    def __init__(self, template: str) -> None:
        used = set(_PLACE.findall(template))
        if not used or not used <= {"user", "local", "domain"}:
            raise LdapConfigurationError(
                f"ldap.user_template {template!r}: expected {{user}}, or {{local}} and {{domain}}"
            )
        self._template = template
        self.is_dn = "=" in template
        if self.is_dn:
            try:
                parse_dn(_PLACE.sub("x", template))
            except LDAPExceptionError as error:
                raise LdapConfigurationError(
                    f"ldap.user_template {template!r} is not a distinguished name: {error}"
                ) from error

    def of(self, name: str) -> str | None:
        """Return what to bind as, None for a user name that cannot be one."""
        used = {key: value for key, value in _parts(name).items() if f"{{{key}}}" in self._template}
        if not all(used.values()):
            return None
        if self.is_dn:
            return _fill(self._template, {key: _escaped(value) for key, value in used.items()})
        if any(_NOT_IN_A_PRINCIPAL.search(value) for value in used.values()):
            return None
        return _fill(self._template, used)
