# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The words of `gatepost credential` that bring a credential to what is wanted; none when it is so already.

Wanted is a module's parameters (what is None stays as it is), before is the credential as
``gatepost credential show --json`` prints it, or None. What means the same in another spelling is equal.
Pure; a value that means nothing is for the command to refuse.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d))?(?::\d\d)?Z?")
RULES = {
    "senders": "--sender",
    "networks": "--network",
    "recipients": "--recipient",
    "denied_recipients": "--deny-recipient",
    "max_recipients": "--max-recipients",
    "max_size": "--max-size",
    "min_tls": "--min-tls",
    "hours": "--hours",
    "hold_places": "--hold-new-places",
}
_SCALES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_OFF = {"off", "no", "false", "0"}


def options(given: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    """Return the words that bring a credential to what is wanted; none when it is so already."""
    words = features(given["features"], before)
    for name, option in RULES.items():
        wanted = given[name]
        if isinstance(wanted, str):
            now = before[name] if before else None
            if value(wanted) != (None if now is None else str(now)):
                words += [option, wanted]
        elif wanted is not None and not alike(wanted, before[name] if before else []):
            words += [word for one in wanted or ["none"] for word in (option, one)]
    words += limits(given["limits"], before)
    for name in ("mode", "overrides", "unsubscribe_scope", "route"):
        if given[name] is not None and (before is None or before[name] != given[name]):
            words += [f"--{name.replace('_', '-')}", given[name]]
    for name in ("edit_signed", "transactional"):
        if given[name] is not None and given[name] != (before[name] if before else False):
            words.append(f"--{'' if given[name] else 'no-'}{name.replace('_', '-')}")
    if given["expires"] is not None and moment(given["expires"]) != (
        before["expires_at"] if before else None
    ):
        words += ["--expires", given["expires"]]
    return words + headers(given, before)


def limits(wanted: list[str] | None, before: dict[str, Any] | None) -> list[str]:
    """Return the options for limits: a list that is empty means none, ``default`` those of the settings."""
    if wanted is None:
        return []
    now = before["limits"] if before else None
    meant = [] if wanted == ["none"] else wanted
    if meant == ["default"] if now is None else alike(meant, now):
        return []
    return [word for one in meant or ["none"] for word in ("--limit", one)]


# What a feature is when nobody named it, other than off.
USUALLY = {"tracking": "identified"}


def features(wanted: list[str] | None, before: dict[str, Any] | None) -> list[str]:
    """Return the options that leave those features on that are wanted, and no other."""
    if wanted is None:
        return []
    now: dict[str, Any] = before["features"] if before else {}
    named, words = set(), []
    for text in wanted:
        name, equals, value = text.partition("=")
        named.add(name)
        if name not in now or not is_so(now[name], value if equals else "on"):
            words.append(text)
    for name, value in now.items():
        usual = USUALLY.get(name, "off")
        if name not in named and value not in ((False, "off", []) if usual == "off" else (usual,)):
            words.append(f"{name}=" if isinstance(value, list) else f"{name}={usual}")
    return [word for one in words for word in ("--feature", one)]


def is_so(value: Any, text: str) -> bool:
    """Say whether a feature's value is what ``text`` means on the command line."""
    if isinstance(value, bool):
        return value != (text.lower() in _OFF)
    if isinstance(value, list):
        return value == [one.strip() for one in text.split(",") if one.strip()]
    return str(value) == text


def headers(given: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    """Return the options for header fields; the command takes both lists together."""
    now = {name: (before[name] if before else []) for name in ("header_add", "header_drop")}
    wanted = {name: (given[name] if given[name] is not None else now[name]) for name in now}
    if all(spaced(wanted[name]) == spaced(now[name]) for name in now):
        return []
    words = ["--no-headers"] if before else []
    words += [word for one in wanted["header_add"] for word in ("--header-add", one)]
    return words + [word for one in wanted["header_drop"] for word in ("--header-drop", one)]


def spaced(fields: list[str]) -> list[str]:
    """Return header fields with one blank after the colon."""
    return [re.sub(r"\s*:\s*", ": ", one, count=1).strip() for one in fields]


def value(text: str) -> str | None:
    """Return the one value of a rule as the command prints it; None: it is lifted."""
    found = re.fullmatch(r"(\d{1,15}) ?([KMGT]?)B?", text.strip().upper())
    if found is not None:
        return str(int(found[1]) * _SCALES[found[2]])
    return None if text.strip().lower() == "none" else text.strip()


def alike(first: list[str], second: list[str]) -> bool:
    """Say whether two lists of addresses, domains or networks mean the same."""
    return sorted(map(plain, first)) == sorted(map(plain, second))


def plain(text: str) -> str:
    """Return a pattern in lower case, an address as the network that it is."""
    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError:
        return text.strip().lower()


def moment(text: str) -> str | None:
    """Return an end as the command prints it."""
    found = _DATE.fullmatch(text)
    return f"{found[1]}T{found[2] or '00:00'}:00Z" if found else None
