# Copyright: the Gatepost authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter of the role ``gateway``: what is wrong with ``gateway_settings``, told before anything changes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

DOCUMENTATION = r"""
name: setting_faults
short_description: What is wrong with settings of Gatepost
version_added: 0.1.0
author: The Gatepost authors
description:
  - Holds sections, fields, types and bounds of settings against the table of all settings. What depends on
    several settings at once is left to C(gatepost settings) on the host.
positional: table
options:
  _input:
    description: Settings, as section, field and value.
    type: dict
    required: true
  table:
    description: Type and bounds of every setting, as section, field and definition.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Settings can be used
  ansible.builtin.assert:
    that: gateway_settings | gatepost.gatepost.setting_faults(table) | length == 0
"""

RETURN = r"""
_value:
  description: A sentence for each fault, which names the setting, what it is and what it may be.
  type: list
  elements: str
"""

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
}
_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
}


def setting_faults(settings: Any, table: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each setting that cannot be used."""
    return list(_faults(settings, table))


def _faults(settings: Any, table: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not isinstance(settings, Mapping):
        yield f"gateway_settings is {_kind(settings)}; expected sections with settings in them"
        return
    for section, values in settings.items():
        name = f"gateway_settings.{section}"
        if section not in table:
            yield f"{name}: there is no such section{_near(section, table)}"
        elif not isinstance(values, Mapping):
            example = next(iter(table[section]))
            yield f"{name} is {_kind(values)}; expected settings with values, such as {example}"
        elif "*" in table[section]:
            for one, inner in values.items():
                yield from _named(f"{name}.{one}", inner, table[section]["*"])
        else:
            for field, value in values.items():
                yield from _field(f"{name}.{field}", field, value, table[section])


def _named(name: str, values: Any, section: Mapping[str, Any]) -> Iterator[str]:
    """Look at one of a section that there may be several of."""
    if not isinstance(values, Mapping):
        yield f"{name} is {_kind(values)}; expected settings with values, such as {next(iter(section))}"
        return
    for field, value in values.items():
        yield from _field(f"{name}.{field}", field, value, section)


def _field(name: str, field: str, value: Any, section: Mapping[str, Any]) -> Iterator[str]:
    if field not in section:
        yield f"{name}: there is no such setting{_near(field, section)}"
    elif not _fits(value, section[field]):
        shown = _kind(value) if section[field].get("secret") else repr(value)
        yield f"{name} is {shown}; expected {_expected(section[field])}"


def _kind(value: Any) -> str:
    """Return what a value is without saying it: it may hold a password."""
    kinds = ("boolean", "integer", "number", "string", "array")
    found = next((_WORDS[kind] for kind in kinds if isinstance(value, _TYPES[kind])), "")
    return found or ("nothing" if value is None else "sections or settings")


def _near(name: Any, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"


def _fits(value: Any, definition: Mapping[str, Any]) -> bool:
    kind = definition.get("type")
    if kind and (
        not isinstance(value, _TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool))
    ):
        return False
    if "enum" in definition and value not in definition["enum"]:
        return False
    items = definition.get("items", {})
    return all(check(value, definition) for check in _BOUNDS) and (
        kind != "array" or all(_fits(item, items) for item in value)
    )


def _bound(key: str, within: Callable[[Any, Any], bool]) -> Callable[[Any, Mapping[str, Any]], bool]:
    return lambda value, definition: key not in definition or within(value, definition[key])


_BOUNDS = (
    _bound("minimum", lambda value, bound: value >= bound),
    _bound("maximum", lambda value, bound: value <= bound),
    _bound("exclusiveMinimum", lambda value, bound: value > bound),
    _bound("exclusiveMaximum", lambda value, bound: value < bound),
)


def _expected(definition: Mapping[str, Any]) -> str:
    if "enum" in definition:
        return " or ".join(str(one) for one in definition["enum"])
    words = [_WORDS[definition["type"]]] if "type" in definition else ["a value"]
    if definition.get("type") == "array" and definition.get("items", {}).get("type"):
        words.append(f"each {_expected(definition['items'])}")
    for key, word in (
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("exclusiveMinimum", "more than"),
        ("exclusiveMaximum", "less than"),
    ):
        if key in definition:
            words.append(f"{word} {definition[key]}")
    return ", ".join(words)


class FilterModule:
    """What Ansible asks for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"setting_faults": setting_faults}
