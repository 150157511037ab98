"""Connections to LDAP servers (ldap3): TLS, time-outs, which server is asked next.

Each thread keeps two connections to the server that it used last: one to search with, one on which users
are bound again and again. How it fails: LdapFault, for whatever is not an answer to the question; the
connection is closed then.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import IPPROTO_TCP, SHUT_RDWR, TCP_NODELAY
from typing import Any
from urllib.parse import urlsplit

from ldap3 import NONE, SIMPLE, SYNC, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException

from gatepost_core.serving.tls import client_context

_QUOTES = re.compile(r"""^[("'\\]+|[,)"'\\]+$""")
_SOURCE_LINE = re.compile(r" \(_ssl\.c:\d+.*$")
PORTS = {"ldap": 389, "ldaps": 636}


class LdapFault(Exception):  # noqa: N818 - a condition that passes, not a mistake
    """A server cannot be reached, trusted or understood; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Address:
    """One server of the configuration."""

    host: str
    port: int
    ldaps: bool

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Return the server that ``ldap://HOST[:PORT]`` or ``ldaps://HOST[:PORT]`` names."""
        parts = urlsplit(uri)
        return cls(parts.hostname or "", parts.port or PORTS[parts.scheme], parts.scheme == "ldaps")

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """How servers are talked to. ``starttls`` is for those that are not ldaps://."""

    context: ssl.SSLContext | None
    starttls: bool
    connect_timeout: float
    receive_timeout: int


def tls_context(ca_file: str, verify: bool) -> ssl.SSLContext:
    """Return a TLS client's context. Raises OSError (ssl.SSLError) for a file that cannot be used."""
    context = client_context(ca_file)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class _Tls(Tls):
    """TLS by a context that is made once, certificate and host name checked by OpenSSL.

    ldap3's own reads the authorities' file for each connection and compares host names itself.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context
        self._host = host

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Take a connection's socket into TLS. The handshake is under the socket's time-out."""
        connection.socket = self._context.wrap_socket(
            connection.socket, server_hostname=self._host, do_handshake_on_connect=do_handshake
        )


def open_connection(
    address: Address, link: ConnectOptions, opening: Callable[[Connection], object]
) -> Connection:
    """Return an open connection, inside TLS if there is any, not yet bound. Raises LdapFault.

    ``opening`` gets it before anything can block.
    """
    tls = None if link.context is None else _Tls(link.context, address.host)
    server = Server(
        address.host,
        address.port,
        use_ssl=address.ldaps,
        tls=tls,
        get_info=NONE,
        connect_timeout=link.connect_timeout,
    )
    connection = Connection(
        server,
        client_strategy=SYNC,
        auto_referrals=False,
        check_names=False,
        receive_timeout=link.receive_timeout,
        raise_exceptions=False,
        auto_encode=False,
    )
    opening(connection)
    try:
        with faults(address):
            connection.open(read_server_info=False)
            if connection.socket is not None:  # or Nagle holds the first request back for 40 ms
                connection.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            if link.starttls and not address.ldaps:
                connection.start_tls(read_server_info=False)
    except BaseException:
        discard(connection)
        raise
    return connection


@contextmanager
def faults(address: Address) -> Iterator[None]:
    """Turn what ldap3 and the socket raise into LdapFault.

    Whatever it is: a server that answers garbage makes ldap3 raise IndexError, TypeError and more.
    """
    try:
        yield
    except LdapFault:
        raise
    except (LDAPException, OSError) as error:
        raise LdapFault(f"{address}: {_text(error)}") from error
    except Exception as error:
        raise LdapFault(f"{address}: what it answers is no LDAP: {_text(error)}") from error


def _text(error: BaseException) -> str:
    """Return an error's text without the layers of quotes that ldap3 puts around it."""
    text = _QUOTES.sub("", " ".join(str(error).split()))
    return _SOURCE_LINE.sub("", text)[:300] or type(error).__name__


def bind(connection: Connection, name: str, password: str) -> int:
    """Bind an open connection anew and return the result code (RFC 4511 section 4.1.9)."""
    try:
        # As bytes: the password has been through SASLprep, and goes out as it is.
        connection.rebind(name, password.encode("utf-8"), SIMPLE, read_server_info=False)
        return int(connection.result["result"])
    finally:
        connection.user = connection.password = None


def discard(connection: Connection | None) -> None:
    """Close a connection without a word, whatever state it is in."""
    sock = None if connection is None else connection.socket
    if connection is not None and sock is not None:
        connection.socket = None
        with suppress(OSError):
            sock.close()


def interrupt(connection: Connection | None) -> None:
    """Wake a thread that waits for the server: called by another."""
    sock = None if connection is None else connection.socket
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(SHUT_RDWR)


class Order:
    """Which server is asked first: the configured order, those that failed a short while ago last.

    A server whose time has come is tried by one thread, while the others stay with the next.
    """

    def __init__(
        self, addresses: Iterable[Address], retry_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._addresses = tuple(addresses)
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failed_until: dict[Address, float] = {}

    def candidates(self) -> list[Address]:
        """Return all servers, the one to be asked first in front."""
        with self._lock:
            now = self._clock()
            resting = [a for a in self._addresses if self._failed_until.get(a, now) > now]
            candidates = [a for a in self._addresses if a not in resting]
            if candidates and candidates[0] in self._failed_until:
                self._failed_until[candidates[0]] = now + self._retry_seconds
            return [*candidates, *resting]

    def failed(self, address: Address) -> None:
        """Note that a server does not work."""
        with self._lock:
            self._failed_until[address] = self._clock() + self._retry_seconds

    def works(self, address: Address) -> None:
        """Note that a server answers."""
        if address in self._failed_until:
            with self._lock:
                self._failed_until.pop(address, None)
