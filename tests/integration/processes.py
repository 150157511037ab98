"""What the kernel says of processes' memory (proc(5)): proportional and peak resident sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path


def pss(pid: int) -> int:
    """Return a process's proportional set size in bytes."""
    return _kilobytes(f"/proc/{pid}/smaps_rollup", "Pss") * 1024


def all_pss(pids: Iterable[int]) -> Mapping[int, int]:
    """Return the proportional set size of each process in bytes."""
    return {pid: pss(pid) for pid in pids}


def peak(pid: int) -> int:
    """Return a process's peak resident size since ``reset_peak`` in bytes."""
    return _kilobytes(f"/proc/{pid}/status", "VmHWM") * 1024


def resident(pid: int) -> int:
    """Return a process's resident size in bytes."""
    return _kilobytes(f"/proc/{pid}/status", "VmRSS") * 1024


def reset_peak(pid: int) -> None:
    """Have ``peak`` count from now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _kilobytes(file: str, name: str) -> int:
    found = re.search(rf"(?m)^{name}:\s+(\d+) kB", Path(file).read_text())
    assert found, f"{file} has no {name}"
    return int(found[1])
