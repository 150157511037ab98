# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What becomes of main.cf and master.cf: wanted entries in, earlier ones kept for the way back.

``State`` is what a state file holds: for each entry that was set, how it was before and how it was
left. Pure: files come in as ConfigFile and are changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .cf_files import (
    ConfigFile,
    as_the_package_has_it,
    includes,
    items,
    port_of,
    same,
    shown,
    value,
    with_item,
    without_item,
)

# What master(8) reads only when it starts (postconf(5) says so of each).
NEEDS_RESTART = frozenset(
    {
        "data_directory",
        "inet_interfaces",
        "inet_protocols",
        "mail_owner",
        "master_service_disable",
        "multi_instance_name",
        "queue_directory",
        "setgid_group",
    }
)
_KINDS = ("main", "master")


# What scope ``host`` leaves in main.cf, and no other: every message without a login is refused by it.
_HOST_MARK = ("smtpd_relay_restrictions", "$gatepost_policy")
_OURS = ("$gatepost_policy", "gatepost-cleanup")
MADE_WITH_HOST = (
    'main.cf was made with postfix.scope = "host", which takes no mail for this host\'s own users; the scope '
    'in force is "ports". To keep it as it is, put scope = "host" into section [postfix] of gatepost.toml. '
    "To have ports beside other mail, first put main.cf and master.cf back as they were before Gatepost"
)


class ConflictError(Exception):
    """A service made by hand has a port that is wanted, or the files are of another kind. For people."""


class TakenError(ConflictError):
    """A port is taken. The text says by whom."""


def made_with_host(main: ConfigFile) -> bool:
    """Say whether main.cf is that of a Postfix that is all Gatepost's (``postfix.scope = host``)."""
    name, mark = _HOST_MARK
    return mark in (value(main.get(name)) or "")


@dataclass
class State:
    """Entries that were set, by kind and key: ``before`` and ``after`` as texts, ``item`` of a list."""

    entries: dict[str, dict[str, dict[str, Any]]] = field(
        default_factory=lambda: {kind: {} for kind in _KINDS}
    )

    def remember(self, kind: str, key: str, before: str | None, after: str, item: str | None = None) -> None:
        """Note a change; what was there before the first one stays."""
        known = self.entries[kind].get(key)
        first = known["before"] if known else before
        self.entries[kind][key] = {"before": first, "after": after, "item": item}


