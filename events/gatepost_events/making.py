"""Makes the credential that an order asks for.

Blocks. How it fails is part of the answer: an account that is not there is a refusal, a store that cannot be
written passes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gatepost_core.domain import Conflict, StoreError, StoreUnavailable
from gatepost_core.domain.orders import Answer, CredentialOrder, Result
from gatepost_core.store.backend import Backend


class Making:
    """For many threads. ``now`` gives the time in UTC."""

    def __init__(self, store: Backend, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    def make(self, order: CredentialOrder) -> Answer:
        """Have the credential made, unless there is one of that name; that one stays as it is."""
        try:
            self._add(order)
        except Conflict:
            return Answer(Result.KNOWN)
        except StoreError as error:  # the account is not there
            return Answer(Result.REFUSED, str(error))
        except StoreUnavailable as error:
            return Answer(Result.UNAVAILABLE, str(error))
        return Answer(Result.MADE)

    def _add(self, order: CredentialOrder) -> None:
        # Loaded with the first order: SQLAlchemy is 14 MB, and most hosts have no first logins.
        from gatepost_core.store import credentials  # noqa: PLC0415

        with self._store.directory(write=True) as connection:
            credentials.add(
                connection,
                account=order.account,
                username=order.username,
                derived=None,
                now=self._now(),
                features=order.features,
                rules=order.rules,
                source=order.source,
            )
