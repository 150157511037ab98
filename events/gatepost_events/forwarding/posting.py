"""Giving reports to Postfix: by SMTP to an smtpd(8) on a UNIX socket that takes only the null sender.

A unit with ``NoNewPrivileges=`` cannot use sendmail(1), whose postdrop(1) is setgid.
"""

from __future__ import annotations

import os
import smtplib
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from gatepost_events.forwarding.steps import Reply

_SECONDS: Final = 15.0
_NAME: Final = "gatepost-events"


class _Client(smtplib.LMTP):
    """SMTP over a UNIX socket: the library has that for LMTP."""

    ehlo_msg = "ehlo"


class Post:
    """Sessions with Postfix at ``socket``. For one thread."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._client: _Client | None = None

    def open(self) -> None:
        """Have a session. Raises OSError where nobody takes mail there."""
        if self._client is not None:
            return
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

    def give(self, recipient: str, content: bytes) -> Reply:
        """Give a message from the null sender; return the answer that decided. ``open`` goes before."""
        assert self._client is not None  # noqa: S101 - see above
        try:
            reply = _given(self._client, recipient, content)
        except (OSError, ValueError) as error:
            self._client.close()
            self._client = None
            return Reply(0, f"{type(error).__name__}: {error}")
        if reply.code == 421:
            self.close()
        elif reply.code != 250:
            with suppress(OSError):
                self._client.rset()
        return reply

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
    try:
        code, said = client.data(content)
    except smtplib.SMTPDataError as error:
        text = error.smtp_error
        return Reply(error.smtp_code, text if isinstance(text, str) else text.decode("utf-8", "replace"))
    return Reply(code, said.decode("utf-8", "replace"))


def read(folder: Path, name: str, most: int) -> bytes | None:
    """Return a kept report of at most so many bytes; None where there is no such file, or it is larger.

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
    if not stat.S_ISREG(status.st_mode) or status.st_size > most:
        os.close(number)
        return None
    with os.fdopen(number, "rb") as file:
        return file.read(most)
