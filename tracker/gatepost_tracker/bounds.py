"""How many events of one message and of one link are kept in an hour; the rest is counted. Pure."""

from __future__ import annotations

_HOUR = 3600.0
# Links and messages that are counted at once, a few megabytes; then all begin anew.
_COUNTED = 50_000


class Bounds:
    """Counts for one worker. ``link``, ``message``: events an hour; times are seconds of one clock."""

    def __init__(self, *, link: int, message: int) -> None:
        self._link, self._message = link, message
        self._until = 0.0
        self._links: dict[tuple[str, str], int] = {}
        self._messages: dict[str, int] = {}

    def admit(self, message: str, what: str, now: float) -> bool:
        """Say whether one more event of a message and of what it is about (its link) is kept."""
        if now >= self._until or len(self._links) >= _COUNTED:
            self._until = now + _HOUR
            self._links.clear()
            self._messages.clear()
        of_link, of_message = self._links.get((message, what), 0), self._messages.get(message, 0)
        if of_link >= self._link or of_message >= self._message:
            return False
        self._links[message, what] = of_link + 1
        self._messages[message] = of_message + 1
        return True
