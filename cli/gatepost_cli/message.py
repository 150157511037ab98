"""``gatepost message``: what is recorded of each accepted message."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import click

from gatepost_cli.complete import credential_names
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, emit_each, facts, on_terminal, stamp
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import MessageRecord, Mode
from gatepost_core.domain.walls import RECORDED
from gatepost_core.store import journal

_COLUMNS = ("time", "id", "queue id", "credential", "mode", "sender", "recipients", "size", "applied")
_FIELDS = tuple(field.name for field in fields(MessageRecord))
_MODES = {Mode.LIVE: "live", Mode.SANDBOX: "sandbox: not delivered"}


@click.group(cls=Group, help=NOUNS["message"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("list")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 100_000),
    default=20,
    show_default=True,
    help="How many, newest first.",
)
@click.option("--credential", metavar="USER", shell_complete=credential_names, help="Only this credential's.")
@click.option("--probes", is_flag=True, help="Those of doctor's probes as well.")
@json_option
@pass_session
def list_(session: CliSession, limit: int, credential: str | None, probes: bool) -> None:
    """Show the newest messages, without those of 'gatepost doctor' unless --credential names theirs."""
    with session.journal() as connection:
        found = journal.newest_first(
            connection, limit=limit, username=credential, probes=probes or credential is not None
        )
        if not on_terminal(session):
            emit_each(session, _COLUMNS, found, _data, _row)
            return
        rows = [_row(record) for record in found]
    emit(session, None, Table(_COLUMNS, rows, prose=("recipients", "applied"), flow=True))


@command.command("show")
@click.argument("name", metavar="ID|QUEUEID")
@json_option
@pass_session
def show(session: CliSession, name: str) -> None:
    """Show one message: envelope, tags, metadata, features applied, and why one was not."""
    with session.journal() as connection:
        record = journal.get(connection, name)
    emit(session, _data(record), facts(_pairs(record)))


def _row(record: MessageRecord) -> tuple[str, ...]:
    return (
        stamp(record.created_at) or "",
        record.id,
        record.queue_id,
        record.username,
        record.mode.value,
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
        ("sender", f"<{record.sender}>"),
        ("recipients", " ".join(record.recipients)),
        ("From", record.header_from),
        ("Subject", record.subject),
        ("size", f"{record.size} bytes, {record.size_after} after edits"),
        ("tags", ", ".join(record.tags)),
        ("metadata", json.dumps(record.metadata) if record.metadata else ""),
        ("features", " ".join(record.features)),
        ("applied", " ".join(record.applied)),
        *((_skipped(name), reason) for name, reason in record.skipped.items()),
        *((f"time for {step}", f"{seconds * 1000:.2f} ms") for step, seconds in record.seconds.items()),
    ]


def _skipped(name: str) -> str:
    return name if name == RECORDED else f"not applied: {name}"


def _data(record: MessageRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in _FIELDS} | {"created_at": stamp(record.created_at)}
