"""``gatepost webhook``: where accounts want their events sent."""

from __future__ import annotations

import importlib
import json
from datetime import datetime, timedelta
from typing import Any

import click
from click.core import ParameterSource

from gatepost_cli import webhook_view as view
from gatepost_cli.complete import account_names, webhook_names
from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import Table, emit, note, stamp
from gatepost_cli.session import CliSession, confirmed, json_option, pass_session
from gatepost_cli.values import span
from gatepost_cli.waiting import wait
from gatepost_cli.webhook_sent import log, replay
from gatepost_core.domain import ids
from gatepost_core.service import webhooks as service
from gatepost_core.service.views import webhook_data
from gatepost_core.service.webhooks import BY_HAND
from gatepost_core.store.webhooks import endpoints, filling, looking, outbox
from gatepost_core.store.webhooks.endpoints import Endpoint

FAILED = 1
# Beyond the time-out of a request: until gatepost-events has seen that there is something to send.
_TEST_SECONDS = 10.0
_KEEP = "Keep the secret now: it is not shown again. 'gatepost webhook rotate' makes another."


@click.group(cls=Group, help=NOUNS["webhook"].help)
def command() -> None:
    """Hold the verbs."""


_type = click.option(
    "--type",
    "types",
    metavar="TYPE",
    multiple=True,
    type=click.Choice(endpoints.TYPES),
    help="Only events of this type, such as delivered or bounced; may be given several times. Without it, "
    "all.",
)
_private = click.option(
    "--allow-private/--public-only",
    default=False,
    help="Let it lead to addresses that are not public, such as this host's, and by http://. For the "
    "operator's own: a customer would reach what he should not.",
)


@command.command("add")
@click.argument("url")
@click.option(
    "--account", required=True, metavar="ACCOUNT", shell_complete=account_names, help="Whose events are sent."
)
@_type
@click.option("--label", metavar="TEXT", default="", help="What it is for, in your words.")
@_private
@json_option
@pass_session
def add(
    session: CliSession, url: str, account: str, types: tuple[str, ...], label: str, allow_private: bool
) -> None:
    """Have an account's events sent to URL, from now on; show the secret that signs them, once."""
    handle, secret = endpoints.new_handle(), endpoints.new_secret()
    with session.changing() as work:
        asked = endpoints.Asked(url, types, label, allow_private)
        sealed = _sealed(session, handle, secret)
        made = endpoints.add(work.connection, account, asked, handle, sealed, work.now)
        work.note("webhook.add", handle, account, None, webhook_data(made, None))
    view.show_secret(session, made, secret)
    note(session, _KEEP)


@command.command("list")
@click.option("--account", metavar="ACCOUNT", shell_complete=account_names, help="Only this account's.")
@json_option
@pass_session
def list_(session: CliSession, account: str | None) -> None:
    """Show webhooks: how each fares, and how many events wait for it."""
    with session.directory() as connection:
        found = endpoints.list_all(connection, account)
    with session.journal() as connection:
        health = outbox.health(connection)
    data = [webhook_data(one, health.get(one.handle)) for one in found]
    rows = [view.row_of(one, health.get(one.handle)) for one in found]
    emit(session, data, Table(view.COLUMNS, rows, prose=("state",), drop=("label", "types")))


@command.command("show")
@click.argument("webhook", shell_complete=webhook_names)
@json_option
@pass_session
def show(session: CliSession, webhook: str) -> None:
    """Show a webhook, what waits for it, and what it answered last."""
    with session.directory() as connection:
        found = endpoints.get(connection, webhook)
    _show(session, found)


@command.command("set")
@click.argument("webhook", shell_complete=webhook_names)
@click.option("--url", metavar="URL", help="Where events are sent from now on, also those that wait.")
@_type
@click.option("--all-types", is_flag=True, help="Events of all types.")
@click.option("--label", metavar="TEXT", help="What it is for, in your words.")
@click.option(
    "--enable/--disable",
    "enabled",
    default=None,
    help="Send events, those from now on; or none, and give up what waits.",
)
@_private
@json_option
@pass_session
@click.pass_context
def set_(ctx: click.Context, session: CliSession, /, webhook: str, **given: Any) -> None:
    """Change a webhook. Events of the time that it was off are sent by 'gatepost webhook replay'."""
    if all(ctx.get_parameter_source(name) is ParameterSource.DEFAULT for name in given):
        raise click.UsageError("nothing to change; 'gatepost webhook set --help' says what can be")
    if given["types"] and given["all_types"]:
        raise click.UsageError("give --type or --all-types, not both")
    private = ctx.get_parameter_source("allow_private") is not ParameterSource.DEFAULT
    with session.changing() as work:
        connection, before = work.connection, endpoints.get(work.connection, webhook)
        found = endpoints.change(
            connection,
            webhook,
            url=given["url"],
            types=() if given["all_types"] else given["types"] or None,
            label=given["label"],
            allow_private=given["allow_private"] if private else None,
        )
        if given["enabled"]:
            found = endpoints.enable(connection, webhook, work.now)
        elif given["enabled"] is False:
            endpoints.switch_off(connection, webhook, BY_HAND, work.now)
            found = endpoints.get(connection, webhook)
        old, new = (webhook_data(one, None) for one in (before, found))
        work.note("webhook.set", webhook, found.account, old, new)
    _show(session, found)


