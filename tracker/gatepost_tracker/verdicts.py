"""Machine or person: what a click or an open is taken for, and why. Pure.

``proxy``: a mailbox provider on somebody's behalf, or a browser ahead of time; whether anybody looked is not
known. ``scanner``: nobody looked. ``person``: a browser or mail program, and nothing speaks against it.
``unknown``: the rest. ``verdicts.toml`` beside this file names proxies and scanners, with sources and date.
It never changes what the reader gets. Scanners send browsers' names too: so several links of one message
within seconds are no person's either (``Bursts``).
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from gatepost_core.domain import spooled
from gatepost_core.domain.memo import Recent

AGENT_MOST: Final = 300  # characters that count
_TYPES: Final = ("clicked", "opened")
_VERDICTS: Final = ("proxy", "scanner")
# Programs that people read mail and follow links with say one of these.
_READERS: Final = ("mozilla/", "outlook", "thunderbird", "mail/", "airmail", "spark")
_REMEMBERED: Final = 2_000


class Verdict(NamedTuple):
    """``person``, ``proxy``, ``scanner`` or ``unknown``; why, in a few words."""

    verdict: str
    reason: str


UNKNOWN: Final = Verdict("unknown", "")
PERSON: Final = Verdict("person", "")
PREFETCH: Final = Verdict("proxy", "prefetch")
HONEY: Final = Verdict("scanner", spooled.HONEY)
BURST: Final = Verdict("scanner", "several links within seconds")


class _Row(NamedTuple):
    verdict: Verdict
    of: tuple[str, ...]
    whole: tuple[str, ...]
    parts: tuple[str, ...]
    networks: tuple[str, ...]


class Table:
    """Known proxies and scanners. Work is bounded: an agent is looked at once for each text, an address once
    for each length of prefix."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        """Take a table as ``verdicts.toml`` has it. Raises ValueError for what it may not hold."""
        self._agents = [_row(one) for one in content.get("agent", ())]
        self._by_prefix: dict[tuple[int, int], dict[int, list[_Row]]] = {}
        for row in map(_row, content.get("network", ())):
            for text in row.networks:
                network = ipaddress.ip_network(text)
                shift = network.max_prefixlen - network.prefixlen
                place = self._by_prefix.setdefault((network.version, shift), {})
                place.setdefault(int(network.network_address) >> shift, []).append(row)
        self._known: Recent[tuple[str, str], Verdict] = Recent(_REMEMBERED)
        self._where: Recent[tuple[str, str], Verdict] = Recent(_REMEMBERED)

    def judge(self, type_: str, agent: str, address: str, *, ahead: bool = False) -> Verdict:
        """Return what a click or an open (``type_``) is taken for. ``ahead``: a browser fetched it ahead.

        ``address``: '' if it is not known. Never raises.
        """
        if ahead:
            return PREFETCH
        agent = agent[:AGENT_MOST].lower()
        by_agent = self._known.get((type_, agent))
        if by_agent is None:
            by_agent = self._by_agent(type_, agent)
            self._known.put((type_, agent), by_agent)
        if by_agent.verdict in _VERDICTS or not address:
            return by_agent
        by_address = self._where.get((type_, address))
        if by_address is None:
            by_address = self._by_address(type_, address)
            self._where.put((type_, address), by_address)
        return by_agent if by_address is UNKNOWN else by_address

    def _by_agent(self, type_: str, agent: str) -> Verdict:
        for row in self._agents:
            if type_ in row.of and (agent in row.whole or any(part in agent for part in row.parts)):
                return row.verdict
        return PERSON if any(word in agent for word in _READERS) else UNKNOWN

    def _by_address(self, type_: str, address: str) -> Verdict:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return UNKNOWN
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        number = int(found)
        for (version, shift), places in self._by_prefix.items():
            for row in places.get(number >> shift, ()) if version == found.version else ():
                if type_ in row.of:
                    return row.verdict
        return UNKNOWN


def _row(row: Mapping[str, Any]) -> _Row:
    verdict, of = Verdict(row["verdict"], row["reason"]), tuple(row.get("of", _TYPES))
    texts = [tuple(row.get(name, ())) for name in ("is", "has", "networks")]
    small = all(text == text.lower() for text in (*texts[0], *texts[1]))
    if verdict.verdict not in _VERDICTS or not set(of) <= {*_TYPES} or not small or not any(texts):
        raise ValueError(f"a row of verdicts that says nothing: {row}")
    return _Row(verdict, of, *texts)


def load() -> Table:
    """Return the table beside this file."""
    return Table(tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")))


class Bursts:
    """Notices several links of one message within seconds. For one worker; times are seconds of one clock.

    The first of them have gone by then: what is seen later is for whoever has all of them.
    """

    LINKS: Final = 3
    SECONDS: Final = 2.0
    _MESSAGES: Final = 20_000

    def __init__(self) -> None:
        self._seen: Recent[str, list[tuple[float, int]]] = Recent(self._MESSAGES)

    def too_many(self, message: str, link: str, now: float) -> bool:
        """Note a click of a link; say whether others of the same message were clicked just before it."""
        since, which = now - self.SECONDS, hash(link)
        before = [one for one in self._seen.get(message) or () if one[0] >= since and one[1] != which]
        self._seen.put(message, [*before, (now, which)][-self.LINKS :])
        return len(before) + 1 >= self.LINKS


def hinted(values: Iterable[str]) -> bool:
    """Say whether fields of a request (Sec-Purpose, Purpose and older ones) say that it was made ahead."""
    return any("prefetch" in value or "preview" in value for value in map(str.lower, values))
