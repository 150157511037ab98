"""The daemons' sockets: whose they are, whether Postfix gets there, and what answers in its protocol."""

from __future__ import annotations

import grp
import pwd
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_core.domain.orders import Answer, Ping, Result, write_answer, write_order
from gatepost_core.serving.listen import UnixAddress, parse_address

_USER = "postfix"
_GROUP = "postfix"
_MODE = 0o660
# sendmail's libmilter/mfdef.h: SMFIC_OPTNEG with protocol version 6, all actions, no steps; SMFIC_QUIT.
_NEGOTIATE = struct.pack(">IcIII", 13, b"O", 6, 0x1FF, 0)
_QUIT = struct.pack(">Ic", 1, b"Q")


def events_socket(context: Context) -> Iterator[Finding]:
    """Ask gatepost-events whether it is there. Its socket is Gatepost's own."""
    own = context.store.home.stat().st_gid
    yield from _daemon(context, "events", context.settings.events.listen, _ping, _group(own))


def sasl_socket(context: Context) -> Iterator[Finding]:
    """Greet gatepost-sasl as an smtpd does (Dovecot authentication protocol)."""
    yield from _daemon(context, "sasl", context.settings.sasl.listen, _greet)


def policy_socket(context: Context) -> Iterator[Finding]:
    """Ask gatepost-policy a question that decides nothing."""
    yield from _daemon(context, "policy", context.settings.policy.listen, _ask)


def milter_socket(context: Context) -> Iterator[Finding]:
    """Negotiate with gatepost-milter, and quit."""
    yield from _daemon(context, "milter", context.settings.milter.listen, _negotiate)


def bounces_socket(context: Context) -> Iterator[Finding]:
    """Hear gatepost-bounces greet (LMTP)."""
    yield from _daemon(context, "bounces", context.settings.bounces.listen, _hear)


def _daemon(
    context: Context, name: str, listen: str, talk: Callable[[socket.socket], str], group: str = _GROUP
) -> Iterator[Finding]:
    address = parse_address(listen)
    start = f"run 'systemctl start gatepost-{name}.socket gatepost-{name}.service', and look at its log"
    if isinstance(address, UnixAddress):
        path = Path(address.path)
        try:
            status = path.lstat()
        except FileNotFoundError:
            yield fault(listen, "no such socket", f"gatepost-{name} listening", start)
            return
        yield _owner(path, status.st_mode, _group(status.st_gid), group)
        if group == _GROUP:
            yield from _way(path)
    try:
        with _connect(address, context.settings.doctor.timeout) as connection:
            yield good(listen, talk(connection))
    except PermissionError:
        yield fault(
            listen, "may not connect", "a connection", f"run as root, or as a member of group {group}"
        )
    except ConnectionRefusedError:
        found = "nobody listens: it was left by a daemon that ended"
        yield fault(listen, found, f"gatepost-{name} listening", start)
    except (OSError, ValueError) as error:
        yield fault(listen, f"no answer: {error}", f"gatepost-{name} answering", start)


def _way(path: Path) -> Iterator[Finding]:
    """Say which directory above a socket lets Postfix's own user not through."""
    user = pwd.getpwnam(_USER)
    groups = {user.pw_gid, *(one.gr_gid for one in grp.getgrall() if _USER in one.gr_mem)}
    for place in reversed(path.parents):
        status = place.stat()
        bit = 0o100 if status.st_uid == user.pw_uid else 0o010 if status.st_gid in groups else 0o001
        if not status.st_mode & bit:
            found = f"mode {stat.S_IMODE(status.st_mode):04o}: {_USER} does not get through"
            expected = f"a directory that {_USER} gets through, for {path}"
            yield fault(str(place), found, expected, f"run 'chgrp {_GROUP} {place}' and 'chmod g+x {place}'")


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _owner(path: Path, mode: int, group: str, wanted: str) -> Finding:
    found = f"group {group}, mode {stat.S_IMODE(mode):04o}" if stat.S_ISSOCK(mode) else "not a socket"
    if found == (right := f"group {wanted}, mode {_MODE:04o}"):
        return good(str(path), found)
    expected = f"a socket of {right}: its members may connect, others may not"
    return fault(str(path), found, expected, "restart its .socket unit, which makes it anew")


def _connect(address: object, seconds: float) -> socket.socket:
    if isinstance(address, UnixAddress):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        try:
            connection.connect(address.path)
        except BaseException:
            connection.close()
            raise
        return connection
    host, port = getattr(address, "host", ""), getattr(address, "port", 0)
    return socket.create_connection((host, port), timeout=seconds)


def _greet(connection: socket.socket) -> str:
    connection.sendall(b"VERSION\t1\t0\nCPID\t1\n")
    said = _until(connection, b"VERSION\t1\t", b"DONE\n")
    names = [line.split(b"\t")[1].decode() for line in said.splitlines() if line.startswith(b"MECH\t")]
    return f"answers, and offers {' '.join(names)}"


def _ask(connection: socket.socket) -> str:
    connection.sendall(b"request=smtpd_access_policy\nprotocol_state=CONNECT\n\n")
    _until(connection, b"action=DUNNO\n\n", b"\n\n")
    return "answers"


def _hear(connection: socket.socket) -> str:
    _until(connection, b"220 ", b"\n")
    return "answers"


def _ping(connection: socket.socket) -> str:
    connection.sendall(write_order(Ping()))
    _until(connection, write_answer(Answer(Result.HERE)), b"\n")
    return "answers"


def _negotiate(connection: socket.socket) -> str:
    connection.sendall(_NEGOTIATE)
    said = b""
    while len(said) < 5:
        said += _some(connection)
    if said[4:5] != b"O":
        raise ValueError(f"it said {said[:60]!r}")
    connection.sendall(_QUIT)
    return "answers"


def _until(connection: socket.socket, begin: bytes, end: bytes) -> bytes:
    """Return what is said up to ``end``. Raises ValueError when it begins otherwise, or is too much."""
    said = b""
    while not said.endswith(end):
        said += _some(connection)
        if not said.startswith(begin[: len(said)]) or len(said) > 65_536:
            raise ValueError(f"it said {said[:60]!r}")
    return said


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(4096)
    if not data:
        raise ValueError("it hung up")
    return data
