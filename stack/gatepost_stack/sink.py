"""The next hop of a private stack: an SMTP server that keeps every message in a Maildir.

One file a transaction, written under tmp/ and renamed into new/ before the client hears
250, so that no accepted message is lost. The file holds ``X-Sink-Sender`` and
``X-Sink-Recipients`` lines, then the message as it came over the wire, with CR LF turned
into LF. Announces 8BITMIME (RFC 6152) and SMTPUTF8 (RFC 6531), unless told not to. A message that cannot be
written is answered with 451, so that Postfix keeps it.

Run as ``python -m gatepost_stack.sink MAILDIR [return-to=PORT] [without-8bitmime]``, with a listening socket
handed over (sd_listen_fds(3)). With a port, what ``returns`` says goes back there.
"""

from __future__ import annotations

import asyncio
import os
import signal
import smtplib
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from gatepost_core.serving.listen import inherited
from gatepost_core.serving.notify import ready
from gatepost_stack.returns import Return, returned

WITHOUT_8BITMIME = "without-8bitmime"
RETURN = "return-to="
# SMTPUTF8 alone would do for Postfix: it includes 8BITMIME (RFC 6531 section 3.1).
_EIGHT_BIT = ("8BITMIME", "SMTPUTF8")
# Not the name of the Postfix that talks to it: Postfix takes that for a mail loop.
_HOSTNAME = "sink.invalid"
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Sink:
    """aiosmtpd's handler: stores what DATA brought."""

    def __init__(self, maildir: Path, hidden: tuple[str, ...] = (), port: int = 0) -> None:
        self._tmp, self._new = maildir / "tmp", maildir / "new"
        self._hidden = hidden
        self._port = port
        self._sending = ThreadPoolExecutor(4)
        self._numbers = count(1)

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Announce what is to be announced."""
        session.host_name = hostname
        return [line for line in responses if line[4:] not in self._hidden]

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store one message; 250 once its file is in place."""
        name = f"{time.time_ns():020d}.{os.getpid()}_{next(self._numbers)}.sink"
        try:
            # Written to the page cache, which a killed process does not take along.
            (self._tmp / name).write_bytes(stored(envelope))
            (self._tmp / name).rename(self._new / name)
        except OSError as error:
            print(f"sink: {name} cannot be written: {error}", file=sys.stderr, flush=True)
            return "451 4.3.0 Cannot be stored now"
        if self._port:
            self._send_back(envelope)
        return f"250 2.0.0 Stored as {name}"

    def _send_back(self, envelope: Envelope) -> None:
        """Send what goes back for each recipient, in a thread; Postfix hears its 250 meanwhile."""
        sender = (envelope.mail_from or "").removeprefix("<>")
        for recipient in envelope.rcpt_tos:
            mail = returned(sender, recipient, envelope.original_content or b"")
            if mail is not None:
                self._sending.submit(_post, self._port, mail)


def _post(port: int, mail: Return) -> None:
    """Send a message to a port on loopback. Why it is not taken stands in the log."""
    try:
        with smtplib.SMTP("127.0.0.1", port, _HOSTNAME, timeout=30) as client:
            client.sendmail(mail.sender, [mail.recipient], mail.content)
    except (OSError, smtplib.SMTPException) as error:
        print(f"sink: {mail.recipient} was sent nothing back: {error}", file=sys.stderr, flush=True)


def stored(envelope: Envelope) -> bytes:
    """Return the file's bytes for a transaction."""
    # aiosmtpd gives the null sender (RFC 5321 section 4.5.5) as it was sent, with its brackets.
    address = (envelope.mail_from or "").removeprefix("<>")
    sender = f"X-Sink-Sender: <{address}>\n"
    recipients = f"X-Sink-Recipients: {', '.join(envelope.rcpt_tos)}\n"
    content = envelope.original_content or b""
    head = (sender + recipients).encode("utf-8", errors="surrogateescape")
    return head + content.replace(b"\r\n", b"\n")


def split(data: bytes) -> tuple[str, tuple[str, ...], bytes]:
    """Return sender, recipients and message of a stored file. Raises ValueError for another file."""
    sender, recipients, message = data.split(b"\n", 2)
    if not sender.startswith(b"X-Sink-Sender: <") or not recipients.startswith(b"X-Sink-Recipients: "):
        raise ValueError("not a file of the sink")
    addresses = recipients.partition(b": ")[2].decode("utf-8", errors="surrogateescape")
    return sender[16:-1].decode("utf-8", errors="surrogateescape"), tuple(addresses.split(", ")), message


class _Session(SMTP):
    """One session with Postfix; the length of lines is Postfix's business, not the sink's."""

    line_length_limit = 2**20


def _session(sink: Sink) -> SMTP:
    # What is too large is Postfix's to say: it would have to bounce what it took.
    return _Session(
        sink, hostname=_HOSTNAME, ident="sink", enable_SMTPUTF8=True, timeout=600, data_size_limit=None
    )


async def serve(maildir: Path, listener: socket.socket, hidden: tuple[str, ...] = (), port: int = 0) -> None:
    """Accept messages on ``listener`` until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    sink = Sink(maildir, hidden, port)
    server = await loop.create_server(lambda: _session(sink), sock=listener)
    ready()
    await stopped.wait()
    # A second one would find the loop half closed, and asyncio's pipe for signals gone.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    server.close()


def main() -> None:
    """Serve the Maildir that the command line names."""
    handed_over = inherited()
    options = [one for one in sys.argv[2:] if not one.startswith(RETURN)]
    ports = [one.removeprefix(RETURN) for one in sys.argv[2:] if one.startswith(RETURN)]
    if len(sys.argv) < 2 or options not in ([], [WITHOUT_8BITMIME]) or len(handed_over) != 1:
        usage = f"python -m gatepost_stack.sink MAILDIR [{RETURN}PORT] [{WITHOUT_8BITMIME}]"
        sys.exit(f"usage: {usage}, with a listening socket handed over")
    port = int(ports[0]) if ports else 0
    asyncio.run(serve(Path(sys.argv[1]), handed_over[0], _EIGHT_BIT if options else (), port))


if __name__ == "__main__":
    main()
