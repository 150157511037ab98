"""Which names an account may register: sender domain, click domain and bounce domain. Pure.

A click or bounce domain is its account's alone: it lies in no other account's sender domain, and neither is,
covers nor lies below another's click or bounce domain, unless an own sender domain stands between. A sender
domain may lie above or below another account's (the longest registration wins), but not where it would take
a click or bounce domain along. Public suffixes belong to nobody. A grant lifts what stands between accounts.
"""

from __future__ import annotations

import functools
import importlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gatepost_core.domain.model import Claim, Grant, SenderDomain
from gatepost_core.domain.walls import covering


class _Host(NamedTuple):
    """A click or bounce domain, by the registration that names it."""

    what: str
    name: str
    domain: SenderDomain

    def __str__(self) -> str:
        domain = self.domain
        return f"the {self.what} {self.name} of {domain.name}, which account {domain.account} registered"


class Registry:
    """What is registered; says what a registration clashes with. ``domains`` need not have their keys."""

    def __init__(self, domains: Iterable[SenderDomain]) -> None:
        self._names: dict[str, SenderDomain] = {}
        self._hosts: defaultdict[str, list[_Host]] = defaultdict(list)
        self._below: defaultdict[str, list[_Host]] = defaultdict(list)
        for domain in domains:
            self._names[domain.name] = domain
            for host in _hosts(domain):
                self._hosts[host.name].append(host)
                for name in covering(host.name):
                    self._below[name].append(host)

    def clashes(self, domain: SenderDomain) -> list[str]:
        """Return in words what other accounts' names stand against a registration; it may be among them."""
        hosts = _hosts(domain)
        found = [text for host in hosts for text in self._inside(host, domain)]
        for what, name in (("sender domain", domain.name), *((host.what, host.name) for host in hosts)):
            found += self._against(what, name, domain)
        return list(dict.fromkeys(found))

    def _inside(self, host: _Host, domain: SenderDomain) -> Iterator[str]:
        """Yield whose sender domain a click or bounce domain lies in, if the account may not use that."""
        holder = self._holder(host.name, domain)
        if holder is not None and not holder.usable_by(domain.account_id):
            yield (
                f"{host.what} {host.name} lies in {holder.name}, which account {holder.account} registered"
            )

    def _against(self, what: str, name: str, domain: SenderDomain) -> Iterator[str]:
        for above in covering(name):
            for host in self._hosts.get(above, ()):
                if not host.domain.usable_by(domain.account_id):
                    yield f"{what} {name} {'is' if above == name else 'lies below'} {host}"
        for host in self._below.get(name, ()):
            other = host.domain.account_id
            if other == domain.account_id or host.name == name or domain.usable_by(other):
                continue
            holder = self._holder(host.name, domain)
            if holder is None or holder.account_id != other or len(holder.name) <= len(name):
                yield f"{what} {name} covers {host}"

    def _holder(self, name: str, domain: SenderDomain) -> SenderDomain | None:
        """Return the longest sender domain that covers a name, ``domain`` itself among them."""
        for above in covering(name):
            if above == domain.name:
                return domain
            if above in self._names:
                return self._names[above]
        return None


def claims_of(domains: Iterable[SenderDomain], grants: Mapping[str, Iterable[Grant]]) -> dict[str, Claim]:
    """Return all claims by their names, as the reader finds them; ``grants`` by the names granted."""
    owners: defaultdict[str, set[int]] = defaultdict(set)
    granted: defaultdict[str, set[int]] = defaultdict(set)
    for domain in domains:
        for name in (domain.name, domain.click_domain, domain.bounce_domain):
            owners[name].add(domain.account_id)
            granted[name].update(one.account_id for one in grants.get(domain.name, ()))
    for name, ones in grants.items():
        granted[name].update(one.account_id for one in ones)
    names = owners.keys() | granted.keys()
    return {name: Claim(name, frozenset(owners[name]), frozenset(granted[name])) for name in names}


def public_suffix(name: str) -> bool:
    """Say whether names below ``name`` belong to different people, by the Public Suffix List.

    Its private part too: whoever registered ``github.io`` here would hold a wall before all its users.
    """
    return bool(_suffixes().is_public(name))


@functools.cache
def _suffixes() -> Any:
    # 50 ms, and only registrations need it.
    return importlib.import_module("publicsuffixlist").PublicSuffixList()


def _hosts(domain: SenderDomain) -> list[_Host]:
    return [
        _Host("click domain", domain.click_domain, domain),
        _Host("bounce domain", domain.bounce_domain, domain),
    ]
