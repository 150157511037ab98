"""What is asked of the store and of the folder of hosted images.

Which hosts are ours is remembered for a second, and a store that cannot tell is left alone for five: a click
waits for nobody. Links of a host that the store cannot tell of are answered by their tokens alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from gatepost_core.domain import StoreUnavailable
from gatepost_core.domain.images import is_name, type_of
from gatepost_core.domain.memo import Recent
from gatepost_core.serving import log
from gatepost_core.store import Reader
from gatepost_tracker import pages
from gatepost_tracker.codec import Response

_FRESH, _PAUSE = 1.0, 5.0
_REMEMBERED = 2_000
_FOR_GOOD = "public, max-age=31536000, immutable"


class Hosts:
    """Which hosts are click domains, retired ones among them. For one thread."""

    def __init__(self, reader: Reader, everybodys: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._everybodys = everybodys.lower()
        self._clock = clock
        self._found: Recent[str, tuple[float, bool]] = Recent(_REMEMBERED)
        self._paused_until = 0.0

    def known(self, host: str) -> bool | None:
        """Say whether a host, with its port or without, is ours; None while the store cannot tell."""
        host = host.rstrip(".")
        name = host.partition(":")[0]
        if self._everybodys and self._everybodys in (host, name):
            return True
        now = self._clock()
        found = self._found.get(host)
        if found is not None and now - found[0] < _FRESH:
            return found[1]
        if now < self._paused_until:
            return found[1] if found is not None else None
        try:
            known = self._reader.click_host(host) or (name != host and self._reader.click_host(name))
        except StoreUnavailable as error:
            self._paused_until = now + _PAUSE
            log.warning("store unavailable, links are answered by their tokens", error=str(error))
            return found[1] if found is not None else None
        self._found.put(host, (now, known))
        return known


class Images:
    """Hosted images, of whichever account: nobody can guess a name. Used by few threads."""

    def __init__(self, directory: Path, most: int) -> None:
        self._directory = directory
        self._most = most
        self._places: Recent[str, Path] = Recent(_REMEMBERED)

    def response(self, name: str, seen: str) -> Response:
        """Return an image, 304 if ``seen`` (If-None-Match) has it, or 404."""
        tag = f'"{hashlib.sha256(name.encode()).hexdigest()[:32]}"'
        path = self._path(name)
        if path is None:
            return pages.NOTHING
        try:
            with path.open("rb") as file:
                data = file.read(self._most + 1)
        except OSError:
            return pages.NOTHING
        kind = type_of(data)
        if kind is None or len(data) > self._most:
            return pages.NOTHING
        fields = (*pages.STRICT, ("Cache-Control", _FOR_GOOD), ("ETag", tag))
        if tag in [one.strip().removeprefix("W/") for one in seen.split(",")] or seen.strip() == "*":
            return Response(304, fields)
        closed = ("Content-Security-Policy", "default-src 'none'; sandbox")
        return Response(200, (*fields, closed, ("Content-Type", kind)), data)

    def _path(self, name: str) -> Path | None:
        if not is_name(name):
            return None
        found = self._places.get(name)
        if found is not None and found.is_file():
            return found
        below = Path(name[:2]) / name
        try:
            places = [self._directory, *(self._directory / "accounts").iterdir()]
        except OSError:
            places = [self._directory]
        for place in places:
            if (place / below).is_file():
                self._places.put(name, place / below)
                return place / below
        return None
