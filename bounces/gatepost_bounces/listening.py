"""LMTP (RFC 2033) for Postfix, by aiosmtpd: an event loop a worker, threads for what waits for the disk.

Addresses and messages are read in the loop's thread: what they take is bounded, and several threads that
compute only take Python's lock from each other (tried: a third of the rate). One recipient a transaction:
Postfix's transport sees to that, and aiosmtpd answers DATA once, where RFC 2033 wants an answer for each. On
drain nobody new is let in, and what is being taken is answered; sessions that wait end with the worker, and
Postfix comes again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import uvloop
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from gatepost_bounces.intake import Intake, Taken
from gatepost_bounces.keeping import Kept
from gatepost_bounces.records import Records
from gatepost_bounces.report import Reporter
from gatepost_core.domain import StoreUnavailable, utc_now
from gatepost_core.serving import log
from gatepost_core.serving.accepting import accept
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

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, lines: list[str]
    ) -> list[str]:
        """Offer PIPELINING (RFC 2920), which aiosmtpd can and does not say; all lines at once."""
        session.host_name = hostname
        return ["\r\n".join((lines[0], "250-PIPELINING", *lines[1:]))]

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient that is ours."""
        if envelope.rcpt_tos:
            return _ONE
        try:
            mailbox = self._intake.mailbox(address)
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
        raw = envelope.original_content or b""
        try:
            mailbox = self._intake.mailbox(address)
            if mailbox is None:  # the domain was removed since RCPT
                return _NOT_OURS
            taken = self._intake.take(raw, mailbox, sender, utc_now())
            await self._on_disk(taken, raw)
        except (StoreUnavailable, SpoolError, OSError) as error:
            self._report.failed(address, str(error))
            return _LATER
        self._report.took(address, taken)
        return "250 2.0.0 Taken"

    async def handle_exception(self, error: Exception) -> str:
        """Answer what nobody foresaw; Postfix keeps the message."""
        log.error("session failed", exc_info=error)
        return _LATER

    async def _on_disk(self, taken: Taken, raw: bytes) -> None:
        """Have a message and what it tells on disk. Raises SpoolError, OSError."""
        self._busy += 1
        self.idle.clear()
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._keep, taken, raw)
        finally:
            self._busy -= 1
            if not self._busy:
                self.idle.set()

    def _keep(self, taken: Taken, raw: bytes) -> None:
        self._kept.keep(taken.file, raw, flush=bool(taken.unread or taken.forwards))
        self._records(taken.events + taken.forwards)


class _Session(LMTP):
    """One session with Postfix; the length of lines and messages is Postfix's business."""

    line_length_limit = 2**20

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Take a message (RFC 5321 section 4.1.1.4) in few pieces; aiosmtpd's own takes it line by line."""
        assert self.envelope is not None  # noqa: S101 - there is one from the connection on
        if arg:
            await self.push("501 5.5.4 Syntax: DATA")
        elif not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 RCPT first")
        else:
            await self.push("354 End with <CR><LF>.<CR><LF>")
            self.envelope.original_content = await content(self._reader)
            status = await self.event_handler.handle_DATA(self, self.session, self.envelope)
            self.envelope = self._create_envelope()
            await self.push(status)


async def content(reader: asyncio.StreamReader) -> bytes:
    """Return a message up to its final dot, without the dots that were added (RFC 5321 section 4.5.2)."""
    pieces, tail = [], b"\r\n"
    while not tail.endswith(b"\r\n.\r\n"):
        try:
            piece = await reader.readuntil(b".\r\n")
        except asyncio.LimitOverrunError as error:
            piece = await reader.readexactly(error.consumed)
        pieces.append(piece)
        tail = (tail + piece)[-5:]
    return (b"\r\n" + b"".join(pieces))[:-3].replace(b"\r\n.", b"\r\n")[2:]


def serve(listener: socket.socket, handler: Handler, context: WorkerContext, drain_seconds: float) -> None:
    """Serve on a socket shared with the other workers until ``context`` tells to drain."""
    # A line a command, and tracebacks, which handle_exception logs.
    logging.getLogger("mail.log").disabled = True
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(listener, handler, context, drain_seconds))


async def _serve(
    listener: socket.socket, handler: Handler, context: WorkerContext, drain_seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    drained = asyncio.Event()
    loop.add_reader(context.drain_fd, drained.set)
    listener.setblocking(False)
    server = await accept(lambda: _session(handler), listener, _BACKLOG)
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
