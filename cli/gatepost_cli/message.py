"""``gatepost message``: what is recorded of each accepted message."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import click
from sqlalchemy import Connection

from gatepost_cli import behind, listing, message_held, timeline
from gatepost_cli.complete import credential_names
from gatepost_cli.event_view import account_names, data_of
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, emit_each, facts, on_terminal, stamp
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import MessageRecord, Mode, NotFound, outcomes
from gatepost_core.domain.walls import RECORDED
from gatepost_core.service.views import message_data, recipient_data
from gatepost_core.store import events, messages
from gatepost_core.store.ingest import forwards

_COLUMNS = (
    "time", "id", "queue id", "credential", "mode", "status", "sender", "recipients", "size", "applied",
)  # fmt: skip
_MODES = {
    Mode.LIVE: "live",
    Mode.HOLD: "hold: delivered once it is released",
    Mode.SANDBOX: "sandbox: not delivered",
}
# Of one message; the newest are shown.
_EVENTS_MOST = 1_000


@click.group(cls=Group, help=NOUNS["message"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("list")
@click.option("--from", "sender", metavar="ADDRESS|DOMAIN", help="Whose author (From) is that, or of there.")
@click.option("--to", metavar="ADDRESS|DOMAIN", help="That had a recipient of that address, or there.")
@click.option("--subject", metavar="TEXT", help="With that in their subject, in any case.")
@click.option("--tag", metavar="TAG", help="With that tag.")
@click.option("--credential", metavar="USER", shell_complete=credential_names, help="Only this credential's.")
@click.option("--status", type=click.Choice(outcomes.STATES), help="Of which this became, at worst.")
@listing.since_option
@listing.until_option
@listing.limit_option
@listing.after_option
@click.option("--probes", is_flag=True, help="Those of doctor's probes as well.")
@json_option
@pass_session
def list_(session: CliSession, /, limit: int, after: str, **asked: Any) -> None:
    """Show the newest messages, without those of 'gatepost doctor' unless --credential names theirs.

    What is asked for with several options has to meet all of them. A search that has to look at very many
    messages stops after a moment, and says how to go on.
    """
    wanted = messages.Wanted(**{name: value for name, value in asked.items() if value is not None})
    if wanted.credential:
        wanted = replace(wanted, probes=True)
    missing = behind.look(session)
    with session.journal() as connection:
        walk = messages.walk(connection, wanted, limit, after)
        if on_terminal(session):
            rows = [_row(record) for record in walk]
            emit(session, None, Table(_COLUMNS, rows, prose=("recipients", "applied"), flow=True))
        else:
            emit_each(session, _COLUMNS, walk, message_data, _row)
    listing.tell(session, walk)
    behind.tell(session, missing)


@command.command("held")
@click.option("--credential", metavar="USER", shell_complete=credential_names, help="Only this credential's.")
@listing.limit_option
@listing.after_option
@json_option
@pass_session
def held(session: CliSession, credential: str | None, limit: int, after: str) -> None:
    """Show messages in Postfix's hold queue, and why they are there."""
    message_held.show(session, credential or "", limit, after)


_names = click.argument("names", metavar="ID|QUEUE-ID|MESSAGE-ID...", nargs=-1, required=True)
_wait = click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 600),
    default=10.0,
    show_default=True,
    help="How long to wait until the message's host has done it.",
)


@command.command("release")
@_names
@_wait
@json_option
@pass_session
def release(session: CliSession, names: tuple[str, ...], wait: float) -> None:
    """Have held messages sent, each by its host. Who asked is kept.

    Whether they may be sent is judged anew: a message of a credential that is disabled by now, or with a
    recipient who is suppressed, stays held, and the reason is shown. Exit code 1 if one is not sent.
    """
    message_held.carry_out(session, "release", names, wait)


@command.command("drop")
@_names
@_wait
@json_option
@pass_session
def drop(session: CliSession, names: tuple[str, ...], wait: float) -> None:
    """Have held messages removed for good, each by its host. Who asked is kept; the sender is not told."""
    message_held.carry_out(session, "drop", names, wait)


@command.command("show")
@click.argument("name", metavar="ID|QUEUE-ID|MESSAGE-ID")
@json_option
@pass_session
def show(session: CliSession, name: str) -> None:
    """Show one message: envelope, tags, metadata, features applied, why one was not, and what became of it.

    It is named by its own id, by Postfix's queue id or by its field Message-ID; of several the newest is
    shown. The queue id of one that was sent again with its idempotency key leads to the first.
    """
    missing = behind.look(session)
    try:
        with session.journal() as connection:
            record, repeated = _found(session, connection, name)
            recipients = messages.recipients_of(connection, record)
            forwarded = forwards.of_message(connection, record.id)
            told = timeline.ordered(events.each(connection, events.Wanted(message=record.id), _EVENTS_MOST))
    except NotFound as error:
        raise NotFound(f"{error}; {missing}" if missing else str(error)) from error
    accounts = account_names(session)
    data = {
        **message_data(record),
        "recipient_states": [recipient_data(one) for one in recipients],
        "events": [data_of(one, accounts) for one in told],
        "forwards": [{"report": file, "state": state, "note": note} for file, state, note in forwarded],
    }
    pairs = [*_pairs(record), *((f"report {file}", f"{state}: {note}") for file, state, note in forwarded)]
    if on_terminal(session):
        emit(session, None, facts(pairs))
        timeline.show(recipients, told)
    else:
        emit(session, data, facts([*pairs, *timeline.pairs(recipients, told)]))
    if repeated:
        note = f"{name} was this message again, with the same idempotency key: it was not queued twice"
        click.echo(note, err=True)
    behind.tell(session, missing)


def _found(session: CliSession, connection: Connection, name: str) -> tuple[MessageRecord, bool]:
    """Return a message, and whether the name is a repeat's. Raises NotFound."""
    from gatepost_core.store import StoreUnavailable, open_repeats  # noqa: PLC0415 - seldom

    try:
        return messages.get(connection, name), False
    except NotFound:
        repeats = open_repeats(session.settings.limits.counters)
        try:
            first = repeats.first_of(name)
        except StoreUnavailable:  # most have none
            first = ""
        finally:
            repeats.close()
        if not first:
            raise
        return messages.get(connection, first), True


def _row(record: MessageRecord) -> tuple[str, ...]:
    return (
        stamp(record.created_at) or "",
        record.id,
        record.queue_id,
        record.username,
        record.mode.value,
        record.status,
        f"<{record.sender}>",
        " ".join(record.recipients),
        str(record.size),
        " ".join(record.applied),
    )


def _pairs(record: MessageRecord) -> list[tuple[str, str]]:
    return [
        ("id", record.id),
        ("queue id", record.queue_id),
        ("time", stamp(record.created_at) or ""),
        ("credential", record.username),
        ("mode", _MODES[record.mode]),
        ("status", record.status),
        ("sender", f"<{record.sender}>"),
        ("recipients", " ".join(record.recipients)),
        ("From", record.header_from),
        ("Subject", record.subject),
        ("Message-ID", record.message_id),
        ("size", f"{record.size} bytes, {record.size_after} after edits"),
        ("tags", ", ".join(record.tags)),
        ("metadata", json.dumps(record.metadata) if record.metadata else ""),
        ("features", " ".join(record.features)),
        ("applied", " ".join(record.applied)),
        *((_skipped(name), reason) for name, reason in record.skipped.items()),
        *((f"time for {step}", f"{seconds * 1000:.2f} ms") for step, seconds in record.seconds.items()),
    ]


def _skipped(name: str) -> str:
    return name if name in (RECORDED, "idempotency") else f"not applied: {name}"