@command.command("rotate")
@click.argument("webhook", shell_complete=webhook_names)
@click.option(
    "--overlap",
    metavar="TIME",
    default="24h",
    show_default=True,
    callback=span,
    help="How long the old secret signs as well, so that the receiver can be changed meanwhile.",
)
@json_option
@pass_session
def rotate(session: CliSession, webhook: str, overlap: timedelta) -> None:
    """Make a new secret, shown once; the old one signs beside it for a while."""
    secret, now = endpoints.new_secret(), session.now
    with session.changing() as work:
        sealed = _sealed(session, webhook, secret)
        changed = endpoints.rotate(work.connection, webhook, sealed, now, now + overlap)
        work.note("webhook.rotate", webhook, changed.account)
    view.show_secret(session, changed, secret)
    note(session, f"{_KEEP} The old one signs as well until {stamp(now + overlap)}.")


@command.command("test")
@click.argument("webhook", shell_complete=webhook_names)
@json_option
@pass_session
def test(session: CliSession, webhook: str) -> int:
    """Have gatepost-events send a signed event of the type ping now, once, and show the answer.

    Exit code 1 when it was not taken.
    """
    with session.directory() as connection:
        found = endpoints.get(connection, webhook)
    if found.state is not endpoints.EndpointState.ACTIVE:
        raise click.UsageError(f"{webhook} is off; 'gatepost webhook set {webhook} --enable' first")
    now = session.now
    number = ids.new(int(now.timestamp() * 1000))
    with session.store.journal(write=True) as connection:
        filling.put_test(connection, webhook, number, _ping(found, number, now), now)
    attempt = _answered(session, webhook, number)
    emit(session, view.attempt_data(attempt), Table(view.LOG_COLUMNS, [view.attempt_row(attempt)]))
    return 0 if attempt.ok else FAILED


@command.command("remove")
@click.argument("webhook", shell_complete=webhook_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_session
def remove(session: CliSession, webhook: str, yes: bool) -> None:
    """Remove a webhook, with its secret, its log, and what waits for it."""
    with session.directory() as connection:
        found = endpoints.get(connection, webhook)
    if not yes:
        confirmed(session, f"Remove the webhook {webhook} to {found.url}, and what waits for it?")
    service.remove(session.context, webhook)
    emit(session, {"removed": webhook}, f"Webhook {webhook} removed.")


for _verb in (log, replay):
    command.add_command(_verb)


def _sealed(session: CliSession, handle: str, secret: str) -> bytes:
    sealing = importlib.import_module("gatepost_core.keys.sealing")
    public = sealing.public_half(session.keyring)
    sealed: bytes = sealing.seal_for(public, secret.encode("ascii"), endpoints.place(handle))
    return sealed


def _show(session: CliSession, found: Endpoint) -> None:
    with session.journal() as connection:
        health = outbox.health(connection).get(found.handle)
        queue = looking.queue(connection, found.handle)
    emit(session, view.whole_data(found, health, queue), view.facts_of(found, health, queue))


def _ping(found: Endpoint, number: str, now: datetime) -> str:
    """Return an event as others are, of no message."""
    event: dict[str, Any] = {
        "id": number,
        "time": stamp(now),
        "type": endpoints.PING,
        "message": "",
        "recipient": "",
        "credential": "",
        "account": found.account,
        "tags": [],
        "metadata": {},
        "detail": {"webhook": found.handle},
    }
    return json.dumps(event, separators=(",", ":"))


def _answered(session: CliSession, handle: str, number: str) -> looking.Attempt:
    seconds = session.settings.webhooks.timeout + _TEST_SECONDS

    def look() -> list[looking.Attempt]:
        with session.journal() as connection:
            return looking.attempts(connection, handle, 1, event_id=number)

    if found := wait(look, seconds):
        return found[0]
    raise click.ClickException(
        f"gatepost-events has not sent it within {seconds:g} s; see whether it runs ('gatepost doctor')"
    )
