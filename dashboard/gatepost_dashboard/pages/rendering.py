"""Templates filled in. Whatever is filled in is escaped, and no template has script or style within it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from gatepost_core.domain import stamp

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"
# What a page may load and do: our own files, forms to ourselves, nothing within the page.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# The first that is named: each calls itself by the names of those before it as well.
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")


class Pages:
    """All templates, read once."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(
            time=moment, number=number, bytes=size, percent=percent, program=program
        )
        self._environment.globals.update(static=static_address)

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """Return a page."""
        return self._environment.get_template(name).render(values)


def static_address(name: str) -> str:
    """Return a file's address, which is another one once the file is."""
    return f"/static/{name}?{_MARKS[name]}"


def _marks() -> dict[str, str]:
    files = sorted(path for path in STATIC.iterdir() if path.suffix != ".md")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in files}


_MARKS: Final = _marks()


def moment(time: datetime | None) -> Markup:
    """Return a time as an element: in UTC, which a script may show in the reader's own zone."""
    if time is None:
        return Markup("<span class='soft'>never</span>")
    text = time.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{}">{}</time>').format(stamp(time), text)


def number(value: float) -> str:
    """Return a whole number, in groups of three digits."""
    return f"{value:,.0f}"


def size(value: float) -> str:
    """Return a number of bytes in the unit that fits."""
    for unit in _UNITS[:-1]:
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} {_UNITS[-1]}"


def program(agent: str) -> str:
    """Return which browser, on which system, a User-Agent names; of another program its own words."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if not browser:
        return agent[:60] or "unknown"
    return f"{browser} on {system}" if system else browser


def percent(share: float) -> str:
    """Return a share of one as per cent."""
    value = share * 100
    return f"{value:.0f} %" if value >= 10 or value == 0 else f"{value:.2g} %"
