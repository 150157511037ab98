"""Postfix's parameters, asked of postconf(1), against those that ``gatepost postfix-settings`` prints."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_core.postfix import Parameter, Service, main_cf, master_cf
from gatepost_core.store import StoreUnavailable, domains
from gatepost_core.store.engine import faults, open_engine

# Others than ours may be right: limits and times of an operator's own choice.
_OWN_CHOICE = {
    "compatibility_level",
    "mailbox_size_limit",
    "milter_command_timeout",
    "milter_connect_timeout",
    "milter_content_timeout",
    "myhostname",
    "smtpd_client_auth_rate_limit",
    "smtpd_tls_loglevel",
    "virtual_mailbox_limit",
}
_SEPARATORS = re.compile(r"[,\s]+")
_ADVICE = "run the command that 'gatepost postfix-settings --format postconf' prints, then 'postfix reload'"


def postfix_main_cf(context: Context) -> Iterator[Finding]:
    """Compare main.cf, parameter by parameter; one finding for all that are as they should be."""
    wanted = main_cf(context.settings, _bounce_domains(context))
    found = _settings(context.postfix_config, "-n")
    found |= _settings(context.postfix_config, *(one.name for one in wanted if one.name not in found))
    same = 0
    for parameter in wanted:
        value = found.get(parameter.name)
        if value is not None and _alike(parameter, value):
            same += 1
        else:
            yield _differs(f"main.cf, {parameter.name}", parameter, value)
    yield good("main.cf", f"{same} of {len(wanted)} parameters are as they should be")


def postfix_master_cf(context: Context) -> Iterator[Finding]:
    """Compare each port's smtpd(8) in master.cf."""
    options: dict[str, dict[str, str]] = {
        " ".join(line.split()[:2]).replace(" ", "/"): {}
        for line in _postconf(context.postfix_config, "-M").splitlines()
        if line.split()[7:8] in (["smtpd"], ["cleanup"])
    }
    for name, value in _settings(context.postfix_config, "-P").items():
        entry, _, option = name.rpartition("/")
        if entry in options:
            options[entry][option] = value
    for service in master_cf(context.settings):
        yield from _service(service, options)


def _service(service: Service, options: dict[str, dict[str, str]]) -> Iterator[Finding]:
    """Compare a service under its own name, or else find one that does the same under another."""
    where = f"master.cf, {service.name}"
    own = options.get(f"{service.name}/{service.type}")
    if own is None:
        same = [
            name for name, found in options.items() if service.role != "cleanup" and _fits(service, found)
        ]
        if same:
            yield good(where, f"served by {same[0]}")
        else:
            yield fault(where, "missing", service.entry.replace("\n", " "), _ADVICE)
        return
    wrong = [option for option in service.options if not _alike(option, own.get(option.name, ""))]
    for option in wrong:
        yield _differs(f"{where}, {option.name}", option, own.get(option.name))
    if not wrong:
        yield good(where, "as it should be")


def _fits(service: Service, found: dict[str, str]) -> bool:
    return set(found) == {option.name for option in service.options} and all(
        _alike(option, found[option.name]) for option in service.options
    )


def _differs(where: str, parameter: Parameter, value: str | None) -> Finding:
    found = "not set" if value is None else f"{parameter.name} = {value}".rstrip()
    if parameter.name in _OWN_CHOICE and value is not None:
        return Finding(where, "note", found, parameter.line, f"ours is for this: {parameter.reason}")
    return fault(where, found, parameter.line, f"{_ADVICE}. {parameter.reason}")


def _alike(parameter: Parameter, value: str) -> bool:
    """Compare as Postfix reads lists; one that others are in charge of too may hold more than ours."""
    wanted, found = (_SEPARATORS.sub(" ", text).strip() for text in (parameter.value, value))
    if parameter.match == "include":
        return set(wanted.split()) <= set(found.split())
    return wanted == found


def _bounce_domains(context: Context) -> list[str]:
    url = context.settings.store.url
    engine = open_engine(url, reading=True)
    try:
        with faults(url), engine.connect() as connection:
            return domains.bounce_domains(connection)
    except StoreUnavailable:  # the store's own check says so
        return []
    finally:
        engine.dispose()


def _settings(directory: Path | None, *words: str) -> dict[str, str]:
    lines = _postconf(directory, *words).splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


@lru_cache(maxsize=8)
def _postconf(directory: Path | None, *words: str) -> str:
    """Run postconf(1). Raises OSError when it cannot, with its own words."""
    where = ["-c", str(directory)] if directory else []
    command = ["/usr/sbin/postconf", *where, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise OSError(done.stderr.strip().removeprefix("postconf: "))
    return done.stdout
