"""Which login the session of a request began with, as gatepost-sasl noted it.

A login that is not known (the file is missing or damaged, or of a release before) ends no session: mail goes
on, as it did before there was a file, and a metric and the log tell of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gatepost_core.domain.logins import GrantedLogin
from gatepost_core.serving import log
from gatepost_core.serving.login_table import LoginTable, pid_of

_SAY_SECONDS = 60.0
# Messages under way in a worker whose logins are kept: one a smtpd(8), and of those few are busy at once.
_LATEST, _INSTANCE_MOST = 200, 100


class KnownLogins:
    """See questions.Logins. ``missing`` counts questions of sessions whose login is not known.

    The questions about one message have the same ``instance`` (SMTPD_POLICY_README), and nobody logs in
    in the midst of one: what was found for the first of them stands for the others.
    """

    def __init__(self, table: LoginTable, missing: Callable[[], object]) -> None:
        self._table = table
        self._missing = missing
        self._say = 0.0
        self._latest: dict[str, tuple[str, GrantedLogin]] = {}

    def of(self, instance: str, username: str) -> GrantedLogin | None:
        """See questions.Logins."""
        latest = self._latest.pop(instance, None)
        if latest is not None and latest[0] == username:
            self._latest[instance] = latest
            return latest[1]
        why = "not noted there"
        try:
            found = self._table.find(pid_of(instance), username)
        except OSError as error:
            found, why = None, str(error)
        if found is None:
            self._missed(why)
        elif len(instance) <= _INSTANCE_MOST:
            self._latest[instance] = username, found
            if len(self._latest) > _LATEST:
                del self._latest[next(iter(self._latest))]
        return found

    def _missed(self, why: str) -> None:
        self._missing()
        now = time.monotonic()
        if now >= self._say:
            self._say = now + _SAY_SECONDS
            log.warning(
                "the login of a session is not known, so a password changed since does not end it",
                reason=why,
                advice="look at sasl.logins_file and the log of gatepost-sasl",
            )
