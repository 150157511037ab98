"""``gatepost explain``: what would happen to a message, and why, without sending it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gatepost_cli.complete import credential_names
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, clean, emit, note
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import Decision, Pass

if TYPE_CHECKING:
    from gatepost_cli.explanation import Explanation, FeatureOutcome, Mail
    from gatepost_cli.maildiff import Within

_SHOWN = 240  # characters of a changed line; --json has all
_REFUSED = 1
_FEW, _ALL = 5, 1_000_000  # edits of a feature in a part


def client_address(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str:
    """Return the IP address of ``--client``, empty without one."""
    try:
        return "" if text is None else str(ip_address(text))
    except ValueError as error:
        raise click.BadParameter(f"{error}; expected something like 192.0.2.7") from error


@click.command("explain", help=NOUNS["explain"].help)
@click.argument(
    "file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
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
    "--client",
    metavar="ADDRESS",
    callback=client_address,
    help="IP address that it comes from; default: one that the credential may log in from.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the message there as it would leave the milter.",
)
@click.option("--all", "everything", is_flag=True, help="Show every edit, not the first few of each feature.")
@json_option
@pass_session
def command(
    session: CliSession,
    file: Path,
    credential: str,
    sender: str | None,
    recipients: tuple[str, ...],
    client: str,
    output: Path | None,
    everything: bool,
) -> int:
    """Explain one message, from a file or standard input. Exit code 0: it would be accepted; 1: refused."""
    explanation = importlib.import_module("gatepost_cli.explanation")
    rows = importlib.import_module("gatepost_core.store.credentials")
    raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    mail = replace(_mail(explanation, raw, credential, sender, recipients), client=client)
    with session.directory() as connection:
        rows.get(connection, credential)
    view = importlib.import_module("gatepost_cli.limit_view")
    with session.reader() as reader, view.counters(session) as counters:
        explainer = explanation.Explainer(session.settings, session.keyring, reader, counters, session.now)
        found: Explanation = explainer.explain(mail)
    if output is not None and found.accepted:
        output.write_bytes(found.message)
    _emit(session, mail, found, _ALL if everything else _FEW)
    return 0 if found.accepted else _REFUSED


def _mail(
    explanation: Any, raw: bytes, username: str, sender: str | None, recipients: tuple[str, ...]
) -> Mail:
    eml = importlib.import_module("gatepost_milter.parts.eml")
    addresses = importlib.import_module("gatepost_milter.parts.addresses")
    headers, _ = eml.read(raw)
    authors = [one for one in addresses.from_addresses(headers) if one != addresses.UNREADABLE]
    envelope = sender if sender is not None else next(iter(authors), "")
    to = recipients or tuple(addresses.recipient_addresses(headers))
    if not to:
        raise click.UsageError("the message names no recipient; give one with --to")
    mail: Mail = explanation.Mail(username, envelope.strip("<>"), to, raw)
    return mail


def _emit(session: CliSession, mail: Mail, found: Explanation, most: int) -> None:
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
    click.echo()
    columns = ("feature", "value", "result", "what it changes, or why it does not")
    emit(session, None, Table(columns, [_row(one) for one in found.features], prose=(columns[1], columns[3])))
    for line in (*_envelope(mail, found), *_changed(found, most), ""):
        click.echo(clean(line.replace("\t", " ")))
    for text in found.notes:
        click.echo(f"note: {clean(text)}")


def _envelope(mail: Mail, found: Explanation) -> Iterator[str]:
    """Yield the envelope as it was and as it leaves."""
    changed = "" if found.sender == mail.sender else f" becomes <{found.sender}>"
    yield ""
    yield "envelope:"
    yield f"  sender     <{mail.sender}>{changed}"
    for recipient in mail.recipients:
        yield f"  recipient  <{recipient}>"


def _changed(found: Explanation, most: int) -> Iterator[str]:
    """Yield the header's lines that changed, what is encoded anew, and each feature's edits in the parts."""
    diff = importlib.import_module("gatepost_cli.maildiff")
    for change in found.changes:
        lines = change.lines if change.where == "header" else _in_words(change.lines)
        if lines:
            yield from ("", f"{change.where}:")
            for line in diff.shortened(lines, _SHOWN):
                yield f"  {line}"
    for one in found.features:
        for share in one.shares:
            edits = diff.within(share.lines) if share.where != "header" else []
            if edits:
                yield from ("", f"{share.where}, {one.name}:")
                yield from (f"  {_edit(edit)}" for edit in edits[:most])
            if len(edits) > most:
                yield f"  … and {len(edits) - most} more; --all shows them"


def _in_words(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line[:2] not in ("- ", "+ ")]


def _edit(edit: Within) -> str:
    """Return what was replaced, or only came or went, each side cut to what a person reads."""
    was, now = (text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…" for text in (edit.was, edit.now))
    if not was:
        return f"+ {now}"
    return f"{was} → {now}" if now else f"- {was}"


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
    diff = importlib.import_module("gatepost_cli.maildiff")
    return {
        "credential": mail.username,
        "sender": mail.sender,
        "sender_after": found.sender if found.accepted else None,
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
                "edits": [
                    {"where": share.where, "was": edit.was, "now": edit.now}
                    for share in one.shares
                    for edit in diff.within(share.lines)
                ],
            }
            for one in found.features
        ],
        "changes": [{"where": change.where, "lines": change.lines} for change in found.changes],
        "notes": found.notes,
        "size": len(mail.raw),
        "size_after": len(found.message),
    }
