"""``gatepost domain grant``, ``revoke`` and ``walls``: who may use which domain beside its owner."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from gatepost_cli.complete import account_names, domain_names
from gatepost_cli.output import emit, facts, note
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_core.domain import WallMode, shown
from gatepost_core.domain.rules import normal_domain
from gatepost_core.domain.walls import Walls, own_name
from gatepost_core.store import StoreError
from gatepost_core.store.claims import grants

if TYPE_CHECKING:
    from gatepost_core.settings import Settings

_MEANING = {
    WallMode.ENFORCE: "mail that uses another account's domain is refused",
    WallMode.REPORT: "mail that uses another account's domain passes; 'gatepost doctor' lists it",
}


@click.command("grant")
@click.argument("name", shell_complete=domain_names)
@click.option(
    "--to", "account", required=True, metavar="ACCOUNT", shell_complete=account_names, help="Who may use it."
)
@json_option
@pass_session
def grant(session: CliSession, name: str, account: str) -> None:
    """Let another account use a domain as if it were its own: send, sign, count clicks and take bounces.

    For an agency and its customer. It counts at once, for the name and all below it that is not registered by
    itself, and until 'gatepost domain revoke'. The gateway's own names can be granted too.
    """
    with session.changing() as work:
        new = grants.grant(work.connection, name, account, work.now, own(session.settings))
        work.note("domain.grant", normal_domain(name), account, None, {"granted_to": account})
    data = {"domain": normal_domain(name), "account": account, "changed": new}
    emit(session, data, f"{data['domain']} {'may' if new else 'could'} be used by account {account}.")


@click.command("revoke")
@click.argument("name", shell_complete=domain_names)
@click.option(
    "--from",
    "account",
    required=True,
    metavar="ACCOUNT",
    shell_complete=account_names,
    help="Who may not use it any more.",
)
@json_option
@pass_session
def revoke(session: CliSession, name: str, account: str) -> None:
    """Take a grant back: from the next message on."""
    with session.changing() as work:
        grants.revoke(work.connection, name, account)
        work.note("domain.revoke", normal_domain(name), account, {"granted_to": account})
    data = {"domain": normal_domain(name), "account": account}
    emit(session, data, f"{data['domain']} is closed to account {account} again.")


@click.command("walls")
@click.argument("mode", required=False, type=click.Choice([mode.value for mode in WallMode]))
@json_option
@pass_session
def walls(session: CliSession, mode: str | None) -> None:
    """Show whether mail that uses another account's domain is refused, or set it in the store.

    The setting accounts.walls, unless it is 'store', has the last word. Grants of the gateway's own names are
    shown too.
    """
    if mode is not None:
        with session.changing() as work:
            before = grants.walls(work.connection)
            grants.set_walls(work.connection, WallMode(mode))
            work.note("wall.set", "walls", None, {"walls": before.value}, {"walls": mode})
    with session.directory() as connection:
        stored, granted = grants.walls(connection), grants.of_nobody(connection)
    setting = session.settings.accounts.wall_mode
    force = setting or stored
    said = session.settings.accounts.walls
    data = {"walls": force.value, "store": stored.value, "setting": said, "own_names_granted": granted}
    rows = [
        ("in force", f"{force}: {_MEANING[force]}"),
        ("the store says", stored.value),
        ("accounts.walls", said),
        *((name, f"the gateway's own, granted to {', '.join(to)}") for name, to in granted.items()),
    ]
    emit(session, data, facts(rows))


def closed(walls: Walls, account_id: int, senders: Iterable[str]) -> list[str]:
    """Return the sender patterns that are of another account's domain, or the gateway's own.

    Raises StoreUnavailable.
    """
    return [pattern for pattern in senders if walls.wall(account_id, pattern_domain(pattern)) is not None]


def pattern_domain(pattern: str) -> str:
    """Return the domain of a sender pattern: of an address, of itself, or of what it lies below."""
    return pattern.rpartition("@")[2].removeprefix("*.")


def note_closed(session: CliSession, user: str) -> None:
    """Say which of a credential's sender patterns help nothing."""
    if session.as_json:
        return
    with session.reader() as reader:
        credential = reader.credential(user)
        if credential is not None and credential.rules.senders:
            walls = Walls(reader, own(session.settings), session.settings.accounts.wall_mode)
            for pattern in closed(walls, credential.account_id, credential.rules.senders):
                note(
                    session,
                    f"{pattern} is of a domain that another account registered, or of the gateway's own; "
                    f"it helps once that is granted: 'gatepost domain grant NAME --to {credential.account}'.",
                )


def own(settings: Settings) -> list[str]:
    """Return the gateway's own names in A-labels, as far as the settings have them."""
    return [normal_domain(name) for name in settings.own_names if name]


def check_own(settings: Settings, names: list[str]) -> None:
    """Raise StoreError if one of these names, to be registered, is the gateway's own or below it."""
    for name in names:
        ours = own_name(normal_domain(name), own(settings))
        if ours:
            raise StoreError(
                f"{shown(name)} is a name of the gateway's own ({ours}), which belongs to the operator; "
                "choose another, or let the account have it with --gateway-name"
            )
