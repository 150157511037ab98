"""Read the settings: a TOML file, further files, ``GATEPOST_*`` variables, flags; the later wins.

The further files are those in the directory beside the file that has its name and ends in ``.d``
(``gatepost.toml``: ``gatepost.d/*.toml``), in the order of their names: there, a tool can keep
what it is in charge of.

An unknown key or a value that does not fit raises ``SettingsError``, whose text names the
setting, its value and where it came from; a secret's value is never in it.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from gatepost_core.settings.tree import PREFIX, Settings, fields, is_secret, tables, variable

DEFAULT_FILE = Path("/etc/gatepost/gatepost.toml")
_FILE_VARIABLE = "GATEPOST_CONFIG"
_TABLES = frozenset(name for name, _, _ in tables())


class SettingsError(Exception):
    """The configuration cannot be used. The text is for people: what, where from, what was expected."""


def load(
    config_file: Path | str | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    placed: Callable[[Path], Path] = Path,
) -> Settings:
    """Return the settings in force.

    ``config_file`` must exist when it is given here or as GATEPOST_CONFIG; the default file may
    be absent. ``overrides`` maps ``section.field`` to text, as flags give it. ``placed`` says where a
    secret's file is that is not in its place yet. Raises SettingsError.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, tuple[Any, str]] = {}
    path = file_of(config_file, environ)
    if path != DEFAULT_FILE or path.exists():
        values.update(_from_file(path))
    for further in sorted(path.with_suffix(".d").glob("*.toml")):
        values.update(_from_file(further))
    values.update(_from_variables(environ))
    for name, text in (overrides or {}).items():
        values.update(_checked(name, text, f"flag {name}"))  # without its text: it may be a secret
    return _build(_with_secrets(values, placed))


def file_of(config_file: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """Return the settings file in force: the one given, GATEPOST_CONFIG's, or the default one."""
    named = config_file or (os.environ if environ is None else environ).get(_FILE_VARIABLE)
    return Path(named) if named else DEFAULT_FILE


def _from_file(path: Path) -> dict[str, tuple[Any, str]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read: {error.strerror}; "
            "name the settings file with --config or GATEPOST_CONFIG"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not a TOML file: {error}") from error
    values: dict[str, tuple[Any, str]] = {}
    for section, table in document.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {section}: expected a section, [{section}], with settings in it")
        if section not in Settings.model_fields:
            raise SettingsError(
                f"{path}: [{section}]: unknown section{_near(section, Settings.model_fields)}"
            )
        for field, value in table.items():
            values.update(_checked(f"{section}.{field}", value, str(path)))
    return values


def _from_variables(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    known = {variable(name): name for name in _known_names()}
    values: dict[str, tuple[Any, str]] = {}
    for key, text in environ.items():
        if not key.startswith(PREFIX) or key == _FILE_VARIABLE:
            continue
        if key not in known:
            raise SettingsError(f"environment: {key}: unknown setting{_near(key, known)}")
        values.update(_checked(known[key], text, f"variable {key}"))
    return values


def _known_names() -> dict[str, FieldInfo]:
    names = dict(fields())
    names.update({f"{name}_file": info for name, info in fields() if is_secret(info)})
    return names


def _checked(name: str, value: Any, origin: str) -> dict[str, tuple[Any, str]]:
    known = _known_names()
    if name.partition(".")[0] in _TABLES:
        if not isinstance(value, dict):
            raise SettingsError(f"{origin}: {name}: expected a section, [{name}], with settings in it")
        return {name: (value, origin)}
    if name not in known:
        raise SettingsError(f"{origin}: {name}: unknown setting{_near(name, known)}")
    if isinstance(value, str) and get_origin(known[name].annotation) is tuple:
        value = [item.strip() for item in value.split(",") if item.strip()]
    return {name: (value, origin)}


def _near(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _with_secrets(
    values: dict[str, tuple[Any, str]], placed: Callable[[Path], Path]
) -> dict[str, tuple[Any, str]]:
    for name, info in fields():
        named = values.pop(f"{name}_file", None)
        if named is None or not is_secret(info):
            continue
        if name in values:
            raise SettingsError(
                f"{name} and {name}_file are both set ({values[name][1]}; {named[1]}); keep one"
            )
        path, origin = named
        try:
            text = placed(Path(path)).read_text(encoding="utf-8")
            values[name] = (text.strip(), f"{origin}, file {path}")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{origin}: {name}_file: {path} cannot be read: {error}") from error
    return values


def _build(values: dict[str, tuple[Any, str]]) -> Settings:
    tree: dict[str, dict[str, Any]] = {}
    for name, (value, _) in values.items():
        section, _, field = name.partition(".")
        tree.setdefault(section, {})[field] = value
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_explained(error, values)) from error
    settings.came_from({name: origin for name, (_, origin) in values.items()})
    return settings


def _explained(error: ValidationError, values: Mapping[str, tuple[Any, str]]) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"][:2])
        value, origin = values.get(name, (problem.get("input"), "default"))
        if name.partition(".")[0] in _TABLES and len(problem["loc"]) > 2:
            name, value = ".".join(map(str, problem["loc"])), problem.get("input")
        info = dict(fields()).get(name)
        shown = "***" if info is not None and is_secret(info) else repr(value)
        text = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{origin}: {name} = {shown}: {text[0].lower()}{text[1:]}")
    return "\n".join(lines)
