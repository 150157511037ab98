"""``gatepost explain``: what would happen to a message, and why, without sending it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost_cli.complete import credential_names
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, clean, emit, note
from gatepost_cli.session import Session, json_option, pass_session
from gatepost_core.decision import Decision, Pass

if TYPE_CHECKING:
    from gatepost_cli.explaining import Explanation, FeatureOutcome, Mail

_SHOWN = 240  # characters of a changed line; --json has all


@click.command("explain", help=NOUNS["explain"].help)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--credential",
    required=True,
    metavar="USER",
    shell_complete=credential_names,
    help="The login that would send it.",
)
@click.option("--from", "sender", metavar="ADDRESS", help="Envelope sender; default: the From header's.")
@click.option(
    "--to", "recipients", multiple=True, metavar="ADDRESS", help="A recipient; default: those of To and Cc."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the message there as it would leave the milter.",
)
@json_option
@pass_session
def command(
    session: Session,
    file: Path,
    credential: str,
    sender: str | None,
    recipients: tuple[str, ...],
    output: Path | None,
) -> None:
    """Explain one message."""
    explaining = importlib.import_module("gatepost_cli.explaining")
    rows = importlib.import_module("gatepost_core.store.credentials")
    mail = _mail(explaining, file.read_bytes(), credential, sender, recipients)
    with session.directory() as connection:
        rows.get(connection, credential)
    with session.reader() as reader:
        explainer = explaining.Explainer(session.settings, session.keyring, reader, session.now)
        found: Explanation = explainer.explain(mail)
    if output is not None and found.accepted:
        output.write_bytes(found.message)
    _emit(session, mail, found)


def _mail(
    explaining: Any, raw: bytes, username: str, sender: str | None, recipients: tuple[str, ...]
) -> Mail:
    eml = importlib.import_module("gatepost_milter.eml")
    addresses = importlib.import_module("gatepost_milter.addresses")
    headers, _ = eml.read(raw)
    authors = [one for one in addresses.from_addresses(headers) if one != addresses.UNREADABLE]
    envelope = sender if sender is not None else next(iter(authors), "")
    to = recipients or tuple(addresses.recipient_addresses(headers))
    if not to:
        raise click.UsageError("the message names no recipient; give one with --to")
    mail: Mail = explaining.Mail(username, envelope.strip("<>"), to, raw)
    return mail


def _emit(session: Session, mail: Mail, found: Explanation) -> None:
    if session.as_json:
        emit(session, _data(mail, found), "")
        return
    rows = [
        (stage, "accepted" if isinstance(one, Pass) else "refused", _said(one))
        for stage, one in found.answers
    ]
    emit(session, None, Table(("asked at", "answer", "why"), rows, prose=("why",)))
    if not found.accepted:
        note(session, "The message would be refused.")
        return
    emit(session, None, "")
    emit(
        session,
        None,
        Table(
            ("feature", "value", "result", "what it changes, or why it does not"),
            [_row(one) for one in found.features],
            prose=("value", "what it changes, or why it does not"),
        ),
    )
    shortened = importlib.import_module("gatepost_cli.maildiff").shortened
    for change in found.changes:
        emit(session, None, f"\n{change.where}:")
        for line in shortened(change.lines, _SHOWN):
            emit(session, None, "  " + clean(line.replace("\t", " ")))
    emit(session, None, "")
    for text in found.notes:
        emit(session, None, f"note: {clean(text)}")


def _row(one: FeatureOutcome) -> tuple[str, str, str, str]:
    result = "applied" if one.applied else "skipped" if one.skipped else "off"
    return one.name, _value(one.value), result, "; ".join(filter(None, [one.changes, one.skipped]))


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _said(decision: Decision) -> str:
    return decision.reason if isinstance(decision, Pass) else f"{decision} ({decision.reason})"


def _data(mail: Mail, found: Explanation) -> dict[str, Any]:
    return {
        "credential": mail.username,
        "sender": mail.sender,
        "recipients": list(mail.recipients),
        "accepted": found.accepted,
        "delivered": found.accepted and found.delivered,
        "answers": [
            {
                "stage": stage,
                "accepted": isinstance(one, Pass),
                "reply": "" if isinstance(one, Pass) else str(one),
                "reason": one.reason,
            }
            for stage, one in found.answers
        ],
        "features": [
            {
                "name": one.name,
                "value": one.value,
                "applied": one.applied,
                "skipped": one.skipped,
                "changes": one.changes,
            }
            for one in found.features
        ],
        "changes": [{"where": change.where, "lines": change.lines} for change in found.changes],
        "notes": found.notes,
        "size": len(mail.raw),
        "size_after": len(found.message),
    }
