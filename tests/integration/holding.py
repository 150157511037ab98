"""What tests of held messages do to a gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatepost_cli.timeline import ordered
from gatepost_core.postfix import Parameter
from gatepost_core.store import events
from gatepost_core.store.events import Event
from gatepost_core.store.holding import orders
from gatepost_core.store.holding.held import held as held_messages
from gatepost_core.store.opening import open_backend
from gatepost_stack.provision import ClientLogin
from gatepost_stack.stack import Stack
from tests.integration.harness import SENDER, Gateway, text_message
from tests.waiting import until


@contextmanager
def holding(folder: Path) -> Iterator[Gateway]:
    """Run a gateway that looks at its queue as seldom as Postfix does; its host holds some mail, too."""
    checks = folder / "checks"
    checks.write_text("/^X-Hold: / HOLD by the host\n")
    folder.chmod(0o755)
    own = [
        Parameter("queue_run_delay", "300s", "Postfix's default"),
        Parameter("header_checks", f"regexp:{checks}", "holds what is not Gatepost's, too"),
    ]
    with Stack(folder / "stack", extra=own) as stack:
        yield Gateway(stack)


def run(gateway: Gateway, *words: str) -> subprocess.CompletedProcess[str]:
    config = str(gateway.stack.layout.settings_file)
    line = [sys.executable, "-m", "gatepost_cli", "--config", config, *words]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def command(gateway: Gateway, *words: str) -> Any:
    """Return what a command prints, as data."""
    done = run(gateway, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def send(gateway: Gateway, login: ClientLogin, *recipients: str) -> str:
    """Send a message; return its queue id."""
    with gateway.logged_in(login) as connection:
        connection.mail(SENDER)
        for recipient in recipients:
            assert connection.rcpt(recipient)[0] == 250
        code, text = connection.data(text_message())
    assert code == 250, text
    return text.decode().rpartition(" ")[2]


def in_queue(gateway: Gateway) -> dict[str, str]:
    """Return the queue that each queue id is in."""
    postqueue = ["/usr/sbin/postqueue", "-c", str(gateway.stack.layout.postfix), "-j"]
    done = subprocess.run(postqueue, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["queue_id"]: one["queue_name"] for one in found}


def postsuper(gateway: Gateway, *words: str) -> None:
    program = ["/usr/sbin/postsuper", "-c", str(gateway.stack.layout.postfix), *words]
    subprocess.run(program, capture_output=True, check=True)


def told(gateway: Gateway, queue_id: str) -> list[Event]:
    """Return the events of a message, as they happened."""
    number = gateway.recorded(queue_id).id
    with gateway.journal() as connection:
        return ordered(events.each(connection, events.Wanted(message=number), 100))


def types(gateway: Gateway, queue_id: str) -> list[str]:
    return [one.type for one in told(gateway, queue_id)]


def held(gateway: Gateway, login: ClientLogin) -> dict[str, str]:
    """Return why messages of a credential are held, by their queue ids."""
    with gateway.journal() as connection:
        walk = held_messages(connection, 100, credential=login.username)
        return {one.record.queue_id: one.reason for one in walk}


def carried_out(gateway: Gateway, verb: str, *names: str) -> list[tuple[str, str]]:
    """Have messages released or dropped; return what came of it, and why."""
    with open_backend(gateway.stack.settings.store).journal(write=True) as connection:
        now = datetime.now(UTC)
        numbers = [orders.ask(connection, name, verb, "root", now).id for name in names]

    def done() -> list[tuple[str, str]] | None:
        with gateway.journal() as connection:
            known = orders.asked(connection, numbers)
        found = [(known[number].state, known[number].note) for number in numbers]
        return found if all(state != "open" for state, _ in found) else None

    return until(done, f"{verb} to be done")


def is_held(gateway: Gateway, login: ClientLogin, *numbers: str) -> None:
    until(lambda: set(numbers) <= set(held(gateway, login)), "messages to be held")
