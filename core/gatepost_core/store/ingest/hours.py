"""What happened, added up by hour and credential, before it goes to the store in one piece. Pure.

Whoever sends chooses tags and recipients: of one credential and hour so many are counted by themselves, and
what goes beyond under the key '', so that nobody fills the store by a million tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, TypeAlias

KEYS_MOST: Final = 200
# Of credentials' hours, whose keys are known by heart. More are forgotten, and read again.
_REMEMBERED: Final = 20_000
_HOURS: Final = 1_000
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - all times here are UTC
CREDENTIAL, TAG, DOMAIN = "credential", "tag", "domain"


# What is counted in one number: hour, credential, kind, key, type of event, account. A plain tuple, for there
# are several of each message.
Counted: TypeAlias = tuple[int, int, str, str, str, int]
# Whose keys are bounded together: hour, credential, kind.
Keys: TypeAlias = tuple[int, int, str]


class Hours:
    """Adds up what is told, until it is ``taken``. ``known`` reads the keys that are counted already."""

    def __init__(self, known: Callable[[Keys], Iterable[str]]) -> None:
        self._known = known
        self._keys: dict[Keys, set[str]] = {}
        self._hour: dict[str, int] = {}
        self._counts: dict[Counted, list[int]] = {}

    def add(
        self,
        at: str,
        whose: tuple[int, int],
        type_: str,
        tags: Iterable[str],
        domains: Iterable[str],
        times: int = 1,
    ) -> None:
        """Count what happened at a time (as in ``spooled.Row``) to a message of a credential and account.

        ``domains``: one for each recipient that it tells of. ``times`` -1 takes back what was counted.
        """
        hour = self.hour(at)
        by_domain: dict[str, int] = {}
        recipients = 0
        for domain in domains:
            by_domain[domain] = by_domain.get(domain, 0) + 1
            recipients += 1
        add = (times, times * recipients)
        self._count(hour, whose, CREDENTIAL, "", type_, add)
        for tag in dict.fromkeys(tags):
            self._count(hour, whose, TAG, tag, type_, add)
        for domain, number in by_domain.items():
            self._count(hour, whose, DOMAIN, domain, type_, (times, times * number))

    def taken(self) -> list[tuple[Counted, list[int]]]:
        """Return what was counted, events and their recipients, and begin anew."""
        counts, self._counts = self._counts, {}
        return sorted(counts.items())

    def hour(self, at: str) -> int:
        """Return the hours since 1970 of a time."""
        text = at[:13]
        hour = self._hour.get(text)
        if hour is None:
            if len(self._hour) >= _HOURS:
                self._hour.clear()
            past = datetime.fromisoformat(text) - _EPOCH
            hour = self._hour[text] = past.days * 24 + past.seconds // 3600
        return hour

    def _count(
        self, hour: int, whose: tuple[int, int], kind: str, key: str, type_: str, add: tuple[int, int]
    ) -> None:
        credential_id, account_id = whose
        if key and not self._counts_by_itself((hour, credential_id, kind), key):
            key = ""
        what = (hour, credential_id, kind, key, type_, account_id)
        counts = self._counts.get(what)
        if counts is None:
            self._counts[what] = [*add]
        else:
            counts[0] += add[0]
            counts[1] += add[1]

    def _counts_by_itself(self, whose: Keys, key: str) -> bool:
        keys = self._keys.get(whose)
        if keys is None:
            if len(self._keys) >= _REMEMBERED:
                self._keys.clear()
            keys = self._keys[whose] = set(self._known(whose))
        if key in keys:
            return True
        if len(keys) >= KEYS_MOST:
            return False
        keys.add(key)
        return True
