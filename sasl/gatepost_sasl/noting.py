"""Notes each login where gatepost-policy finds it; a login never fails because it cannot be noted."""

from __future__ import annotations

import time
from collections.abc import Callable

from gatepost_core.domain.logins import GrantedLogin
from gatepost_core.serving import log
from gatepost_core.serving.login_table import LoginTable
from gatepost_sasl.authenticator import Granted

_SAY_SECONDS = 60.0


class Noting:
    """See session.Configuration.note. ``failed`` counts logins that could not be noted."""

    def __init__(self, table: LoginTable, failed: Callable[[], object]) -> None:
        self._table = table
        self._failed = failed
        self._say = 0.0

    def __call__(self, pid: int, granted: Granted) -> None:
        """Note a login that is granted now."""
        login = GrantedLogin(granted.credential, granted.secret, time.time())
        try:
            self._table.note(pid, granted.username, login)
        except OSError as error:
            self._failed()
            now = time.monotonic()
            if now >= self._say:
                self._say = now + _SAY_SECONDS
                log.error(
                    "logins cannot be noted: a session may go on after its password was changed",
                    error=str(error),
                    advice="look at sasl.logins_file: its folder has to be there, and the daemon's to write",
                )
