"""What ``gatepost`` says when it is called alone: the way to the first message, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass

import click
from sqlalchemy import literal, select

from gatepost_cli import behind
from gatepost_cli.session import CliSession
from gatepost_core.keys import KeyringError
from gatepost_core.settings import SettingsError
from gatepost_core.store import StoreUnavailable, schema


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and what it is for."""

    command: str
    why: str


STEPS = (
    Step("gatepost store upgrade", "make databases and keys"),
    Step("gatepost account add acme", "an owner of credentials and domains"),
    Step("gatepost domain add example.com --account acme", "a sender domain: DKIM keys, DNS records"),
    Step("gatepost credential add --account acme --label shop --sender example.com", "a login"),
    Step("gatepost postfix-settings --apply", "add the ports to Postfix: shows what changes, and asks"),
    Step("gatepost doctor", "whether all of it works, by a message sent through it"),
)
_LATER = (
    Step("gatepost message list", "what was sent lately, and what became of each feature"),
    Step("gatepost explain FILE.eml --credential USER", "what would happen to a message, and why"),
    Step("gatepost --help", "every command"),
)


def show(session: CliSession) -> None:
    """Print the steps, those that are done marked."""
    done = _done(session)
    click.echo("Gatepost makes an SMTP gateway of a Postfix server. The first steps:\n")
    for number, step in enumerate(STEPS):
        mark = "done" if number < done else "next" if number == done else ""
        click.echo(f"{mark:<5} {step.command}\n      {step.why}")
    click.echo("\nLater:\n")
    for step in _LATER:
        click.echo(f"      {step.command}\n      {step.why}")


def _done(session: CliSession) -> int:
    """Return how many steps are done; -1 when that cannot be seen from here."""
    try:
        with session.directory() as connection:
            for number, table in enumerate((schema.accounts, schema.sender_domains, schema.credentials), 1):
                if connection.execute(select(literal(1)).select_from(table).limit(1)).first() is None:
                    return number
        behind.look(session)  # what was just sent counts
        with session.journal() as connection:
            sent = connection.execute(select(literal(1)).select_from(schema.messages).limit(1)).first()
    except (StoreUnavailable, SettingsError, KeyringError):
        return 0 if _missing(session) else -1
    return len(STEPS) if sent else 4


def _missing(session: CliSession) -> bool:
    """Say whether there is no store yet, which is where everybody begins."""
    try:
        return session.store.revision("directory") is None
    except (OSError, SettingsError, StoreUnavailable):
        return False
