"""The Postfix of this host as it is now, before it is told anything: what speaks against it.

Read from its files and from postconf(1). ``Concern`` is a value; the command refuses or warns by it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatepost_core.postfix import Parameter, Service, inbound, shared
from gatepost_core.postfix.cf_carry import FILES, Carrier, CarryError, Ran, check_listeners
from gatepost_core.postfix.cf_files import ConfigFile
from gatepost_core.postfix.cf_plan import MADE_WITH_HOST, ConflictError, made_with_host
from gatepost_core.settings import Settings

KEPT = Path("/var/lib/gatepost-deploy")
BY_HAND = "by-hand.json"
_ROLE = "postfix.json"
_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Concern:
    """What speaks against it, and what to do; ``refuses`` says that nothing is done without --force."""

    text: str
    refuses: bool = True


def carrier(settings: Settings, kept: Path) -> Carrier:
    """Return what reads and writes the files of the Postfix that the settings name."""
    return Carrier(settings.postfix.config_directory, kept / BY_HAND, run=run, write=replace)


def concerns(
    settings: Settings, carry: Carrier, main: list[Parameter], master: list[Service]
) -> list[Concern]:
    """Return what speaks against telling this Postfix; nothing where there is none to be asked."""
    found = [*_certificate(settings)]
    try:
        files = carry.read()
        return [*found, *_role(carry), *_files(carry, files, main, master), *_asked(settings, carry, files)]
    except CarryError as error:
        return [*found, Concern(f"this host's Postfix could not be looked at: {error}", refuses=False)]


def told_of_host(settings: Settings, directory: Path | None = None) -> str | None:
    """Return what to tell of a Postfix made with scope ``host`` when another is in force, and None else."""
    file = (directory or settings.postfix.config_directory) / FILES["main"]
    try:
        text = file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    if settings.postfix.scope == "host" or not made_with_host(ConfigFile.parse("main", text)):
        return None
    return f"{file}: {MADE_WITH_HOST}."


def run(words: list[str]) -> Ran:
    """Run one of Postfix's programs. Raises CarryError when there is none."""
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment
        )
    except FileNotFoundError as error:
        raise CarryError(f"{words[0]} was not found; install Postfix first") from error
    except subprocess.TimeoutExpired as error:
        raise CarryError(f"{words[0]} did not end within {_SECONDS} s") from error
    return done.returncode, done.stdout, done.stderr


def replace(path: Path, text: str) -> None:
    """Put a text in a file's place at once, with its owner and mode; a link keeps leading there."""
    path = path.resolve()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        there = path.stat()
        shutil.copymode(path, name)
        os.chown(name, there.st_uid, there.st_gid)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def rows(main: list[Parameter], master: list[Service]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return parameters and services as a plan takes them."""
    return (
        [{"name": one.name, "value": one.value, "match": one.match} for one in main],
        [{"name": one.name, "type": one.type, "entry": one.entry} for one in master],
    )


def _certificate(settings: Settings) -> Iterator[Concern]:
    postfix = settings.postfix
    for name in ("tls_certificate_file", "tls_key_file"):
        file: Path = getattr(postfix, name)
        if not file.exists():
            yield Concern(
                f"{file} does not exist: without a certificate no client can log in. Put it there, or name "
                f"the file in postfix.{name}"
            )


def _role(carry: Carrier) -> Iterator[Concern]:
    """Yield what speaks against two who are in charge: the role would take back what it does not know."""
    if carry.state_file.with_name(_ROLE).exists():
        yield Concern(
            "the Ansible role postfix is in charge of this Postfix; change its variables, run the play"
        )


def _files(
    carry: Carrier, files: dict[str, str], main: list[Parameter], master: list[Service]
) -> Iterator[Concern]:
    plan = carry.plan(files)
    parameters, services = rows(main, master)
    try:
        check_listeners(plan, services)
        plan.apply(parameters, services, carry.default)
    except ConflictError as conflict:
        yield Concern(f"{conflict}. Name other ports in postfix.ports, or remove what is there")


def _asked(settings: Settings, carry: Carrier, files: dict[str, str]) -> Iterator[Concern]:
    where = str(carry.directory)
    for one in shared.looked(_values(["postconf", "-c", where, "-x", *shared.names()])):
        if one.stops:
            yield Concern(f"{one.name} = {one.value}: {one.effect}", refuses=False)
    if settings.postfix.scope == "ports" or made_with_host(ConfigFile.parse("main", files["main.cf"])):
        return
    values = _values(["postconf", "-c", where, "-x", *inbound.NAMES])
    named = _values(["postconf", "-c", where, "-nx"])
    _, services, _ = run(["postconf", "-c", where, "-M"])
    found = inbound.other_work(values, named, services.splitlines())
    if found:
        yield Concern(
            f"scope 'host' would end what this Postfix does: it {'; it '.join(found)}. All mail that comes "
            "in without a login would get 530. Leave postfix.scope at 'ports'"
        )
    elif names := inbound.own_names(values):
        yield Concern(f"mail that comes in for {', '.join(names)} will get 530, for root too", refuses=False)


def _values(words: list[str]) -> dict[str, str]:
    status, out, said = run(words)
    if status:
        raise CarryError(said.strip())
    return {
        name.strip(): value.strip() for name, _, value in (row.partition("=") for row in out.splitlines())
    }
