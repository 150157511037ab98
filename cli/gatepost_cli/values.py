"""What may stand on the command line: features, sender patterns, ends of time.

Each type turns a text into a value or refuses it with a sentence that names the text and
says what was expected; click makes that exit code 2.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import click

from gatepost_cli.session import CliSession
from gatepost_core.domain import FeatureError, FeatureValue, shown
from gatepost_core.domain.features import parse_options
from gatepost_core.domain.limits import Limit, LimitError
from gatepost_core.domain.limits import limits as domain_limits
from gatepost_core.domain.limits.windows import time_zone as known_zone
from gatepost_core.domain.options import NO_ROUTE
from gatepost_core.domain.texts import size as bytes_of
from gatepost_core.store.accounts import KEEP_DAYS_MOST

_NAME_MOST = 255
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"(\d{1,6})([mhd])")


def duration(text: str) -> timedelta | None:
    """Return the time span that ``24h``, ``30m`` or ``7d`` spells, None for another text."""
    match = _DURATION.fullmatch(text.strip().lower())
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None


def size(_ctx: click.Context, _param: click.Parameter, text: str) -> int | None:
    """Return the bytes that ``500M`` or ``1000000`` spells; None for ``default``. An option callback."""
    found = bytes_of(text)
    if found is None and text.strip().lower() != "default":
        raise click.BadParameter(
            f"{shown(text)} is no size; expected bytes, or something like 500M or 2G, or default"
        )
    return found


def amount(_ctx: click.Context, _param: click.Parameter, text: str | None) -> int:
    """Return the bytes that ``500K`` or ``1000000`` spells; 0: not given. An option callback."""
    if text is None:
        return 0
    found = bytes_of(text)
    if found is None:
        raise click.BadParameter(f"{shown(text)} is no size; expected bytes, or something like 500K or 20M")
    return found


def days(_ctx: click.Context, _param: click.Parameter, text: str) -> int | None:
    """Return the days that a number means; None for ``default``. An option callback."""
    if text.strip().lower() == "default":
        return None
    number = (
        int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(KEEP_DAYS_MOST)) else -1
    )
    if not 0 <= number <= KEEP_DAYS_MOST:
        raise click.BadParameter(
            f"{shown(text)} is no number of days; expected 0 (for good) to {KEEP_DAYS_MOST}, or default"
        )
    return number


@dataclass(frozen=True, slots=True)
class Limits:
    """The value of ``--limit``; None: what the settings say."""

    value: tuple[Limit, ...] | None


def limits(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> Limits | None:
    """Return what ``--limit`` was given, several times; None: not given. An option callback."""
    if not texts:
        return None
    if [text.strip().lower() for text in texts] == ["default"]:
        return Limits(None)
    try:
        return Limits(domain_limits(texts))
    except LimitError as error:
        raise click.BadParameter(str(error)) from error


@dataclass(frozen=True, slots=True)
class TimeZone:
    """The value of ``--time-zone``; None: what the setting says."""

    value: str | None


def time_zone(_ctx: click.Context, _param: click.Parameter, text: str | None) -> TimeZone | None:
    """Return what ``--time-zone`` names; None: not given. An option callback."""
    if text is None:
        return None
    try:
        return TimeZone(None if text.strip().lower() == "default" else known_zone(text.strip()))
    except LimitError as error:
        raise click.BadParameter(str(error)) from error


def route(ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """Return the name of a route that the settings have, ``none`` or ``default``. An option callback."""
    session = ctx.find_object(CliSession)
    if text is None or text in (NO_ROUTE, "default") or session is None:
        return text
    routes = session.settings.routes
    if text not in routes:
        known = f"; known are {', '.join(sorted(routes))}" if routes else ""
        raise click.BadParameter(f"the settings have no [routes.{text[:60]}]{known}")
    return text


class Never:
    """The value of ``--expires never``."""


def span(_ctx: click.Context, _param: click.Parameter, text: str) -> timedelta:
    """Return the time of ``--overlap`` and the like: ``24h``; ``0h`` is none at all. An option callback."""
    found = duration(text)
    if found is None:
        raise click.BadParameter(f"{shown(text)} is not a time span; expected something like 24h, 90m or 7d")
    return found


def resolver_address(
    _ctx: click.Context, _param: click.Parameter, text: str | None
) -> tuple[str, int] | None:
    """Return address and port of ``--resolver``. A callback."""
    try:
        return None if text is None else name_server(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def name_server(text: str) -> tuple[str, int]:
    """Return address and port of 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53. Raises ValueError."""
    host, port = text.strip(), "53"
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if not _is_address(host) or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(
            f"{shown(text)} is not the address of a DNS server; "
            "expected something like 192.0.2.1 or 192.0.2.1:53"
        )
    return host, int(port)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def expiry(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | Never | None:
    """Return the time (UTC) of ``--expires``: a date, a time, a span from now, never. An option callback."""
    if text is None or text.strip().lower() == "never":
        return None if text is None else Never()
    now = datetime.now(UTC)
    try:
        when = _moment(text.strip(), now)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{shown(text)} is not a time; "
            "expected 2027-01-31, 2027-01-31T18:00 (UTC unless it says otherwise), 90d or never"
        ) from error
    if when <= now:
        raise click.BadParameter(f"{shown(text)} lies in the past; 'gatepost credential disable' ends it now")
    return when


def moment(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """Return the time (UTC) of ``--since`` and ``--until``: a date, a time, a span up to now. A callback."""
    if text is None:
        return None
    now = datetime.now(UTC)
    try:
        return _moment(text.strip(), now, -1)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{shown(text)} is not a time; "
            "expected 2027-01-31, 2027-01-31T18:00 (UTC unless it says otherwise), or 90m, 24h, 7d ago"
        ) from error


def any_moment(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    """Return the time (UTC) of ``--at``: a date, a time, a span from now on. An option callback."""
    try:
        return None if text is None else _moment(text.strip(), datetime.now(UTC))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{shown(text or '')} is not a time; "
            "expected 2027-01-31, 2027-01-31T18:00 (UTC unless it says otherwise), or 90m, 24h, 7d from now"
        ) from error


def moment_of(text: str) -> datetime:
    """Return the time (UTC) that a date or a time spells. Raises ValueError and OverflowError."""
    when = datetime.fromisoformat(text)
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)


def _moment(text: str, now: datetime, way: int = 1) -> datetime:
    """Return a time; a span counts from now: into the future, or for a ``way`` of -1 into the past."""
    span = duration(text)
    if span is not None:
        return now + way * span
    return moment_of(text)


def features(_ctx: click.Context, _param: click.Parameter, texts: Iterable[str]) -> dict[str, FeatureValue]:
    """Return the values that ``--feature`` options spell; an option callback."""
    try:
        return parse_options(texts)
    except FeatureError as error:
        raise click.BadParameter(str(error)) from error


def username(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """Return the name of ``--username``, as a login with it will arrive; an option callback."""
    if text is None:
        return None
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not name or len(name) > _NAME_MOST or not name.isprintable():
        raise click.BadParameter(
            f"{shown(text)} cannot be a user name; at most {_NAME_MOST} characters, all visible"
        )
    return name


def password_hash(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """Return the hash of ``--password-hash``, checked; an option callback."""
    if text is None:
        return None
    from gatepost_core.keys.argon2id import check  # noqa: PLC0415 - a C library that few commands need

    try:
        return check(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
