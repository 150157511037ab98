"""Which login the session of a request began with, as gatepost-sasl noted it.

A login that is not known (the file is missing or damaged, or of a release before) ends no session: mail goes
on, as it did before there was a file, and a metric and the log tell of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gatepost_core.domain.logins import Login
from gatepost_core.serving.log import get_logger
from gatepost_core.serving.login_table import LoginTable, pid_of

_SAY_SECONDS = 60.0


class KnownLogins:
    """See questions.Logins. ``missing`` counts questions of sessions whose login is not known."""

    def __init__(self, table: LoginTable, missing: Callable[[], object]) -> None:
        self._table = table
        self._missing = missing
        self._say = 0.0

    def of(self, instance: str, username: str) -> Login | None:
        """See questions.Logins."""
        why = "not noted there"
        try:
            found = self._table.find(pid_of(instance), username)
        except OSError as error:
            found, why = None, str(error)
        if found is None:
            self._missed(why)
        return found

    def _missed(self, why: str) -> None:
        self._missing()
        now = time.monotonic()
        if now >= self._say:
            self._say = now + _SAY_SECONDS
            get_logger().warning(
                "the login of a session is not known, so a password changed since does not end it",
                reason=why,
                advice="look at sasl.logins_file and the log of gatepost-sasl",
            )
