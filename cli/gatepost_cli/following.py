"""Printing events as they are committed, until whoever reads them has enough.

Each is read by its node and number (``store.events.following``), so none is left out, whenever it is
committed, and none comes twice but a failure whose class becomes known later. The store is opened anew for
each look: one that was restored meanwhile, or is away for a while, is read on when it is there.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterable
from dataclasses import replace
from types import FrameType

from gatepost_cli.event_view import account_names, data_of, row_of
from gatepost_cli.output import emit_lines, remark
from gatepost_cli.session import CliSession
from gatepost_core.store import StoreUnavailable, events, messages
from gatepost_core.store.events import Event, Wanted

_LOOK_MILLISECONDS = 250


def follow(session: CliSession, wanted: Wanted, limit: int) -> None:
    """Print the newest events, at most ``limit``, oldest first, then all that come. Returns at Ctrl-C.

    It returns as well when standard output is closed by whoever read it. Raises NotFound, StoreUnavailable.
    """
    over = _Over()
    try:
        wanted, seen, known = _begin(session, wanted, limit)
        printer = _Printer(session)
        printer.show(known)
        _go_on(session, wanted, seen, printer, over)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # Python flushes once more as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _begin(session: CliSession, wanted: Wanted, limit: int) -> tuple[Wanted, dict[str, int], list[Event]]:
    """Return what to follow from where, and what there is before that."""
    with session.journal() as connection:
        if wanted.message:
            wanted = replace(wanted, message=messages.get(connection, wanted.message).id)
        seen = events.newest(connection)
        known = [
            one
            for one in events.walk(connection, wanted, limit)
            if one.sequence <= seen.get(one.node, 0)  # others have come meanwhile, and will follow
        ]
    return wanted, seen, known[::-1]


def _go_on(session: CliSession, wanted: Wanted, seen: dict[str, int], printer: _Printer, over: _Over) -> None:
    fault = ""
    while _read_on() and not over.told:
        try:
            while True:
                with session.journal() as connection:
                    found, after = events.following(connection, seen, wanted)
                printer.show(found)
                if after == seen:
                    break
                seen = after
            fault = ""
        except StoreUnavailable as error:
            if not fault:
                remark(session, f"{error}; going on when it can be read again")
            fault = str(error)


class _Over:
    """Told by Ctrl-C, which does not interrupt what is being read or printed; a second one does."""

    def __init__(self) -> None:
        self.told = False
        signal.signal(signal.SIGINT, self._tell)

    def _tell(self, _number: int, _frame: FrameType | None) -> None:
        self.told = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Printer:
    """Prints events with the names of their accounts, which are looked up when one is new."""

    def __init__(self, session: CliSession) -> None:
        self._session = session
        self._accounts: dict[int, str | None] = {}

    def show(self, found: Iterable[Event]) -> None:
        """Print events. Raises StoreUnavailable before anything is printed."""
        found = list(found)
        if any(one.account_id not in self._accounts for one in found):
            removed = dict.fromkeys(one.account_id for one in found)
            self._accounts = {**removed, **account_names(self._session)}
        emit_lines(self._session, found, lambda one: data_of(one, self._accounts), row_of)


def _read_on() -> bool:
    """Wait for the next look; False when nobody reads standard output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return not any(told & (select.POLLERR | select.POLLHUP) for _, told in poll.poll(_LOOK_MILLISECONDS))
