"""Messages to the service manager, as sd_notify(3) defines them.

Datagrams to the UNIX socket that NOTIFY_SOCKET names (a leading ``@`` means the abstract
namespace). Without that variable nothing is sent; a message that cannot be sent is dropped,
because mail goes on whether or not anybody watches.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(*assignments: str) -> bool:
    """Send ``NAME=value`` assignments as one message; say whether somebody took it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    name = "\0" + address[1:] if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.sendto("\n".join(assignments).encode(), name)
        return True
    return False


def ready() -> bool:
    """Tell that start-up is done."""
    return notify("READY=1", f"MAINPID={os.getpid()}")


def stopping() -> bool:
    """Tell that the daemon has begun to stop."""
    return notify("STOPPING=1")


def watchdog() -> bool:
    """Tell that the daemon is alive (``WatchdogSec=`` of the unit)."""
    return notify("WATCHDOG=1")


def watchdog_interval() -> float | None:
    """Return the seconds between two watchdog messages, half of what the manager allows, or None.

    WATCHDOG_USEC holds microseconds; WATCHDOG_PID, when set, must be this process
    (sd_watchdog_enabled(3)).
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 2_000_000
