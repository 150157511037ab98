"""The table of docs/systemd.md: each daemon, its user, the keys that it reads and what it may write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_PAGE = Path(__file__).parents[1] / "docs" / "systemd.md"
_ROW = re.compile(r"(?m)^\| `gatepost-(\w+)` \| `([\w-]+)` \|([^|]*)\|([^|]*)\|$")
_NAME = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Row:
    """What one daemon may do; ``writes`` below /var/lib/gatepost."""

    user: str
    reads: frozenset[str]
    writes: frozenset[str]


def rows() -> dict[str, Row]:
    """Return the table, by daemon."""
    return {
        daemon: Row(user, frozenset(_NAME.findall(reads)), frozenset(_NAME.findall(writes)))
        for daemon, user, reads, writes in _ROW.findall(_PAGE.read_text(encoding="utf-8"))
    }


ROWS = rows()
