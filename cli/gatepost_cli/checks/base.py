"""What checks are given, and what they find."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from gatepost_core.settings import Settings

Status = Literal["good", "note", "fault"]


@dataclass(frozen=True, slots=True)
class Context:
    """The settings in force, Postfix's configuration directory (None: its own default), the time (UTC)."""

    settings: Settings
    postfix_config: Path | None
    now: datetime


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


def fault(looked_at: str, found: str, expected: str, advice: str) -> Finding:
    """Return a finding that something has to be mended."""
    return Finding(looked_at, "fault", found, expected, advice)
