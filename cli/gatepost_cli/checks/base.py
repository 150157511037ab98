"""What checks are given, and what they find."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gatepost_cli.owned import OwnedStore
from gatepost_cli.session import owned
from gatepost_core.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

_T = TypeVar("_T")
Status = Literal["good", "note", "fault"]
_SECONDS = 30


class UnreadableError(OSError):
    """Postfix's configuration cannot be read."""


@dataclass(frozen=True, slots=True)
class Context:
    """The settings in force, Postfix's configuration directory, the time (UTC).

    ``resolver`` is the DNS server to ask, address and port; None is this host's.
    """

    settings: Settings
    postfix_directory: Path
    now: datetime
    resolver: tuple[str, int] | None = None
    _once: dict[object, Any] = field(default_factory=dict[object, Any], repr=False)

    @property
    def hostname(self) -> str:
        """The gateway's public name, in lower case: ``postfix.hostname``, or else Postfix's own."""
        name = self.settings.postfix.hostname or self.postconf("-xh", "myhostname").strip()
        return name.rstrip(".").lower()

    @property
    def store(self) -> OwnedStore:
        """The store, worked with as its owner."""
        return self.once("store", lambda: owned(self.settings))

    @contextmanager
    def directory(self, *, write: bool = False) -> Iterator[Connection]:
        """Open the database of accounts, credentials and domains. Raises StoreUnavailable."""
        with self.store.directory(write=write) as connection:
            yield connection

    @contextmanager
    def journal(self) -> Iterator[Connection]:
        """Open the database of messages. Raises StoreUnavailable."""
        with self.store.journal() as connection:
            yield connection

    def postconf(self, *words: str) -> str:
        """Return what postconf(1) says, asked once a run. Raises UnreadableError, with its words."""
        return self.once(words, lambda: self._postconf(words))

    def _postconf(self, words: tuple[str, ...]) -> str:
        done = self.postfix("postconf", *words)
        if done.returncode:
            said = done.stderr.strip().removeprefix("/usr/sbin/").removeprefix("postconf: ")
            raise UnreadableError(said.removeprefix("fatal: "))
        return done.stdout

    def once(self, key: object, look: Callable[[], _T]) -> _T:
        """Return what ``look`` finds, and the same to every check of this run that asks by that key."""
        if key not in self._once:
            self._once[key] = look()
        found: _T = self._once[key]
        return found

    def parameters(self, *words: str) -> dict[str, str]:
        """Return the lines of postconf(1) as name and value. Raises OSError."""
        lines = self.postconf(*words).splitlines()
        return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}

    def postfix(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of Postfix's commands with the configuration directory. Raises OSError."""
        command = [f"/usr/sbin/{program}", "-c", str(self.postfix_directory), *words]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise OSError(f"{program} did not end within {_SECONDS} s") from error


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and found there; for what is not good, what was expected and what to do.

    A ``note`` is no fault: another value than ours where others may be right too.
    """

    looked_at: str
    status: Status
    found: str
    expected: str = ""
    advice: str = ""

    def data(self, check: str) -> dict[str, str]:
        """Return it as plain data, under the name of its check."""
        return {"check": check, **asdict(self)}


def good(looked_at: str, found: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(looked_at, "good", found)


def note(looked_at: str, found: str, expected: str, advice: str) -> Finding:
    """Return a finding that is worth a look, and may be right."""
    return Finding(looked_at, "note", found, expected, advice)


def fault(looked_at: str, found: str, expected: str, advice: str) -> Finding:
    """Return a finding that something has to be mended."""
    return Finding(looked_at, "fault", found, expected, advice)