@dataclass
class Plan:
    """Both files while they are changed, and what was done to them."""

    main: ConfigFile
    master: ConfigFile
    state: State
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    # Whether all of Postfix is to be Gatepost's, and whether it is already.
    whole: bool = False
    was_whole: bool = False

    def apply(
        self,
        parameters: Iterable[dict[str, Any]],
        services: Iterable[dict[str, Any]],
        default: Callable[[str], str],
    ) -> None:
        """Set what is wanted, put back what is no longer. Raises ConflictError before anything changes."""
        parameters, services = _merged(parameters), list(services)
        name, mark = _HOST_MARK
        self.whole = any(one["name"] == name and mark in one["value"] for one in parameters)
        self.was_whole = self.whole and made_with_host(self.main)
        self.check_ports(services)
        wanted = {("main", one["name"]) for one in parameters}
        wanted |= {("master", f"{one['name']}/{one['type']}") for one in services}
        self.restore(except_for=wanted)
        for one in parameters:
            self._set_parameter(one, default)
        for one in services:
            self._set("master", f"{one['name']}/{one['type']}", one["entry"] + "\n")

    def check_ports(self, services: Iterable[dict[str, Any]]) -> None:
        """Raise ConflictError when a service made by hand has a port that one of ``services`` is to have.

        The same when main.cf was made for a Postfix that is all Gatepost's, and ``services`` are to be beside
        other work.
        """
        if not self.whole and made_with_host(self.main):
            raise ConflictError(MADE_WITH_HOST)
        for service in services:
            self._check_port(service)

    def restore(self, except_for: Iterable[tuple[str, str]] = ()) -> None:
        """Put back what was there before, where it is still as it was left."""
        keep = set(except_for)
        for kind in _KINDS:
            for key, known in list(self.state.entries[kind].items()):
                if (kind, key) not in keep:
                    self._put_back(kind, key, known)
                    del self.state.entries[kind][key]

    @property
    def restart(self) -> bool:
        """Whether a reload is not enough for what changed."""
        return any(name in NEEDS_RESTART for name in self.changed)

    @property
    def renames(self) -> bool:
        """Whether postsuper(1) gives queue files other names now, which a reload has it do beside qmgr(8)."""
        name = "enable_long_queue_ids"
        return name in self.changed and value(self.main.get(name)) != "yes"

    def _file(self, kind: str) -> ConfigFile:
        return self.main if kind == "main" else self.master

    def _set_parameter(self, one: dict[str, Any], default: Callable[[str], str]) -> None:
        name, wanted, match = one["name"], one["value"], one.get("match") or "equal"
        theirs = self.main.get(name) is not None and name not in self.state.entries["main"]
        if match == "unless_set" and theirs:
            return
        if match == "at_least" and version(value(self.main.get(name))) >= version(wanted):
            return
        if match != "include":
            self._set("main", name, f"{name} = {wanted}".rstrip() + "\n")
            return
        found = value(self.main.get(name))
        listed = default(name) if found is None else found
        ours = self.state.entries["main"].get(name, {}).get("item") or ""
        for item in set(items(ours)) - set(items(wanted)):
            listed = without_item(listed, item)
        after = listed
        for item in items(wanted):
            after = after if includes(after, item) else with_item(after, item)
        self._set("main", name, f"{name} = {after}\n", wanted)

    def _set(self, kind: str, key: str, text: str, item: str | None = None) -> None:
        file = self._file(kind)
        before = file.get(key)
        if same(before, text):
            known = self.state.entries[kind].get(key)
            if known is not None:
                known["after"], known["item"] = before, item
            elif self._own(kind, key, text):
                self.state.remember(kind, key, None, text, item)
            return  # of others' entries, somebody set the same by hand, and it stays theirs
        file.put(key, text)
        # What an earlier release, or its text set by hand, left of Gatepost's own is nothing to go back to.
        earlier = None if before and self._own(kind, key, before) else before
        self.state.remember(kind, key, earlier, text, item)
        self.changed.append(key)

    def _own(self, kind: str, key: str, text: str) -> bool:
        if kind == "main":
            return key.startswith("gatepost_")
        return self.was_whole or any(one in text for one in _OURS)

    def _put_back(self, kind: str, key: str, known: dict[str, Any]) -> None:
        file = self._file(kind)
        found = file.get(key)
        if same(found, known["after"]):
            file.put(key, known["before"])
        elif found is not None and (ours := _ours_of(found, known)):
            rest = value(found) or ""
            for item in ours:
                rest = without_item(rest, item)
            file.put(key, f"{key} = {rest}".rstrip() + "\n")
        else:
            self.kept.append(key)
            return
        self.changed.append(key)

    def _check_port(self, service: dict[str, Any]) -> None:
        if service["type"] != "inet":
            return
        key, port = f"{service['name']}/inet", port_of(service["name"])
        for entry in self.master.entries:
            name, _, kind = entry.key.partition("/")
            if kind != "inet" or port_of(name) != port or entry.key in self.state.entries["master"]:
                continue
            if entry.key == key and (
                same(entry.text, service["entry"]) or self._own("master", key, entry.text)
            ):
                continue
            if as_the_package_has_it(entry.text):
                continue
            first = shown(entry.text)
            raise TakenError(f"port {port} belongs to a service that is already in master.cf: {first!r}")


def _merged(parameters: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return parameters with one entry for each list that several have items of."""
    merged: dict[str, dict[str, Any]] = {}
    for one in parameters:
        before = merged.get(one["name"])
        joins = before is not None and before.get("match") == one.get("match") == "include"
        merged[one["name"]] = (
            {**one, "value": f"{before['value']}, {one['value']}"} if before and joins else one
        )
    return list(merged.values())


def _ours_of(found: str, known: dict[str, Any]) -> list[str]:
    """Return which items of a list as it is now are those that were put there."""
    return [item for item in items(known["item"] or "") if includes(value(found) or "", item)]


def version(text: str | None) -> tuple[int, ...]:
    """Return a version such as 3.6 as numbers that can be compared; what is none is lower than any."""
    parts = (text or "").split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else ()
