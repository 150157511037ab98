"""Has gatepost-events make a credential at the first login of a name, from a template.

This daemon only reads the store; what is made is read like any other credential then. Whatever goes wrong on
the way is nobody's wrong password: BackendUnavailable (454).
"""

from __future__ import annotations

from gatepost_core.domain import Credential, Source
from gatepost_core.domain.orders import (
    LINE_MOST,
    Answer,
    CredentialOrder,
    OrderError,
    Result,
    read_answer,
    write_order,
)
from gatepost_core.serving.asking import NoAnswer, ask
from gatepost_sasl.authenticator import BackendUnavailable, Denied
from gatepost_sasl.backends.store import Credentials
from gatepost_sasl.backends.template import NewCredential, Template, TemplateError, VerifiedUser


class OrderingMaker:
    """See external.Maker. ``listen`` is where gatepost-events takes orders."""

    def __init__(self, listen: str, source: Source, template: Template, rows: Credentials) -> None:
        self._listen = listen
        self._source = source
        self._template = template
        self._rows = rows

    def make(self, who: VerifiedUser, until: float) -> Credential | Denied:
        """Return the credential, made for us or for another worker meanwhile.

        ``until`` is of the monotonic clock. Raises StoreUnavailable or BackendUnavailable.
        """
        try:
            line = self._order(who.name, self._template.fill(who))
        except (TemplateError, OrderError) as error:
            return Denied(str(error))
        try:
            answer = read_answer(ask(self._listen, line, until, LINE_MOST))
        except (NoAnswer, OrderError) as error:
            raise self._none(who, f"gatepost-events: {error}") from error
        return self._read(who, answer)

    def _order(self, name: str, blank: NewCredential) -> bytes:
        order = CredentialOrder(name, self._source, self._template.account, blank.features, blank.rules)
        return write_order(order)

    def _read(self, who: VerifiedUser, answer: Answer) -> Credential:
        """Return what is there of that name now. Raises BackendUnavailable if nothing was made."""
        if answer.result not in (Result.MADE, Result.KNOWN):
            raise self._none(who, answer.text or answer.result.value)
        credential = self._rows.credential(who.name)
        if credential is None:
            raise self._none(who, "it was made, and is not in the store that is read here")
        return credential

    def _none(self, who: VerifiedUser, reason: str) -> BackendUnavailable:
        return BackendUnavailable(f"{self._source.value}: no credential for {who.name}: {reason}")
