"""The daemons as systemd sees them: started, not failed, and of the release in use.

Where systemd does not run, the answers of the sockets have to do.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good, note

NAMES = ("events", "sasl", "policy", "milter", "bounces")
_CURRENT = Path("/opt/gatepost/current")
_RUNNING = Path("/run/systemd/system")  # sd_booted(3)
_SECONDS = 20
_RESTARTS = 3


def daemons(context: Context) -> Iterator[Finding]:
    """Ask systemd about each daemon's service and socket."""
    del context
    if not _RUNNING.exists():
        yield good("systemd", "does not run here: what the sockets answer has to do")
        return
    switched = _CURRENT.lstat().st_mtime if _CURRENT.is_symlink() else 0.0
    for name in NAMES:
        yield service(name, _properties(f"gatepost-{name}.service"), switched)


def service(name: str, found: Mapping[str, str], switched: float) -> Finding:
    """Judge a service by its properties (systemctl(1) show).

    ``switched`` is when the link to the release was set (seconds of the epoch; 0: there is none).
    """
    unit = f"gatepost-{name}.service"
    state = f"{found.get('ActiveState', '')} ({found.get('SubState', '')})"
    if found.get("LoadState") != "loaded":
        said = found.get("LoadState") or "unknown"
        return fault(unit, f"unit {said}", "a loaded unit", "install the units; see docs/systemd.md")
    if found.get("ActiveState") != "active":
        why = f", {found['Result']}" if found.get("Result") not in (None, "", "success") else ""
        advice = f"run 'systemctl start {unit}'; 'journalctl -u {unit}' says why it ended"
        return fault(unit, f"{state}{why}", "active (running)", advice)
    if found.get("UnitFileState") == "disabled":
        advice = f"run 'systemctl enable {unit}'"
        return fault(unit, f"{state}, not started at boot", "enabled", advice)
    started = found.get("ExecMainStartTimestamp", "").removeprefix("@")
    if started.isdecimal() and switched and int(started) + 1 < switched:
        advice = f"run 'systemctl restart {unit}'"
        return fault(unit, "runs since before the release was changed", "the release in use", advice)
    restarts = int(found.get("NRestarts") or 0)
    if restarts > _RESTARTS:
        advice = f"'journalctl -u {unit}' says why it ended"
        return note(unit, f"{state}, started again {restarts} times", "no restart by itself", advice)
    return good(unit, state)


def _properties(unit: str) -> dict[str, str]:
    names = "LoadState,ActiveState,SubState,Result,NRestarts,UnitFileState,ExecMainStartTimestamp"
    command = ["systemctl", "show", "--timestamp=unix", f"--property={names}", unit]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"systemctl did not end within {_SECONDS} s") from error
    if done.returncode:
        raise OSError(f"systemctl: {done.stderr.strip()}")
    lines = [line.partition("=") for line in done.stdout.splitlines()]
    return {name: value for name, _, value in lines}
