"""From settings to back ends: what is wired to what.

PAM and LDAP are imported when they are configured, so that a store alone costs no more memory than before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gatepost_core.domain import Source, StoreUnavailable
from gatepost_core.keys import Keyring
from gatepost_core.serving import log
from gatepost_core.settings import LdapSettings, PamSettings, Settings, SettingsError
from gatepost_sasl.authenticator import Authenticator
from gatepost_sasl.backends.breaker import Breaker
from gatepost_sasl.backends.cache import GrantedLogins
from gatepost_sasl.backends.external import ExternalAuthenticator, Maker, PasswordCheck
from gatepost_sasl.backends.store import Credentials, LastUsed, StoreAuthenticator
from gatepost_sasl.backends.template import Template, TemplateError
from gatepost_sasl.chain import Chain, ChainEntry, unreachable
from gatepost_sasl.mechanisms import SCRAM
from gatepost_sasl.names import Names
from gatepost_sasl.session import Scram
from gatepost_sasl.slowest import Slowest


def _unheard(backend: str, change: int) -> None:
    del backend, change


def _untimed(seconds: float) -> None:
    del seconds


class ImportedHashes(Protocol):
    """What is read of the store before the fork: ``gatepost_core.store.sqlite.reader.Reader``."""

    def imported_hashes(self) -> list[str]:
        """Return all password hashes of other systems. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Close what is open: nothing of it may live through a fork."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What all back ends share. ``stuck`` is told of calls left behind: the back end's name, +1 or -1.

    ``took`` is told the seconds that each imported hash took to check; ``slowest`` knows those of the back
    ends outside, by name, for all workers.
    """

    credentials: Credentials
    keyring: Keyring
    last_used: LastUsed
    now: Callable[[], datetime]
    stuck: Callable[[str, int], object] = _unheard
    took: Callable[[float], object] = _untimed
    slowest: Mapping[str, Slowest] = field(default_factory=dict[str, Slowest])


def check(settings: Settings) -> None:
    """Raise SettingsError for back ends that cannot work as configured; asks none of them."""
    text = unreachable([(name, names_of(settings, name)) for name in settings.sasl.backends])
    if text:
        raise SettingsError(f"sasl.backends: {text}")
    if SCRAM in settings.sasl.mechanisms and "store" not in settings.sasl.backends:
        raise SettingsError(f"sasl.mechanisms: {SCRAM} is for the store's users, and sasl.backends lacks it")
    for name in settings.sasl.backends:
        if name == "pam":
            _check_pam(settings.pam)
        elif name == "ldap":
            _check_ldap(settings.ldap)


def remarks(settings: Settings) -> Iterator[str]:
    """Yield what works as configured, and yet not for everybody."""
    outside = [name for name in settings.sasl.backends if name != "store"]
    if SCRAM in settings.sasl.mechanisms and outside:
        yield (
            f"sasl.mechanisms has {SCRAM}, which users of {' and '.join(outside)} cannot use: a client that "
            "chooses it, as most do where it is on offer, is refused. Take it out of sasl.mechanisms, or set "
            "PLAIN or LOGIN in those clients"
        )


def build(settings: Settings, parts: Parts) -> Chain:
    """Return the configured chain. Starts the threads of PAM and LDAP: call it in the worker."""
    return Chain(
        [
            ChainEntry(name, names_of(settings, name), _authenticator(name, settings, parts))
            for name in settings.sasl.backends
        ]
    )


def scram(settings: Settings, parts: Parts) -> Scram | None:
    """Return SCRAM-SHA-256 on the store where it is on offer; its library is loaded nowhere else."""
    if SCRAM not in settings.sasl.mechanisms:
        return None
    from gatepost_sasl.backends.scram import StoreScram  # noqa: PLC0415 - see above

    store = StoreAuthenticator(parts.credentials, parts.keyring, parts.last_used, parts.now)
    return StoreScram(parts.credentials, parts.keyring, store, parts.now)


def slowest_of(store: ImportedHashes, failure_delay: float) -> Slowest:
    """Return what knows how long the store's dearest imported hash takes to check here, and its own."""
    slowest = Slowest(_seconds(store))
    if slowest.delay(failure_delay) > failure_delay:
        log.info("refusals wait for imported hashes", seconds=slowest.delay(failure_delay))
    return slowest


