"""``gatepost event show``: a refusal, by the reference that a client heard, with what it means."""

from __future__ import annotations

from typing import Any

import click

from gatepost_cli import behind, complete
from gatepost_cli.event_view import account_names, data_of
from gatepost_cli.output import FACTS, Table, emit, remark, stamp
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import NotFound, shown
from gatepost_core.domain.decision.refusals import found
from gatepost_core.domain.decision.refusals.advice import Advice, advice
from gatepost_core.store import accounts, events
from gatepost_core.store.events import Event

_NOWHERE = (
    "no refusal with the reference {} is recorded; the log of gatepost-policy or gatepost-milter of that "
    "time has it (reference={}). Of each credential so many an hour are recorded "
    "(accounts.refusals_per_hour), and none that had no login"
)


def _reference(_ctx: click.Context, _param: click.Parameter, text: str) -> str:
    reference = found(text)
    if not reference:
        raise click.BadParameter(
            f"{shown(text)} is no reference; expected eight letters and digits, such as K7Q2M9XD, or a reply "
            "that ends in one"
        )
    return reference


@click.command("show")
@click.argument("reference", metavar="REF", callback=_reference)
@click.option(
    "--account",
    metavar="ACCOUNT",
    shell_complete=complete.account_names,
    help="Only if it is this account's.",
)
@json_option
@pass_session
def show(session: CliSession, /, reference: str, account: str | None) -> None:
    """Show what was refused to a client, by the reference that its reply ends in, and what to do.

    REF is the reference, in any case of letters, or the whole reply.
    """
    missing = behind.look(session)
    names = account_names(session)
    only = None
    if account is not None:
        with session.directory() as connection:
            only = accounts.get(connection, account).id
    with session.journal() as connection:
        try:
            newest, *older = events.of_reference(connection, reference, only)
        except NotFound as error:
            behind.tell(session, missing)
            raise NotFound(_NOWHERE.format(reference, reference)) from error
    told = advice(_reply(newest), newest.credential)
    emit(session, _data(newest, names, told), facts_of(newest, names, told))
    if older:  # by chance: of 100,000 refusals there are two with the same one once in 200 gateways
        remark(
            session,
            f"Note: {len(older)} older ones have the same reference.",
            older=[one.id for one in older],
        )


def _data(event: Event, names: dict[int, str], told: Advice | None) -> dict[str, Any]:
    return data_of(event, names) | {
        "meaning": told.when if told else None,
        "advice": told.remedy if told else None,
    }


def facts_of(event: Event, names: dict[int, str], told: Advice | None) -> Table:
    """Return a refusal for a person."""
    detail = event.detail
    number = detail.get("recipients")
    several = f"{number} recipients" if isinstance(number, int) and number > 1 else ""
    pairs = [
        ("reference", str(detail.get("reference", ""))),
        ("time", stamp(event.time) or ""),
        ("account", names.get(event.account_id) or "removed"),
        ("credential", event.credential),
        ("stage", f"{detail.get('stage', '')}, by gatepost-{detail.get('source', '')}"),
        ("reason", str(detail.get("reason", ""))),
        ("sender", str(detail.get("sender", "")) or "<>"),
        ("recipient", event.recipient or several),
        ("client", str(detail.get("ip", ""))),
        ("queue id", str(detail.get("queue_id", ""))),
        ("reply", str(detail.get("reply", ""))),
        ("when it comes", told.when if told else ""),
        ("what to do", told.remedy if told else "see docs/replies.md"),
    ]
    if "last_of_hour" in detail:
        more = f"the last of {detail['last_of_hour']} that were recorded of the credential in that hour"
        pairs.append(("note", f"{more}; the daemon's log has any others"))
    return Table(FACTS, [(name, value) for name, value in pairs if value], prose=("value",))


def _reply(event: Event) -> str:
    """Return what was answered, without its reference."""
    return str(event.detail.get("reply", "")).rpartition(" (ref ")[0]
