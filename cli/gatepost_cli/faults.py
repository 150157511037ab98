"""What to say, and with which code to exit, for each kind of fault.

Imported only after something went wrong, so that a command that succeeds does not pay for it.
"""

from __future__ import annotations

from gatepost_cli.archives.backup import BackupError
from gatepost_core.keys import KeyringError
from gatepost_core.postfix.cf_carry import CarryError
from gatepost_core.postfix.cf_plan import ConflictError
from gatepost_core.settings import SettingsError
from gatepost_core.store import Conflict, NotFound, StoreError, StoreUnavailable

# The first kind that fits decides: a NotFound is a StoreError too.
_CODES: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, 3),
    (Conflict, 1),
    (StoreError, 2),  # a name or a value that cannot be used
    (StoreUnavailable, 1),
    (SettingsError, 4),
    (KeyringError, 4),
    (BackupError, 1),
    (CarryError, 1),
    (ConflictError, 1),
    (OSError, 1),
)


def explain(error: Exception) -> tuple[int, str] | None:
    """Return the exit code and the text for a fault, None for one that is a mistake in the program."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code, _text(error)
    return None


def _text(error: Exception) -> str:
    if isinstance(error, CarryError) and error.remarks:
        return f"{error}: {'; '.join(error.remarks)}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)
