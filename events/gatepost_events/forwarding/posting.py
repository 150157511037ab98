"""Giving reports to Postfix: by SMTP to an smtpd(8) on a UNIX socket that takes only the null sender.

A unit with ``NoNewPrivileges=`` cannot use sendmail(1), whose postdrop(1) is setgid.
"""

from __future__ import annotations

import os
import re
import smtplib
import socket as socket_module
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from gatepost_events.forwarding.steps import Reply

_SECONDS: Final = 15.0
# For the answer to a whole message (RFC 5321 section 4.5.3.2.6): Postfix may have queued what we hang up on.
_ANSWER_SECONDS: Final = 600.0
_NAME: Final = "gatepost-events"
_DOT: Final = re.compile(rb"(?m)^\.")


class _Client(smtplib.LMTP):
    """SMTP over a UNIX socket: the library has that for LMTP."""

    ehlo_msg = "ehlo"


class Post:
    """Sessions with Postfix at ``socket``. For one thread, but for ``stop``."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._client: _Client | None = None
        self._stopped = threading.Event()

    def open(self) -> None:
        """Have a session. Raises OSError where nobody takes mail there."""
        if self._client is not None:
            return
        if self._stopped.is_set():
            raise OSError(f"{self._socket}: the daemon ends")
        client = _Client(local_hostname=_NAME)
        client.timeout = _SECONDS
        try:
            code, said = client.connect(str(self._socket))
            if code == 220:
                code, said = client.ehlo()
        except OSError as error:
            client.close()
            raise OSError(f"{self._socket}: {error}") from error
        if code not in (220, 250):
            client.close()
            raise OSError(f"{self._socket}: {code} {said.decode('utf-8', 'replace')}")
        self._client = client
        if self._stopped.is_set():
            self.close()
            raise OSError(f"{self._socket}: the daemon ends")

    def give(self, recipient: str, content: bytes) -> Reply:
        """Give a message from the null sender; return the answer that decided. ``open`` goes before."""
        assert self._client is not None  # noqa: S101 - see above
        try:
            reply = _given(self._client, recipient, content)
        except (OSError, ValueError) as error:
            self._client.close()
            self._client = None
            return Reply(0, f"{type(error).__name__}: {error}")
        if reply.unheard:
            self._client.close()
            self._client = None
        elif reply.code == 421:
            self.close()
        elif reply.code != 250:
            with suppress(OSError):
                self._client.rset()
        return reply

    def stop(self) -> None:
        """End the session at once, whatever is waited for, and have no other. From another thread."""
        self._stopped.set()
        client = self._client
        sock = None if client is None else client.sock
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket_module.SHUT_RDWR)

    def close(self) -> None:
        """End the session."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(OSError):
                client.quit()
            client.close()


def _given(client: smtplib.SMTP, recipient: str, content: bytes) -> Reply:
    """Return the first answer that is no yes, or that to the whole message. Raises OSError."""
    options = [f"SIZE={len(content)}"]
    if client.has_extn("8bitmime"):
        options.append("BODY=8BITMIME")
    if not recipient.isascii():
        options.append("SMTPUTF8")
        client.command_encoding = "utf-8"
    # Nothing is ever told of a report that cannot be delivered (RFC 3461 section 4.1).
    quiet = " NOTIFY=NEVER" if client.has_extn("dsn") else ""
    for command in (f"MAIL FROM:<> {' '.join(options)}", f"RCPT TO:<{recipient}>{quiet}"):
        code, said = client.docmd(command)
        if code != 250:
            return Reply(code, said.decode("utf-8", "replace"))
    code, said = client.docmd("DATA")
    if code != 354:
        return Reply(code, said.decode("utf-8", "replace"))
    # RFC 5321 section 4.5.2: a line's first dot is doubled.
    client.send(b"\r\n".join((_DOT.sub(b"..", content.removesuffix(b"\r\n")), b".", b"")))
    if client.sock is not None:
        client.sock.settimeout(_ANSWER_SECONDS)
    try:
        code, said = client.getreply()
    except (OSError, ValueError) as error:
        return Reply(0, f"{type(error).__name__}: {error}", unheard=True)
    if client.sock is not None:
        client.sock.settimeout(_SECONDS)
    return Reply(code, said.decode("utf-8", "replace"))


def read(folder: Path, name: str, most: int) -> bytes | None:
    """Return the beginning of a kept report, so many bytes at the most; None where there is no such file.

    Others may write to that folder: no link is followed. Raises OSError.
    """
    if "/" in name or not name.endswith(".eml") or name.startswith("."):
        return None
    try:
        number = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if (folder / name).is_symlink():
            return None
        raise OSError(f"{folder / name}: {error}") from error
    status = os.fstat(number)
    if not stat.S_ISREG(status.st_mode):
        os.close(number)
        return None
    with os.fdopen(number, "rb") as file:
        return file.read(most)
