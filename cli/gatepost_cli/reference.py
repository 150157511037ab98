"""Texts that are generated from the definition of the settings: the sample file and its values.

The definition is ``gatepost_core.settings``; nothing is said twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from gatepost_core.settings import fields, is_secret, sections, tables, variable

_HEAD = """\
# Gatepost's settings. Each is shown with its default; take the '#' away to change one.
# A GATEPOST_* variable of the environment goes before this file, a flag before both.
"""


def sample() -> str:
    """Return the sample gatepost.toml: every setting with its prose, default and variable, commented out."""
    return "\n".join(
        [_HEAD, *(_section(name, prose) for name, _, prose in sections()), *map(_table, tables())]
    )


def default_of(info: Any) -> Any:
    """Return a field's default, as plain data."""
    value = info.get_default(call_default_factory=True)
    return None if value is PydanticUndefined else plain(value)


def plain(value: Any) -> Any:
    """Return a setting's value as TOML and JSON have it: texts for paths, lists for tuples."""
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def toml(value: Any) -> str:
    """Return a value as it stands in a TOML file, whose strings and lists are JSON's."""
    return json.dumps(plain(value), ensure_ascii=False)


def _section(name: str, prose: str) -> str:
    lines = [f"# {line}" for line in prose.splitlines()]
    return "\n".join([*lines, f"[{name}]", "", *_fields(name)])


def _table(one: tuple[str, type[BaseModel], str]) -> str:
    """Return what there may be several of: its heading is commented out as well, or there would be one."""
    name, model, prose = one
    lines = [f"# {line}".rstrip() for line in prose.splitlines()]
    lines += ["# In files only: no variable and no flag sets it.", f"#[{name}.NAME]", ""]
    for field, info in model.model_fields.items():
        lines += [
            *(f"# {line}" for line in _wrapped(info.description or "")),
            f"#{field} = {toml(default_of(info))}",
        ]
        lines.append("")
    return "\n".join(lines)


def _fields(section: str) -> Iterator[str]:
    for name, info in fields():
        own, _, field = name.partition(".")
        if own != section:
            continue
        yield from (f"# {line}" for line in _wrapped(info.description or ""))
        yield f"# Variable: {variable(name)}"
        if is_secret(info):
            yield f"# May be read from a file: {field}_file = '/path', or {variable(name)}_FILE"
        yield f"#{field} = {toml(default_of(info))}"
        yield ""


def _wrapped(text: str, width: int = 98) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
