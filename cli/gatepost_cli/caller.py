"""Who runs the command, for what is kept of changes."""

from __future__ import annotations

import os
import pwd
import syslog


def caller() -> str:
    """Return who runs the command, and on whose behalf by sudo(8)."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"user id {os.getuid()}"
    behalf = os.environ.get("SUDO_USER", "")
    return f"{name}, for {behalf[:64]}" if behalf and name == "root" else name


def noted(text: str) -> None:
    """Write to the system's log what was done."""
    syslog.openlog("gatepost", 0, syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, text)
