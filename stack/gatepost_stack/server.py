"""``script/server``: the whole stack on loopback, or one message through it (``--once``).

Exit codes: 0 stopped or delivered, 1 failed or refused, 2 usage. What went wrong stands on
standard error; with ``--once`` standard output holds the delivered message and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import NoReturn

import click
from click.core import ParameterSource
from rich.console import Console

from gatepost_core.domain import FeatureError, FeatureValues
from gatepost_core.domain.features import SETTABLE, parse_options
from gatepost_stack import client, guide, once
from gatepost_stack.follow import Log
from gatepost_stack.instance import HOST
from gatepost_stack.layout import Layout
from gatepost_stack.process import StackError
from gatepost_stack.provision import ClientLogin, Value
from gatepost_stack.stack import USUAL_PORTS, Stack, check_ports

_VAR = Path(__file__).resolve().parents[2] / "var"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS = 0.2
_TRACKER_PORT, _DASHBOARD_PORT = 2580, 2581
_LAST_PORT = 65535


class _Stopped(BaseException):
    """A signal asked to stop. Not an Exception: nothing on the way may take it for a fault."""


@click.command(help=f"Run Gatepost with a private Postfix on loopback. Features: {', '.join(SETTABLE)}.")
@click.option("--feature", "options", multiple=True, metavar="NAME[=VALUE]", help="A feature to switch on.")
@click.option(
    "--port-base",
    type=click.IntRange(0, _LAST_PORT - max(USUAL_PORTS)),
    default=0,
    metavar="N",
    help="Add N to each of the ports 2525, 2587, 2465, 2580 and 2581.",
)
@click.option(
    "--var",
    type=click.Path(file_okay=False, path_type=Path),
    default=_VAR,
    metavar="DIR",
    help="Keep its files there; default: var/ of the checkout.",
)
@click.option("--no-milter", is_flag=True, help="Leave the milter out: messages pass as Postfix leaves them.")
@click.option(
    "--once",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.eml",
    help="Send this message, print it as it is delivered, and stop.",
)
@click.option(
    "--port",
    type=click.Choice([str(port) for port in USUAL_PORTS]),
    default="2587",
    help="With --once: the port to send to.",
)
@click.option(
    "--mechanism",
    type=click.Choice(["plain", "login"]),
    default="plain",
    help="With --once: the SASL mechanism.",
)
@click.option("--from", "sender", metavar="A", help="With --once: the envelope's sender; default: From.")
@click.option(
    "--to",
    "recipients",
    multiple=True,
    metavar="B",
    help="With --once: a recipient of the envelope; default: To and Cc.",
)
def main(  # noqa: PLR0913, PLR0917 - one argument an option
    options: tuple[str, ...],
    port_base: int,
    var: Path,
    no_milter: bool,
    file: Path | None,
    port: str,
    mechanism: client.Mechanism,
    sender: str | None,
    recipients: tuple[str, ...],
) -> None:
    """Check what was asked for, then run it."""
    features = _features(options)
    if file is None:
        _refuse_options_of_once()
    request = _request(file, int(port), mechanism, sender, recipients) if file else None
    if os.geteuid() != 0:
        _fail("Postfix's master needs root: run script/server as root")
    try:
        with _only_one(var), _signals() as asked:
            if request:
                _once(Stack(var, milter=not no_milter, at_end=Log().finish), request, features)
            else:
                _serve(var, port_base, features, asked, milter=not no_milter)
    except _Stopped:
        sys.exit(0 if request is None else 1)
    except client.RefusedError as refused:
        click.echo(str(refused), err=True)
        sys.exit(1)
    except (StackError, OSError) as error:
        _fail(str(error))


def _refuse_options_of_once() -> None:
    """Raise UsageError when an option that only ``--once`` heeds is given without it."""
    context = click.get_current_context()
    for name, option in (
        ("port", "--port"),
        ("mechanism", "--mechanism"),
        ("sender", "--from"),
        ("recipients", "--to"),
    ):
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"{option} goes with --once FILE.eml; it says how that message is sent")


def _features(options: tuple[str, ...]) -> FeatureValues:
    try:
        return parse_options(options)
    except FeatureError as error:
        raise click.UsageError(str(error)) from error


def _request(
    file: Path, port: int, mechanism: client.Mechanism, sender: str | None, recipients: tuple[str, ...]
) -> once.Request:
    try:
        return once.Request(client.read_mail(file.read_bytes(), sender, recipients), port, mechanism)
    except ValueError as error:
        raise click.UsageError(f"{file}: {error}") from error


def _once(stack: Stack, request: once.Request, features: FeatureValues) -> None:
    with stack:
        message = once.run(stack, request, features)
    sys.stdout.buffer.write(message)
    sys.stdout.buffer.flush()


def _serve(var: Path, port_base: int, features: FeatureValues, asked: Event, *, milter: bool) -> None:
    first, second, third = (port + port_base for port in USUAL_PORTS)
    ports = (first, second, third)
    tracker, dashboard = _TRACKER_PORT + port_base, _DASHBOARD_PORT + port_base
    check_ports((*ports, tracker, dashboard))
    log = Log()
    tables = _tables(var, ports)
    stack = Stack(
        var,
        ports,
        milter=milter,
        tables=tables,
        at_end=log.finish,
        tracker=tracker,
        dashboard=dashboard,
    )
    with stack:
        login = stack.provision.credential(features, label="script/server")
        token = stack.provision.token(name="script/server")
        user = stack.provision.user()
        _write_server_file(stack, login, token, user)
        guide.show(
            Console(), stack.layout, ports, login, (stack.tracker_url, stack.dashboard_url, token), user
        )
        while stack.postfix.running:
            if asked.is_set():
                raise _Stopped
            log.turn(stack.layout.logs)
            time.sleep(_LOOK_SECONDS)
        raise StackError("Postfix ended by itself; the log above says why")


def _tables(var: Path, ports: tuple[int, int, int]) -> dict[str, dict[str, Value]]:
    """Return settings of a stack that people use: where to connect; it has no units, and its names no DNS."""
    return {
        "clients": {"host": HOST, "ports": [ports[1]], "ca_file": str(Layout(var.resolve(), var).ca_file)},
        "doctor": {"skip": ["daemons", "dns", "outgoing"]},
    }


def _write_server_file(stack: Stack, login: ClientLogin, token: str, user: ClientLogin) -> None:
    layout = stack.layout
    values = {
        "host": HOST,
        "ports": stack.ports,
        "ca_file": str(layout.ca_file),
        "username": login.username,
        "password": login.password,
        "tracker_url": stack.tracker_url,
        "dashboard_url": stack.dashboard_url,
        "dashboard_user": user.username,
        "dashboard_password": user.password,
        "api_token": token,
    }
    # Complete when its name appears, and never readable by others.
    draft = layout.server_file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    draft.rename(layout.server_file)


@contextmanager
def _only_one(var: Path) -> Iterator[None]:
    """Hold the lock of ``var``. Raises StackError when another script/server has it."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "server.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip()
            raise StackError(
                f"script/server already runs from this checkout (process {holder or 'unknown'}); "
                "stop that one first"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def _signals() -> Iterator[Event]:
    """Turn the first signal that asks to stop into _Stopped; the way down is not interrupted.

    The event is set then, too: Python drops an exception that comes up while it runs a finalizer.
    """
    asked = Event()

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        asked.set()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise _Stopped

    for number in _SIGNALS:
        signal.signal(number, stop)
    yield asked


def _fail(text: str) -> NoReturn:
    click.echo(f"script/server: {text}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main(prog_name="script/server")