def _seconds(store: ImportedHashes) -> float:
    try:
        hashes = store.imported_hashes()
    except StoreUnavailable:  # logged already; each login that checks one tells
        hashes = []
    finally:
        store.close()
    if not hashes:
        return 0.0
    from gatepost_core.keys.argon2id import seconds  # noqa: PLC0415 - see above

    return seconds(hashes)


def names_of(settings: Settings, backend: str) -> Names:
    """Return the names that a back end claims."""
    patterns = {
        "store": settings.sasl.store_names,
        "pam": settings.pam.names,
        "ldap": settings.ldap.names,
    }
    return Names(patterns[backend])


def _authenticator(name: str, settings: Settings, parts: Parts) -> Authenticator:
    if name == "store":
        return StoreAuthenticator(parts.credentials, parts.keyring, parts.last_used, parts.now, parts.took)
    if name == "pam":
        return _external(Source.PAM, settings.pam, _pam(settings.pam, parts), settings, parts)
    return _external(Source.LDAP, settings.ldap, _ldap(settings.ldap, parts), settings, parts)


def _external(
    source: Source,
    section: PamSettings | LdapSettings,
    password_check: PasswordCheck,
    settings: Settings,
    parts: Parts,
) -> ExternalAuthenticator:
    maker = _maker(source, section, settings, parts) if section.account else None
    return ExternalAuthenticator(
        source,
        password_check,
        parts.credentials,
        parts.last_used,
        parts.now,
        breaker=Breaker(source.value, section.breaker_faults, section.breaker_seconds, time.monotonic),
        granted=GrantedLogins(section.cache_seconds, time.monotonic),
        maker=maker,
        fold_case=section.fold_case,
        slowest=parts.slowest.get(source.value),
    )


def _maker(source: Source, section: PamSettings | LdapSettings, settings: Settings, parts: Parts) -> Maker:
    from gatepost_sasl.backends.maker import OrderingMaker  # noqa: PLC0415 - the store's users need none

    return OrderingMaker(settings.events.listen, source, _template(section), parts.credentials)


def _template(section: PamSettings | LdapSettings) -> Template:
    return Template(
        section.account,
        section.features,
        section.senders,
        section.networks,
        section.group_features if isinstance(section, LdapSettings) else (),
    )


def _check_pam(section: PamSettings) -> None:
    from gatepost_sasl.backends.pam import service_file  # noqa: PLC0415 - see above

    if service_file(section.service) is None:
        raise SettingsError(
            f"pam.service = {section.service!r}: there is no file /etc/pam.d/{section.service}"
        )
    try:
        template = _template(section)
    except TemplateError as error:
        raise SettingsError(f"[pam]: {error}") from error
    if template.attributes:
        raise SettingsError("pam.senders: PAM knows no attributes; only {user} may stand there")
    if os.geteuid() != 0 and not os.access("/etc/shadow", os.R_OK):
        log.warning("pam: /etc/shadow cannot be read; pam_unix will refuse everybody")


def _pam(section: PamSettings, parts: Parts) -> PasswordCheck:
    from gatepost_sasl.backends.pam import PamCheck  # noqa: PLC0415 - see above

    return PamCheck(
        section.service, section.deadline, section.threads, lambda change: parts.stuck("pam", change)
    )


def _check_ldap(section: LdapSettings) -> None:
    from gatepost_sasl.backends.build_ldap import problems  # noqa: PLC0415 - see above

    found = list(problems(section))
    try:
        _template(section)
    except TemplateError as error:
        found.append(f"[ldap]: {error}")
    if found:
        raise SettingsError("\n".join(found))


def _ldap(section: LdapSettings, parts: Parts) -> PasswordCheck:
    from gatepost_sasl.backends.build_ldap import password_check  # noqa: PLC0415 - see above

    attributes = _template(section).attributes
    return password_check(section, attributes, lambda change: parts.stuck("ldap", change))
