"""LMTP (RFC 2033) for Postfix, by aiosmtpd: an event loop a worker, threads for what blocks.

One recipient a transaction: Postfix's transport sees to that, and aiosmtpd answers DATA once, where RFC 2033
wants an answer for each. On drain nobody new is let in, and what is being taken is answered; sessions that
wait end with the worker, and Postfix comes again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from gatepost_bounces.intake import Intake, Mailbox, Taken
from gatepost_bounces.keeping import Kept
from gatepost_bounces.records import Records
from gatepost_bounces.report import Reporter
from gatepost_core.domain import StoreUnavailable, utc_now
from gatepost_core.serving import log
from gatepost_core.serving.prefork import WorkerContext
from gatepost_core.spool import SpoolError

_THREADS: Final = 4
_IDLE_SECONDS: Final = 600
_BACKLOG: Final = 1024
_LATER: Final = "451 4.3.0 Cannot be taken now; try again later"
_NOT_OURS: Final = "550 5.1.1 No address that was given out as an envelope sender"
_ONE: Final = "452 4.5.3 One recipient a transaction; the others in transactions of their own"


class Handler:
    """aiosmtpd's handler: asks the intake about recipients, and has it take messages."""

    def __init__(self, intake: Intake, kept: Kept, records: Records, report: Reporter) -> None:
        self._intake = intake
        self._kept = kept
        self._records = records
        self._report = report
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="intake")
        self._busy = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient that is ours."""
        if envelope.rcpt_tos:
            return _ONE
        try:
            mailbox = await self._threaded(self._intake.mailbox, address)
        except StoreUnavailable as error:
            self._report.failed(address, str(error))
            return _LATER
        if mailbox is None:
            self._report.refused(address)
            return _NOT_OURS
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Recipient taken"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a message; 250 once what it tells is on disk."""
        address = envelope.rcpt_tos[0]
        # aiosmtpd gives the null sender (RFC 5321 section 4.5.5) as it was sent, with its brackets.
        sender = (envelope.mail_from or "").removeprefix("<>")
        try:
            taken = await self._threaded(self._take, address, sender, envelope.original_content or b"")
        except (StoreUnavailable, SpoolError, OSError) as error:
            self._report.failed(address, str(error))
            return _LATER
        if taken is None:
            return _NOT_OURS
        self._report.took(address, taken)
        return "250 2.0.0 Taken"

    async def handle_exception(self, error: Exception) -> str:
        """Answer what nobody foresaw; Postfix keeps the message."""
        log.error("session failed", exc_info=error)
        return _LATER

    def _take(self, address: str, sender: str, raw: bytes) -> Taken | None:
        """Take a message. In a thread."""
        mailbox: Mailbox | None = self._intake.mailbox(address)
        if mailbox is None:  # the domain was removed since RCPT
            return None
        taken = self._intake.take(raw, mailbox, sender, utc_now())
        self._kept.keep(taken.file, raw, flush=bool(taken.unread))
        self._records(taken.events)
        return taken

    async def _threaded(self, act: Any, *arguments: object) -> Any:
        self._busy += 1
        self.idle.clear()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(act, *arguments))
        finally:
            self._busy -= 1
            if not self._busy:
                self.idle.set()


class _Session(LMTP):
    """One session with Postfix; the length of lines is Postfix's business."""

    line_length_limit = 2**20


def serve(listener: socket.socket, handler: Handler, context: WorkerContext, drain_seconds: float) -> None:
    """Serve on a socket shared with the other workers until ``context`` tells to drain."""
    # A line a command, and tracebacks, which handle_exception logs.
    logging.getLogger("mail.log").disabled = True
    asyncio.run(_serve(listener, handler, context, drain_seconds))


async def _serve(
    listener: socket.socket, handler: Handler, context: WorkerContext, drain_seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    drained = asyncio.Event()
    loop.add_reader(context.drain_fd, drained.set)
    listener.setblocking(False)
    server = await loop.create_server(lambda: _session(handler), sock=listener, backlog=_BACKLOG)
    while not drained.is_set():
        context.beat()
        try:
            await asyncio.wait_for(drained.wait(), context.beat_every)
        except TimeoutError:
            continue
    loop.remove_reader(context.drain_fd)
    server.close()
    try:
        await asyncio.wait_for(handler.idle.wait(), drain_seconds)
    except TimeoutError:
        log.warning("messages were still being taken; Postfix sends them again")


def _session(handler: Handler) -> SMTP:
    return _Session(
        handler, hostname="gatepost-bounces", ident="Gatepost", enable_SMTPUTF8=True, timeout=_IDLE_SECONDS,
        data_size_limit=None,
    )  # fmt: skip
