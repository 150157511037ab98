"""Webhooks as people and programs see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatepost_cli.output import Table, emit, facts, stamp
from gatepost_cli.session import CliSession
from gatepost_core.service.views import webhook_data
from gatepost_core.service.webhooks import BY_HAND
from gatepost_core.store.webhooks import endpoints, outbox
from gatepost_core.store.webhooks.endpoints import Endpoint, EndpointState
from gatepost_core.store.webhooks.looking import Attempt, GivenUp, Queue
from gatepost_core.store.webhooks.outbox import Health

if TYPE_CHECKING:
    from sqlalchemy import Connection

COLUMNS = ("webhook", "account", "URL", "types", "label", "waiting", "state")
LOG_COLUMNS = ("time", "event", "attempt", "seconds", "answer", "next attempt")
GIVEN_UP_COLUMNS = ("time", "event", "message", "attempts", "reason")


def whole_data(found: Endpoint, health: Health | None, queue: Queue) -> dict[str, Any]:
    """Return a webhook for a program, with what it holds up."""
    return webhook_data(found, health) | {
        "waiting": queue.waiting,
        "blocked": queue.blocked,
        "oldest_waiting_since": stamp(queue.oldest),
        "next_attempt_at": stamp(queue.next_at),
        "given_up": queue.given_up,
    }


def row_of(found: Endpoint, health: Health | None) -> tuple[str, ...]:
    """Return a webhook's cells for a person, in the order of ``COLUMNS``."""
    waiting = str(health.waiting if health else 0)
    types = ", ".join(found.types) or "all"
    return (
        found.handle,
        found.account,
        found.url,
        types,
        found.label,
        waiting,
        state_of(found, health),
    )


def state_of(found: Endpoint, health: Health | None) -> str:
    """Return in words how a webhook fares."""
    if found.state is EndpointState.OFF:
        return f"off since {stamp(found.off_at)}: {found.off_reason}"
    if health is None or health.last_at is None:
        return "active, nothing sent yet"
    if health.failing_since is None:
        return f"active, took its last event {stamp(health.last_at)}"
    return f"failing since {stamp(health.failing_since)}: {health.last_answer}"


def ailing(directory: Connection, journal: Connection) -> tuple[list[tuple[Endpoint, str]], int]:
    """Return webhooks that fail, or were switched off since they did, in words; and the number of all.

    What somebody switched off by hand is as it should be.
    """
    found, health = endpoints.list_all(directory), outbox.health(journal)
    ill = []
    for one in found:
        fares = health.get(one.handle)
        off = one.state is EndpointState.OFF
        if one.off_reason != BY_HAND if off else fares is not None and fares.failing_since is not None:
            ill.append((one, state_of(one, fares)))
    return ill, len(found)


def facts_of(found: Endpoint, health: Health | None, queue: Queue) -> Table:
    """Return a webhook for a person."""
    held = f"{queue.waiting}"
    if queue.blocked:
        held += f", of which {queue.blocked} wait for an earlier event of the same message"
    if queue.oldest is not None:
        held += f"; the oldest since {stamp(queue.oldest)}"
    rows = [
        ("webhook", found.handle),
        ("account", found.account),
        ("URL", found.url),
        ("label", found.label),
        ("types", ", ".join(found.types) or "all"),
        ("addresses", "any, also by http://" if found.allow_private else "public ones, by https://"),
        ("created", stamp(found.created_at) or ""),
        *(("secret", _secret(one.created_at, one.expires_at)) for one in found.secrets),
        ("state", state_of(found, health)),
        ("events waiting", held),
        ("next attempt", stamp(queue.next_at) or "none"),
        ("events given up", str(queue.given_up)),
    ]
    return facts(rows)


def show_secret(session: CliSession, found: Endpoint, secret: str) -> None:
    """Print a webhook with the secret that was made for it."""
    rows = [
        ("webhook", found.handle),
        ("account", found.account),
        ("URL", found.url),
        ("types", ", ".join(found.types) or "all"),
        ("secret", secret),
    ]
    emit(session, webhook_data(found, None) | {"secret": secret}, facts(rows))


def attempt_data(one: Attempt) -> dict[str, Any]:
    """Return an attempt for a program."""
    return {
        "time": stamp(one.at),
        "event": one.event_id,
        "attempt": one.attempt,
        "ok": one.ok,
        "status": one.status,
        "answer": one.answer,
        "seconds": round(one.seconds, 3),
        "next_attempt_at": stamp(one.next_at),
    }


def attempt_row(one: Attempt) -> tuple[str, ...]:
    """Return an attempt's cells for a person, in the order of ``LOG_COLUMNS``."""
    later = "" if one.ok else stamp(one.next_at) or "none"
    return (stamp(one.at) or "", one.event_id, str(one.attempt), f"{one.seconds:.3f}", one.answer, later)


def given_up_data(one: GivenUp) -> dict[str, Any]:
    """Return an event that was given up for a program."""
    return {
        "time": stamp(one.died_at),
        "event": one.event_id,
        "message": one.message_id,
        "attempts": one.attempts,
        "reason": one.reason,
    }


def given_up_row(one: GivenUp) -> tuple[str, ...]:
    """Return its cells for a person, in the order of ``GIVEN_UP_COLUMNS``."""
    return (stamp(one.died_at) or "", one.event_id, one.message_id, str(one.attempts), one.reason)


def _secret(created: Any, expires: Any) -> str:
    return f"made {stamp(created)}" + (f", signs until {stamp(expires)}" if expires else "")
