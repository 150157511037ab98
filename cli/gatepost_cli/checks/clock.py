"""The host's clock: expiries, DKIM signatures and tokens depend on it.

It may not be behind what was recorded before; whether the kernel takes it for synchronised (adjtimex(2))
is only noted, as some hosts, containers above all, leave that to others.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from datetime import timedelta

from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_core.domain import stamp
from gatepost_core.store import messages

_SLACK = timedelta(minutes=2)
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_SIZE = 512  # struct timex has 208 bytes on 64-bit machines


def clock(context: Context) -> Iterator[Finding]:
    """Hold the clock against the newest record, then ask the kernel."""
    with context.journal() as connection:
        newest = messages.recent(connection, limit=1)
    if newest and newest[0].created_at > context.now + _SLACK:
        yield fault(
            "clock",
            f"{stamp(context.now)}, and the newest message is of {stamp(newest[0].created_at)}",
            "a clock that does not go back",
            "set the clock, by a time service such as chrony or systemd-timesyncd",
        )
    elif not _synchronised():
        yield note(
            "clock",
            "the kernel does not take it for synchronised",
            "a time service",
            "install chrony or systemd-timesyncd, unless this host's clock is kept from outside",
        )
    else:
        yield good("clock", f"{stamp(context.now)}, synchronised")


def _synchronised() -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    asked = ctypes.create_string_buffer(_TIMEX_SIZE)  # modes = 0: nothing is set
    state: int = library.adjtimex(asked)
    if state < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return state != _TIME_ERROR
