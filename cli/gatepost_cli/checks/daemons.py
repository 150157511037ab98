"""The daemons: the table of them, and how systemd sees each: started, not failed, of the release in use.

A new daemon is a row: its programs, unit and socket are looked at by that. Where systemd does not run, the
answers of the sockets have to do.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from struct import pack

from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_core.domain.orders import Answer, Ping, Result, write_answer, write_order
from gatepost_core.settings import Settings

_CURRENT = Path("/opt/gatepost/current")
_RUNNING = Path("/run/systemd/system")  # sd_booted(3)
_SECONDS = 20
_RESTARTS = 3
_ASK = b"GET /ask?domain=doctor.invalid HTTP/1.1\r\nHost: doctor.invalid\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon by the name of its settings' section, and what to say to it: something that decides nothing.

    Its answer has ``begin`` after ``skip`` bytes, and is whole once it has that and closes with ``end``;
    ``bye`` is said last. ``of_postfix``: whether Postfix connects to it.
    """

    name: str
    ask: bytes
    begin: bytes
    end: bytes = b""
    skip: int = 0
    bye: bytes = b""
    of_postfix: bool = True

    def listen(self, settings: Settings) -> str:
        """Return the address of its socket, as the settings have it."""
        found: str = getattr(settings, self.name).listen
        return found

    def says(self, settings: Settings) -> bytes:
        """Return what is said to it, as a proxy in front says it where the settings want that."""
        proxied = self.name == "tracker" and settings.tracker.proxy_protocol
        return b"PROXY UNKNOWN\r\n" + self.ask if proxied else self.ask


DAEMONS = (
    Daemon("events", write_order(Ping()), write_answer(Answer(Result.HERE)), of_postfix=False),
    # As an smtpd does (Dovecot authentication protocol).
    Daemon("sasl", b"VERSION\t1\t0\nCPID\t1\n", b"VERSION\t1\t", b"DONE\n"),
    Daemon("hold", b"ping\n", b"done\n", of_postfix=False),
    Daemon("policy", b"request=smtpd_access_policy\nprotocol_state=CONNECT\n\n", b"action=DUNNO\n\n"),
    # sendmail's libmilter/mfdef.h: SMFIC_OPTNEG with protocol version 6, all actions, no steps; SMFIC_QUIT.
    Daemon("milter", pack(">IcIII", 13, b"O", 6, 0x1FF, 0), begin=b"O", skip=4, bye=pack(">Ic", 1, b"Q")),
    # Of the tracker, what web servers ask before they get a certificate; no name has that top-level domain.
    Daemon("tracker", _ASK, b"HTTP/1.1 404", b"\r\n\r\n", of_postfix=False),
    Daemon("dashboard", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 ", b"\r\n\r\n", of_postfix=False),
    Daemon("bounces", b"", b"220 ", b"\n"),  # LMTP (RFC 2033): it greets first
)


def daemons(context: Context) -> Iterator[Finding]:
    """Ask systemd about each daemon's service and socket."""
    if not _RUNNING.exists():
        yield good("systemd", "does not run here: what the sockets answer has to do")
        return
    switched = _CURRENT.lstat().st_mtime if _CURRENT.is_symlink() else 0.0
    for one in filter(lambda one: one.listen(context.settings), DAEMONS):
        yield service(one.name, _properties(f"gatepost-{one.name}.service"), switched)


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
        return fault(unit, f"{state}, not started at boot", "enabled", f"run 'systemctl enable {unit}'")
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
