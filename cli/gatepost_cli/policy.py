"""``gatepost policy``: what the rules say to a transaction, before there is a message."""

from __future__ import annotations

import importlib
import itertools
import shutil
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from gatepost_cli import values
from gatepost_cli.complete import credential_names
from gatepost_cli.explain import client_address
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit, note, stamp
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_cli.table import wrapped

if TYPE_CHECKING:
    from gatepost_cli.trial import Step

_REFUSED = 1
_VERSIONS = ("1", "1.1", "1.2", "1.3")


@click.group(cls=Group, help=NOUNS["policy"].help)
def command() -> None:
    """Hold the verbs."""


@command.command("test")
@click.option(
    "--credential",
    "user",
    required=True,
    metavar="USER",
    shell_complete=credential_names,
    help="The login that would send it.",
)
@click.option(
    "--to",
    "recipients",
    multiple=True,
    required=True,
    metavar="ADDRESS",
    help="A recipient. May be given several times.",
)
@click.option(
    "--from", "sender", default="", metavar="ADDRESS", help="Envelope sender; default: <>, which is nobody."
)
@click.option(
    "--size", metavar="SIZE", callback=values.amount, help="Bytes of the message, such as 500K or 20M."
)
@click.option(
    "--client",
    metavar="ADDRESS",
    callback=client_address,
    help="IP address that it comes from; default: one that the credential may log in from.",
)
@click.option(
    "--tls",
    type=click.Choice(_VERSIONS),
    default="1.3",
    show_default=True,
    help="Version of TLS that the session has.",
)
@click.option(
    "--at",
    "when",
    metavar="TIME",
    callback=values.any_moment,
    help="When it comes: 2027-01-31T18:00 (UTC unless it says otherwise), or 90m, 24h, 7d from now; default: "
    "now.",
)
@json_option
@pass_session
def test(
    session: CliSession,
    user: str,
    recipients: tuple[str, ...],
    sender: str,
    size: int,
    client: str,
    tls: str,
    when: datetime | None,
) -> int:
    """Play a transaction against the rules, step by step; nothing is sent, and nothing counted.

    Exit code 0: it would be accepted, for one recipient at least; 1: it would be refused. Of a message that
    exists 'gatepost explain' says more: its From, features and signature.
    """
    trial = importlib.import_module("gatepost_cli.trial")
    rows = importlib.import_module("gatepost_core.store.credentials")
    view = importlib.import_module("gatepost_cli.limit_view")
    mail = trial.Transaction(user, sender.strip("<>"), recipients, size, client, f"TLSv{tls}")
    with session.directory() as connection:
        rows.get(connection, user)
    now = when or session.now
    with session.reader() as reader, view.counters(session) as counters:
        player = trial.Trial(session.settings, session.keyring, reader, counters, now)
        steps: list[Step] = list(player.steps(mail))
    accepted = steps[-1].passed and steps[-1].stage == "end of message"
    _emit(session, mail, now, steps, accepted=accepted)
    return 0 if accepted else _REFUSED


def _emit(session: CliSession, mail: Any, now: datetime, steps: list[Step], *, accepted: bool) -> None:
    data = {
        "credential": mail.username,
        "sender": mail.sender,
        "recipients": list(mail.recipients),
        "size": mail.size,
        "at": stamp(now),
        "accepted": accepted,
        "steps": [
            {
                "stage": step.stage,
                "rule": step.rule,
                "passed": step.passed,
                "reply": "" if step.passed else str(step.decision),
                "reason": "" if step.decision is None else step.decision.reason,
            }
            for step in steps
        ],
    }
    emit(session, data, "\n".join(_told(steps)))
    if not accepted:
        note(session, "The message would be refused.")


def _told(steps: list[Step]) -> Iterator[str]:
    """Yield the lines for people: each stage, and below it the rules with their answers."""
    wide = max(len(step.rule) for step in steps)
    width = shutil.get_terminal_size().columns
    for stage, asked in itertools.groupby(steps, lambda step: step.stage):
        yield click.style(stage, bold=True)
        for step in asked:
            begin = f"  {'passes ' if step.passed else 'REFUSED'}  {step.rule:{wide}}  "
            why = wrapped(_why(step), max(width - len(begin), 30), 0)
            yield "\n".join([begin + why[0], *(" " * len(begin) + line for line in why[1:])]).rstrip()


def _why(step: Step) -> str:
    if step.decision is None:
        return ""
    return step.decision.reason if step.passed else f"{step.decision} ({step.decision.reason})"
