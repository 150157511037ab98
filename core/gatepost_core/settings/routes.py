"""Sections of routes: ways out of this host that an operator makes, ``[routes.NAME]``."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final, Literal

from pydantic import Field, field_validator

from gatepost_core.settings.base import Section

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
NAME_SAID: Final = "up to 32 small letters, digits and '-', beginning with a letter or digit"
# A host or domain, in brackets for no look-up of MX records, and a port or service (postconf(5)).
_HOP: Final = re.compile(
    r"(\[[A-Za-z0-9.:_-]{1,253}\]|[A-Za-z0-9._-]{1,253})(:[A-Za-z0-9-]{1,32})?", re.ASCII
)
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


class RouteSettings(Section):
    """A way out for those credentials and accounts that name it: `gatepost credential set USER --route NAME`.

    Each route is an smtp(8) service of master.cf, which `gatepost postfix-settings` makes.
    """

    next_hop: str = Field(
        default="",
        description="Where its mail goes: [HOST]:PORT, HOST:PORT or a domain, as Postfix writes it. Empty: "
        "to each recipient's own servers.",
    )
    tls: Literal["none", "may", "encrypt", "dane", "dane-only", "verify", "secure"] = Field(
        default="may", description="Postfix's smtp_tls_security_level for it."
    )
    login_file: str = Field(
        default="",
        description="Postfix table of type texthash (postmap(5)) with next hop, blank, and USER:PASSWORD, to "
        "log in with; for root alone to read. Empty: no login.",
    )
    bind_address: str = Field(
        default="", description="Address of this host, IPv4 or IPv6, that its mail comes from; empty: any."
    )
    helo_name: str = Field(
        default="",
        description="Name that it says in EHLO, which that address' PTR record has; empty: myhostname.",
    )

    @field_validator("next_hop")
    @classmethod
    def _a_hop(cls, text: str) -> str:
        if text and _HOP.fullmatch(text) is None:
            raise ValueError("expected [HOST]:PORT, HOST:PORT, a domain, or nothing")
        return text

    @field_validator("login_file")
    @classmethod
    def _a_file(cls, text: str) -> str:
        if text and (not PurePosixPath(text).is_absolute() or re.search(r"[\s,{}$]", text)):
            raise ValueError("expected the whole path of a file, without blanks")
        return text

    @field_validator("bind_address")
    @classmethod
    def _an_address(cls, text: str) -> str:
        return str(ipaddress.ip_address(text)) if text else text

    @field_validator("helo_name")
    @classmethod
    def _a_host(cls, text: str) -> str:
        if text and _HOST.fullmatch(text) is None:
            raise ValueError("expected the name of a host")
        return text


def checked(routes: Mapping[str, RouteSettings]) -> Mapping[str, RouteSettings]:
    """Return routes whose names can be used. Raises ValueError."""
    for name in routes:
        if NAME.fullmatch(name) is None or name in ("none", "default"):
            raise ValueError(
                f"a route cannot have the name {name[:60]!r}; expected {NAME_SAID}, and not none"
            )
    return routes
