"""gatepost-hold: releases and drops held messages, as root, for gatepost-events of this host.

Its socket comes from systemd. One connection at a time, from root and one user: the kernel says who it is.
Nothing of settings or store is read here, because whoever may order can write those. SIGTERM waits until what
was begun is done.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from gatepost_core.serving import log, notify
from gatepost_core.serving.listen import ListenError, UnixAddress, bind, inherited
from gatepost_events.holding.queue import COMMANDS, PATH, HoldQueue
from gatepost_events.holding.verbs import LINE_MOST, Answer, Order, Result, Verb, read_order, write_answer
from gatepost_events.peers import Peers

if TYPE_CHECKING:
    from collections.abc import Iterator

CarryOut = Callable[[Order], Answer]
# Whoever may order asks and reads at once; the next one waits meanwhile.
_SECONDS: Final = 5.0
_ORDERS_MOST: Final = 100
_ENDING: Final = {signal.SIGTERM, signal.SIGINT}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; return the exit status."""
    parser = argparse.ArgumentParser(prog="gatepost-hold", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "-c", "--config-directory", default="", help="of Postfix, where it is not the default"
    )
    parser.add_argument(
        "--gatepost-events-user",
        dest="user",
        default="gatepost",
        metavar="USER",
        help="whose orders are carried out, beside root's",
    )
    parser.add_argument("--listen", metavar="PATH", help="a UNIX socket to make, where systemd gives none")
    parser.add_argument("--check", action="store_true", help="look for Postfix's commands, and exit")
    options = parser.parse_args(arguments)
    if options.check:
        missing = [name for name in COMMANDS if shutil.which(name, path=PATH) is None]
        # Postfix may be installed after this: no fault, but worth a word.
        note = f"; {', '.join(missing)}: not in {PATH}, so Postfix is to be installed" if missing else ""
        print(f"gatepost-hold: the configuration is good{note}")
        return 0
    try:
        (listener,) = inherited() or [bind(UnixAddress(options.listen or ""), group="")]
    except (ListenError, ValueError) as error:
        parser.error(f"no socket: {error}; start the unit gatepost-hold.socket, or give --listen PATH")
    listener.setblocking(True)
    peers, queue = Peers([options.user]), HoldQueue(options.config_directory)
    notify.ready()
    log.now("info", "ready", user=options.user)
    while True:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            refusal = peers.refusal(connection)
            if refusal:
                log.now("warning", "refused", reason=refusal)
                connection.setblocking(False)
                connection.sendall(write_answer(Answer(Result.REFUSED, refusal)))
                connection.recv(LINE_MOST)  # closed with something unread, it would reset the connection
                continue
            serve(connection, queue.carry_out)


def serve(connection: socket.socket, carry_out: CarryOut, seconds: float = _SECONDS) -> None:
    """Carry out what comes over one connection, in time. Raises OSError."""
    waiting = b""
    for _ in range(_ORDERS_MOST):
        until = time.monotonic() + seconds  # for the whole line, however slowly it comes
        while b"\n" not in waiting:
            if len(waiting) > LINE_MOST:
                connection.sendall(write_answer(Answer(Result.REFUSED, "a line without an end")))
                return
            connection.settimeout(max(0.001, until - time.monotonic()))
            piece = connection.recv(LINE_MOST)
            if not piece:
                return
            waiting += piece
        line, _, waiting = waiting.partition(b"\n")
        with _undisturbed():
            connection.settimeout(seconds)
            connection.sendall(write_answer(_answered(line, carry_out)))


def _answered(line: bytes, carry_out: CarryOut) -> Answer:
    order = read_order(line)
    if isinstance(order, Answer):
        log.now("warning", "refused", reason=order.text)
        return order
    if order.verb is Verb.PING:
        return Answer(Result.DONE)
    answer = carry_out(order)
    log.now(
        "info",
        order.verb.value,
        queue_id=order.queue_id or None,
        result=answer.result.value,
        reason=answer.text or None,
    )
    return answer


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let an end wait for what is done meanwhile."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


if __name__ == "__main__":
    raise SystemExit(main())
