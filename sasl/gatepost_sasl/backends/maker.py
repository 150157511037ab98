"""Makes a credential at the first login of a name, from a template.

The one thing in this daemon that writes to the directory, and so the one that needs SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from gatepost_core.domain import Conflict, Credential, Source, StoreError
from gatepost_core.store import credentials
from gatepost_core.store.engine import faults, open_engine
from gatepost_sasl.authenticator import BackendUnavailable, Denied
from gatepost_sasl.backends.template import Template, TemplateError, VerifiedUser


class TemplateMaker:
    """See external.Maker."""

    def __init__(self, url: str, source: Source, template: Template, now: Callable[[], datetime]) -> None:
        self._url = url
        self._source = source
        self._template = template
        self._now = now

    def make(self, who: VerifiedUser) -> Credential | Denied:
        """Return the credential, made by us or by another worker meanwhile. Raises StoreUnavailable."""
        try:
            blank = self._template.fill(who)
        except TemplateError as error:
            return Denied(str(error))
        engine = open_engine(self._url)
        try:
            with faults(self._url), engine.begin() as connection:
                return credentials.add(
                    connection,
                    account=self._template.account,
                    username=who.name,
                    derived=None,
                    now=self._now(),
                    features=blank.features,
                    rules=blank.rules,
                    source=self._source,
                )
        except Conflict:
            with faults(self._url), engine.connect() as connection:
                return credentials.get(connection, who.name)
        except StoreError as error:  # the template's account is not there
            raise BackendUnavailable(
                f"{self._source.value}: no credential for {who.name}: {error}"
            ) from error
        finally:
            engine.dispose()
