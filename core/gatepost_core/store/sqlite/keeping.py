"""Whether anything is to be let go of at all, told without SQLAlchemy, which a daemon loads only for that."""

from __future__ import annotations

from contextlib import closing

from gatepost_core.store.sqlite.driver import connect, faults

_ASKED = "SELECT EXISTS (SELECT 1 FROM accounts WHERE keep_days > 0)"


def keeps_for_good(url: str, days: int) -> bool:
    """Say whether all accounts of the directory at ``url`` keep what they have for good.

    ``days``: the setting for those without days of their own; 0: for good. Raises StoreUnavailable.
    """
    if days:
        return False
    with faults(url), closing(connect(url)) as connection:
        return not connection.execute(_ASKED).fetchone()[0]
