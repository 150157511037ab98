"""Listening sockets: bound here, or handed over by whoever supervises (sd_listen_fds(3)).

Addresses are written as Postfix writes them: ``unix:/path``, ``inet:host:port``,
``inet:[::1]:port``. A socket that was handed over stays bound while the daemon restarts, so a
client that connects meanwhile waits instead of failing. Raises ListenError, whose text says what is
wrong, what was expected and what to do.
"""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FIRST_FD = 3  # SD_LISTEN_FDS_START
_BACKLOG = 1024
_MODE = 0o660
_EXPECTED = "expected unix:/path, inet:host:port or inet:[IPv6 address]:port"


class ListenError(Exception):
    """An address cannot be understood or listened on; the text is for people."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system; ``path`` is absolute."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class InetAddress:
    """A TCP address; ``host`` is a name or address without brackets, ``port`` 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"inet:[{self.host}]:{self.port}" if ":" in self.host else f"inet:{self.host}:{self.port}"


Address = UnixAddress | InetAddress


def parse_address(text: str) -> Address:
    """Return the address that ``text`` spells in Postfix's notation. Raises ListenError."""
    kind, colon, rest = text.strip().partition(":")
    if kind == "unix" and colon:
        return _unix_address(rest)
    if kind == "inet" and colon:
        return _inet_address(rest, text)
    raise ListenError(f"{text!r} is not an address to listen on; {_EXPECTED}")


def _unix_address(path: str) -> UnixAddress:
    if not path.startswith("/"):
        raise ListenError(f"unix:{path}: the path must be absolute, such as unix:/run/gatepost/sasl")
    if len(os.fsencode(path)) > 107:  # unix(7): sun_path holds 108 bytes with the ending NUL
        raise ListenError(f"unix:{path}: the path is longer than 107 bytes; choose a shorter one")
    return UnixAddress(path)


def _inet_address(rest: str, text: str) -> InetAddress:
    host, colon, port = rest.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ListenError(f"{text!r} ends in no port from 0 to 65535; {_EXPECTED}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ListenError(f"{text!r}: an IPv6 address stands in brackets; {_EXPECTED}")
    if not host:
        raise ListenError(f"{text!r} names no host; use 0.0.0.0 or [::] for all addresses; {_EXPECTED}")
    return InetAddress(host, int(port))


def open_listener(address: Address, *, group: str = "postfix") -> socket.socket:
    """Return a non-blocking listening socket: the one handed over, or one bound to ``address``.

    ``group`` gets a UNIX socket's file (mode 0660), if this process may give it.
    """
    handed = inherited()
    if len(handed) > 1:
        for extra in handed:
            extra.close()
        raise ListenError(
            f"LISTEN_FDS hands over {len(handed)} sockets; expected one. Give each daemon's .socket unit "
            "one ListenStream= line"
        )
    return handed[0] if handed else bind(address, group=group)


def inherited() -> list[socket.socket]:
    """Return the listening sockets that were handed over, and forget about them (sd_listen_fds(3)).

    LISTEN_PID must name this process; the variables are removed, so that children do not take the
    sockets for theirs.
    """
    pid, count = os.environ.get("LISTEN_PID", ""), os.environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    return [_adopt(fd) for fd in range(_FIRST_FD, _FIRST_FD + int(count))]


def _adopt(fd: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fd)
    except OSError as error:
        raise ListenError(
            f"LISTEN_FDS names descriptor {fd}, which is no socket ({error.strerror}); "
            "start the daemon through its .socket unit, or without LISTEN_FDS"
        ) from error
    listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.type != socket.SOCK_STREAM or not listening:
        listener.close()
        raise ListenError(
            f"descriptor {fd} of LISTEN_FDS is no listening stream socket; use ListenStream= and Accept=no"
        )
    listener.setblocking(False)
    listener.set_inheritable(False)
    return listener


def bind(address: Address, *, group: str = "postfix") -> socket.socket:
    """Return a non-blocking socket that listens on ``address``. Raises ListenError."""
    if isinstance(address, UnixAddress):
        return _bind_unix(address, group)
    try:
        (family, _, _, _, name), *_ = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ListenError(f"{address}: {address.host} cannot be resolved ({error.strerror})") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _listen(listener, name, address)


def _bind_unix(address: UnixAddress, group: str) -> socket.socket:
    _remove_stale(address)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Bound with no access for others, so that there is no moment in which anybody may connect.
    before = os.umask(0o777 & ~0o600)
    try:
        _listen(listener, address.path, address)
    finally:
        os.umask(before)
    try:
        _give_to_group(address, group)
    except BaseException:
        listener.close()
        raise
    return listener


def _listen(listener: socket.socket, name: str | tuple[Any, ...], address: Address) -> socket.socket:
    try:
        listener.bind(name)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {address}: {error.strerror}; {_advice(error)}") from error
    listener.setblocking(False)
    return listener


def _advice(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process listens there: stop it, or choose another address"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "the daemon's user may not: check the owner of the folder, or choose a port from 1024 on"
    if error.errno == errno.ENOENT:
        return "the folder does not exist: make it, with group postfix and mode 0750"
    return "choose another address"


def _remove_stale(address: UnixAddress) -> None:
    """Remove a socket file that nobody answers on; refuse to touch anything else."""
    path = Path(address.path)
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return  # nothing there, or the folder is the trouble: bind says which
    if not is_socket:
        raise ListenError(
            f"{address}: a file that is no socket is in the way; move it, or choose another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address.path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ETIMEDOUT):
                raise ListenError(f"{address}: cannot tell whether it is in use: {error.strerror}") from error
    raise ListenError(f"{address}: another process answers there; stop it, or choose another path")


def _give_to_group(address: UnixAddress, group: str) -> None:
    """Let the group in (mode 0660). Only root, or a member, can give a file to a group."""
    if group:
        try:
            gid = grp.getgrnam(group).gr_gid
        except KeyError as error:
            if os.geteuid() == 0:
                raise ListenError(f"{address}: there is no group {group!r}; install postfix first") from error
        else:
            with suppress(PermissionError):
                os.chown(address.path, -1, gid)
    Path(address.path).chmod(_MODE)
