"""PAM as a back end (python-pam): authentication and account management of one PAM service.

PAM blocks, and its modules wait after a failure, so calls run in a DeadlinePool. A new PamAuthenticator
for each call, and no pam_setcred: the daemon does not become the user. Result codes: pam(3),
_pam_types.h. What is not plainly the client's fault is ours, and answered 454.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pam import PamAuthenticator

from gatepost_sasl.authenticator import BackendUnavailable, Denied
from gatepost_sasl.backends.pool import DeadlinePool
from gatepost_sasl.backends.template import VerifiedUser

_DIRECTORIES = ("/etc/pam.d", "/usr/lib/pam.d")
_REASONS = {
    6: "permission denied",  # PAM_PERM_DENIED: pam_deny, pam_access, pam_nologin
    7: "wrong password",  # PAM_AUTH_ERR
    10: "unknown user",  # PAM_USER_UNKNOWN
    11: "too many tries",  # PAM_MAXTRIES
    12: "the password must be changed first",  # PAM_NEW_AUTHTOK_REQD
    13: "account expired",  # PAM_ACCT_EXPIRED
    16: "credentials expired",  # PAM_CRED_EXPIRED
    27: "password expired",  # PAM_AUTHTOK_EXPIRED
}


def service_file(service: str) -> Path | None:
    """Return the file of a PAM service, None when there is none."""
    files = (Path(directory) / service for directory in _DIRECTORIES)
    return next((file for file in files if file.exists()), None)


class PamCheck:
    """A PasswordCheck by PAM; see ``backends.external``."""

    def __init__(self, service: str, seconds: float, threads: int, on_stuck: Callable[[int], object]) -> None:
        self._service = service
        self._seconds = seconds
        self._pool = DeadlinePool("pam", threads, max(1, threads // 4), on_stuck)

    def check(self, name: str, password: str) -> VerifiedUser | Denied:
        """See PasswordCheck."""
        # Without its file PAM takes the service "other", which refuses everybody.
        if service_file(self._service) is None:
            raise BackendUnavailable(f"pam: there is no service file {_DIRECTORIES[0]}/{self._service}")
        return self._pool.run(lambda: self._ask(name, password), self._seconds, name)

    def stuck_for(self, seconds: float) -> str:
        """See PasswordCheck: a module that never returns keeps its thread for good."""
        return self._pool.stuck_for(seconds)

    def close(self, seconds: float = 5.0) -> None:
        """End the threads; one that is stuck is left to the end of the process."""
        self._pool.close(seconds)

    def _ask(self, name: str, password: str) -> VerifiedUser | Denied:
        session = PamAuthenticator()
        try:
            good = session.authenticate(name, password, self._service, resetcreds=False)
        except ValueError:  # a NUL
            return Denied("a name or password that PAM cannot take")
        if good:
            return VerifiedUser(name)
        if session.code in _REASONS:
            return Denied(_REASONS[session.code])
        raise BackendUnavailable(f"pam: error {session.code}: {_text(session.reason)}")


def _text(reason: str | bytes | None) -> str:
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
