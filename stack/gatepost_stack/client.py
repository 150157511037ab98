"""One message over SMTP, byte for byte, with the mechanism and the port that were asked for.

The file's bytes go out as they are, but for line ends (LF becomes CR LF) and dot-stuffing
(RFC 5321 section 4.5.2). The server's certificate is verified. A reply that refuses raises
``RefusedError``.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_string
from email.utils import getaddresses
from pathlib import Path
from typing import Literal

Mechanism = Literal["plain", "login"]
Tls = Literal["starttls", "wrapped", "none"]

_BARE_LF = re.compile(rb"(?<!\r)\n")
_QUEUED = re.compile(rb"queued as (\w+)")
_SECONDS = 60.0


class RefusedError(Exception):
    """The server answered 4xx or 5xx; the text is its reply."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where and as whom to log in."""

    host: str
    port: int
    tls: Tls
    ca_file: Path
    username: str
    password: str
    mechanism: Mechanism = "plain"


@dataclass(frozen=True, slots=True)
class Mail:
    """An envelope and the bytes of a message, with any line ends."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes


def read_mail(content: bytes, sender: str | None = None, recipients: Sequence[str] = ()) -> Mail:
    """Return a mail whose envelope is taken from From, To and Cc where it is not given.

    Raises ValueError when neither says who it is from or to.
    """
    message = message_from_string(_head(content).decode("utf-8", errors="surrogateescape"))

    def listed(*names: str) -> list[str]:
        values = [str(value) for name in names for value in message.get_all(name, [])]
        return [address for _, address in getaddresses(values) if address]

    if sender is None:
        senders = listed("From")
        if not senders:
            raise ValueError("the message's From holds no address; give --from")
        sender = senders[0]
    recipients = tuple(dict.fromkeys(recipients or listed("To", "Cc")))
    if not recipients:
        raise ValueError("the message's To and Cc hold no address; give --to")
    return Mail(sender, recipients, content)


def send(server: Server, mail: Mail) -> str:
    """Send a mail and return the queue id that the server told. Raises RefusedError, OSError."""
    try:
        with session(server.host, server.port, server.tls, server.ca_file) as connection, connection:
            log_in(connection, server.username, server.password, server.mechanism)
            return _transaction(connection, mail)
    except smtplib.SMTPResponseException as error:
        raise RefusedError(_reply(error.smtp_code, error.smtp_error)) from error
    except smtplib.SMTPServerDisconnected as error:
        raise RefusedError(f"the server hung up: {error}") from error


@contextmanager
def session(
    host: str, port: int, tls: Tls, ca_file: Path, source: str | None = None
) -> Iterator[smtplib.SMTP]:
    """Open a session and say EHLO, inside TLS with a verified certificate unless ``tls`` is none.

    ``wrapped``: TLS from the first byte on (RFC 8314). ``source``: the client's address. Raises OSError.
    """
    context = ssl.create_default_context(cafile=str(ca_file))
    address = None if source is None else (source, 0)
    connection: smtplib.SMTP
    if tls == "wrapped":
        connection = smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=context, source_address=address)
    else:
        connection = smtplib.SMTP(host, port, timeout=_SECONDS, source_address=address)
    try:
        if tls == "starttls":
            connection.starttls(context=context)
        connection.ehlo()
        yield connection
    finally:
        connection.close()


def log_in(connection: smtplib.SMTP, username: str, password: str, mechanism: Mechanism = "plain") -> None:
    """Log in with one mechanism. Raises smtplib.SMTPAuthenticationError."""
    connection.user, connection.password = username, password
    authenticate = connection.auth_plain if mechanism == "plain" else connection.auth_login
    connection.auth(mechanism.upper(), authenticate)


def _transaction(connection: smtplib.SMTP, mail: Mail) -> str:
    content = _BARE_LF.sub(b"\r\n", mail.content)
    options = [f"size={len(content)}", *_extensions(mail)]
    _expect(connection.mail(mail.sender, options), 250)
    for recipient in mail.recipients:
        _expect(connection.rcpt(recipient), 250)
    code, text = connection.data(content)
    _expect((code, text), 250)
    queued = _QUEUED.search(text)
    return queued.group(1).decode("ascii") if queued else ""


def _extensions(mail: Mail) -> list[str]:
    """Return BODY (RFC 6152) and SMTPUTF8 (RFC 6531) where the mail needs them."""
    options = [] if mail.content.isascii() else ["body=8bitmime"]
    head = _head(mail.content)
    addresses_plain = mail.sender.isascii() and all(recipient.isascii() for recipient in mail.recipients)
    if not addresses_plain or (not head.isascii() and _is_utf8(head)):
        options.append("smtputf8")
    return options


def _head(content: bytes) -> bytes:
    return re.split(rb"\r?\n\r?\n", content, maxsplit=1)[0]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _expect(reply: tuple[int, bytes], code: int) -> None:
    if reply[0] != code:
        raise RefusedError(_reply(*reply))


def _reply(code: int, text: bytes | str) -> str:
    lines = (text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text).splitlines() or [""]
    return "\n".join(f"{code}{' ' if line is lines[-1] else '-'}{line}" for line in lines)
