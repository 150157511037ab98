"""The daemons' sockets: whose they are, whether Postfix gets there, and what answers in its protocol."""

from __future__ import annotations

import grp
import pwd
import socket
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_cli.checks.daemons import DAEMONS, Daemon
from gatepost_core.serving.listen import UnixAddress, parse_address

_USER = "postfix"
_GROUP = "postfix"
_MODE = 0o660
_ANSWER_MOST = 65_536


def answers(daemon: Daemon, context: Context) -> Iterator[Finding]:
    """Look at a daemon's socket and the way to it, then talk to who listens."""
    name, listen = daemon.name, daemon.listen(context.settings)
    if not listen:
        yield good(f"{name}.listen", "it is not to run here")
        return
    group = _GROUP if daemon.of_postfix else _group(context.store.home.stat().st_gid)
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
        if daemon.of_postfix:
            yield from _way(path)
    try:
        with _connect(address, context.settings.doctor.timeout) as connection:
            yield good(listen, _talk(daemon, daemon.says(context.settings), connection))
    except PermissionError:
        advice = f"run as root, or as a member of group {group}"
        yield fault(listen, "may not connect", "a connection", advice)
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
    return fault(str(path), found, f"a socket of {right}", "restart its .socket unit, which makes it anew")


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


def _talk(daemon: Daemon, ask: bytes, connection: socket.socket) -> str:
    """Return what to say of the answer. Raises ValueError when it begins otherwise, or is too much."""
    connection.sendall(ask)
    said, least = b"", daemon.skip + len(daemon.begin)
    while len(said) < least or not said.endswith(daemon.end):
        data = connection.recv(4096)
        if not data:
            raise ValueError("it hung up")
        said += data
        begun = said[daemon.skip : least]
        if not daemon.begin.startswith(begun) or len(said) > _ANSWER_MOST:
            raise ValueError(f"it said {said[:60]!r}")
    connection.sendall(daemon.bye)
    names = [line.split(b"\t")[1].decode() for line in said.splitlines() if line.startswith(b"MECH\t")]
    return f"answers, and offers {' '.join(names)}" if names else "answers"


# A check for each daemon, by its name.
SOCKETS = {f"{one.name}-socket": partial(answers, one) for one in DAEMONS}
