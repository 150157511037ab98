"""Users of a stack's dashboard, with passwords that are chosen as a person chooses one: by the link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatepost_core.domain.access import Role, node
from gatepost_core.keys import Keyring, chosen
from gatepost_core.service import Context
from gatepost_core.service.people import users
from gatepost_core.settings import Settings
from gatepost_core.store.access import users as rows
from gatepost_core.store.opening import open_backend

PASSWORD = "quiet rivers carry stones"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who signs in."""

    name: str
    password: str = PASSWORD


def context_of(settings: Settings) -> Context:
    """Return what the command works with."""
    return Context(
        node("tests"),
        open_backend(settings.store),
        settings,
        lambda: Keyring.load(settings.keys.directory),
    )


def person(
    settings: Settings, name: str, roles: Mapping[str, Role] | None = None, *, operator: bool = False
) -> Person:
    """Make a user with a password."""
    context = context_of(settings)
    user = users.add(context, name, operator=operator, roles=roles or {}).user
    with context.store.directory(write=True) as connection:
        rows.change(connection, user.id, password_hash=chosen.hashed(PASSWORD))
    return Person(user.name)


def sign_in(page: Any, base: str, who: Person) -> None:
    """Sign in with a browser's page."""
    page.goto(f"{base}sign-in")
    page.get_by_label("Name").fill(who.name)
    page.get_by_label("Password").fill(who.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "sign-in" not in url)
