"""Sections of the back ends where somebody else knows the password: PAM and LDAP."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gatepost_core.settings.base import SECRET, Seconds, Section


class _External(Section):
    """What PAM and LDAP have in common: somebody else knows the password."""

    names: tuple[str, ...] = Field(
        default=("*",), description="User names that this back end claims; patterns as in sasl.store_names."
    )
    deadline: Annotated[float, Field(ge=0.5, le=9)] = Field(
        default=8.0,
        description="A login that has no answer after this many seconds is answered 454, whatever it waits "
        "for. At most 9: Postfix waits 10.",
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=8, description="Logins that a worker asks it about at once; more wait for their turn."
    )
    breaker_faults: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=5,
        description="After this many faults in a row it is left alone for a while, and its logins are "
        "answered 454 at once; 0: never.",
    )
    breaker_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=10.0, description="How long it is left alone before one login tries it again."
    )
    cache_seconds: Seconds = Field(
        default=0.0,
        description="While it cannot answer, a login that it granted less than this many seconds ago is "
        "granted again, provided that the credential has not changed; 0: never. Each worker remembers its "
        "own, as a keyed hash in memory.",
    )
    account: str = Field(
        default="",
        description="Account that gets a credential at a name's first login; empty: only names for which "
        "the operator made a credential may log in.",
    )
    features: tuple[str, ...] = Field(
        default=(), description="Features of a credential made at first login, as NAME or NAME=VALUE."
    )
    networks: tuple[str, ...] = Field(
        default=(), description="Networks of a credential made at first login, as CIDR blocks; empty: any."
    )


class PamSettings(_External):
    """The PAM back end: users of this host, or whatever its PAM service asks."""

    service: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        default="gatepost", description="PAM service, a file of that name in /etc/pam.d."
    )
    fold_case: bool = Field(
        default=False, description="Turn names into lower case first; right only if PAM takes any case."
    )
    senders: tuple[str, ...] = Field(
        default=(),
        description="Senders of a credential made at first login; {user} stands for the name. Empty: any.",
    )


class LdapSettings(_External):
    """The LDAP back end: a directory such as OpenLDAP or Active Directory."""

    servers: tuple[str, ...] = Field(
        default=(),
        description="Servers in the order in which they are tried, as ldap://HOST[:PORT] or "
        "ldaps://HOST[:PORT]; one that fails is left out for a while.",
    )
    tls: Literal["required", "none"] = Field(
        default="required",
        description="'required': ldap:// servers get StartTLS before anything else is said; 'none': "
        "passwords cross the network in clear. ldaps:// is always TLS.",
    )
    ca_file: str = Field(
        default="",
        description="Certificates (PEM) of the authority that the servers' certificates must come from; "
        "empty: those that the system trusts.",
    )
    verify: bool = Field(
        default=True,
        description="Hold the servers' certificates against ca_file and the host name; false lets anybody "
        "between the two read passwords.",
    )
    connect_timeout: Annotated[float, Field(gt=0, le=9)] = Field(
        default=2.0, description="Seconds to wait for a server to accept a connection."
    )
    receive_timeout: Annotated[int, Field(ge=1, le=9)] = Field(
        default=3, description="Whole seconds to wait for a server's answer."
    )
    retry_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=30.0, description="How long a server that failed comes after the others."
    )
    bind_dn: str = Field(
        default="",
        description="Distinguished name (or user@domain) to search as; empty: anonymously. Not used with "
        "user_template.",
    )
    bind_password: str = Field(default="", description="The password of bind_dn.", json_schema_extra=SECRET)
    base: str = Field(
        default="", description="Where to search for users, a distinguished name. Needed for a search."
    )
    filter: str = Field(
        default="(uid={user})",
        description="Search filter for a user; {user}, {local} and {domain} stand for the name and its parts "
        "before and after the last @, escaped. Exactly one entry must match.",
    )
    user_template: str = Field(
        default="",
        description="Direct bind: what to bind as, without a search first, such as "
        "uid={user},ou=people,dc=example,dc=org or {local}@corp.example.org; empty: search, then bind.",
    )
    name_attribute: str = Field(
        default="uid",
        description="Attribute whose value becomes the credential's user name, so that one person has one "
        "credential whatever spelling the filter lets in; sAMAccountName in Active Directory. Empty: the "
        "name as given. Not used with user_template.",
    )
    fold_case: bool = Field(
        default=True, description="Turn names into lower case first, as directories do not tell case."
    )
    senders: tuple[str, ...] = Field(
        default=(),
        description="Senders of a credential made at first login; {user} stands for the name, {mail} and "
        "the like for each value of that attribute. Empty: any. A login for which none results is refused.",
    )
    group_attribute: str = Field(
        default="memberOf", description="Attribute of a user that names the groups; empty: none."
    )
    group_base: str = Field(
        default="", description="Where to search for groups by group_filter; empty: no search."
    )
    group_filter: str = Field(
        default="(member={dn})",
        description="Search filter for a user's groups; {dn} and {user} stand for the user, escaped.",
    )
    group_features: tuple[str, ...] = Field(
        default=(),
        description="Features for members of a group at first login, as GROUP => NAME[=VALUE]; GROUP is its "
        "distinguished name or the value of that name's first part, such as marketing.",
    )

    @field_validator("servers")
    @classmethod
    def _uris(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            if not re.fullmatch(r"ldaps?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?/?", server):
                raise ValueError(f"{server!r} is not ldap://HOST[:PORT] or ldaps://HOST[:PORT]")
        return servers
