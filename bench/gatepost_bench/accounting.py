"""CPU time of process trees, from the kernel's own accounting (proc(5), /proc/PID/stat).

A tree is a root process, all that live below it, and what they reaped: a parent's
``cutime`` and ``cstime`` hold the time of children that have ended.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(roots: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds (user and system) that each named tree has used so far."""
    parents, own = _processes()
    children = defaultdict(list)
    for pid, parent in parents.items():
        children[parent].append(pid)
    return {name: _sum(root, children, own) for name, root in roots.items()}


def memory_bytes(root: int) -> int:
    """Return the proportional set size (PSS) of a tree, in bytes."""
    parents, _ = _processes()
    children = defaultdict(list)
    for pid, parent in parents.items():
        children[parent].append(pid)
    return sum(_pss(pid) for pid in _tree(root, children))


def _tree(root: int, children: Mapping[int, list[int]]) -> list[int]:
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, ()))
    return found


def _sum(root: int, children: Mapping[int, list[int]], own: Mapping[int, float]) -> float:
    return sum(own.get(pid, 0.0) for pid in _tree(root, children))


def _processes() -> tuple[dict[int, int], dict[int, float]]:
    parents: dict[int, int] = {}
    own: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            # A process may end between the listing and the reading of it.
            with suppress(OSError, IndexError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                pid = int(entry.name)
                parents[pid] = int(fields[1])
                own[pid] = sum(int(field) for field in fields[11:15]) / _TICKS
    return parents, own


def _pss(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
