"""Credentials: made, changed, rotated, disabled, removed, listed. A password leaves here once."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from gatepost_core.domain import (
    BadValue,
    Credential,
    FeatureValue,
    Forbidden,
    ImportedSecret,
    Mode,
    NotFound,
    Options,
    Rules,
    Source,
    State,
    shown,
    stamp,
)
from gatepost_core.domain.limits import Limit
from gatepost_core.domain.limits.suspending import Suspension
from gatepost_core.domain.options import NO_ROUTE
from gatepost_core.domain.rules.catalogue import changed
from gatepost_core.keys.passwords import derive, new_password, new_username
from gatepost_core.service.changing import Change, changing
from gatepost_core.service.context import Context
from gatepost_core.service.views import credential_data, own_use
from gatepost_core.store import credentials as rows
from gatepost_core.store.credentials import listing, suspensions
from gatepost_core.store.ingest import usage
from gatepost_core.store.paging import Page

KIND: Final = "credentials"
Wanted = listing.Wanted
LABEL_MOST: Final = 255
NAME_MOST: Final = 255
OVERLAP_MOST: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class New:
    """A credential to be made. ``account`` '': the actor's own. ``rules``: for ``catalogue.changed``.

    ``username`` '': one is generated. Chosen names, other back ends and hashes of other systems are for
    operators; so are routes in ``options`` (fields of Options). ``limits`` None: the settings'.
    """

    account: str = ""
    username: str = ""
    source: Source = Source.STORE
    password_hash: str | None = None
    label: str = ""
    mode: Mode = Mode.LIVE
    features: Mapping[str, FeatureValue] = field(default_factory=dict)
    rules: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[Limit, ...] | None = None
    expires_at: datetime | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Made(NamedTuple):
    """A credential with its new password; None where another system knows it."""

    credential: Credential
    password: str | None
    old_until: datetime | None = None


class Shown(NamedTuple):
    """A credential, its last use, its warnings and suspensions."""

    credential: Credential
    use: usage.Usage | None
    past: list[Suspension]


def add(context: Context, new: New) -> Made:
    """Make a credential. Raises what ``service`` says."""
    context.need(KIND, write=True)
    account = context.own(new.account or None)
    if account is None:
        raise BadValue("account", "an account is needed; it is to own the credential")
    generated = new.source is Source.STORE and new.password_hash is None
    if new.username or not generated:
        context.operators("a chosen user name, or a password that another system knows,")
    _check_options(context, new.options)
    context.check_rules(new.rules)
    name = new.username or new_username()
    if new.username:
        name = checked_username(folded(context, new.source, new.username), new.source)
    elif not generated:
        raise BadValue("username", "a user name is needed when the password is not generated")
    password = new_password() if generated else None
    with changing(context) as change:
        made = rows.add(
            change.connection,
            account=account,
            username=name,
            derived=None if password is None else derive(context.keyring(), password),
            now=change.now,
            label=checked_label(new.label),
            features=dict(new.features),
            rules=changed(Rules(), new.rules),
            options=replace(Options(), **new.options),
            expires_at=_to_come(new.expires_at, change.now),
            mode=new.mode,
            limits=new.limits,
            source=new.source,
            imported=None if new.password_hash is None else ImportedSecret(new.password_hash),
        )
        change.note("credential.add", name, account, None, credential_data(made, None, change.now))
    return Made(made, password)


def change(context: Context, username: str, values: Mapping[str, Any]) -> Credential:
    """Change what is named: label, mode, limits, expires_at, features, rules, options, password_hash.

    Features are laid over those that it has; rules are for ``catalogue.changed``; options are fields of
    Options.
    """
    context.need(KIND, write=True)
    given = dict(values)
    if "label" in given:
        checked_label(given["label"])
    if "password_hash" in given:
        context.operators("a password hash of another system")
    _check_options(context, given.get("options", {}))
    context.check_rules(given.get("rules", {}))
    with changing(context) as work:
        before = _get(context, work.connection, username)
        if given.get("expires_at") is not None:
            _to_come(given["expires_at"], work.now)
        if "features" in given:
            given["features"] = {**before.features, **given["features"]}
        if "options" in given:
            given["options"] = replace(before.options, **given["options"])
        if "rules" in given:
            given["rules"] = changed(before.own_rules, given["rules"])
        hashed = given.pop("password_hash", None)
        if hashed is not None:
            if before.source is not Source.STORE:
                raise BadValue(
                    "password_hash", f"the password of {username} is kept by {before.source.value}"
                )
            given["imported"] = ImportedSecret(hashed)
        after = rows.change(work.connection, username, **given)
        _note(work, "credential.set", before, after, {"password_hash": "set"} if hashed is not None else {})
    return after


def rotate(context: Context, username: str, overlap: timedelta) -> Made:
    """Make a new password; the one until now stays valid for ``overlap``."""
    context.need(KIND, write=True)
    if not timedelta() <= overlap <= OVERLAP_MOST:
        raise BadValue("overlap", f"an overlap lasts at most {OVERLAP_MOST.days} days")
    password = new_password()
    with changing(context) as work:
        newest = _get(context, work.connection, username).secrets[-1:]
        derived = derive(context.keyring(), password, newest[0].scram_salt if newest else None)
        until = work.now + overlap
        credential = rows.rotate(work.connection, username, derived, work.now, until)
        ends = {"old_password_until": stamp(until) if overlap else None}
        work.note("credential.rotate", username, credential.account, None, ends)
    return Made(credential, password, until if overlap else None)


def disable(context: Context, username: str) -> Credential:
    """Have a credential refused from now on, its open sessions included."""
    context.need(KIND, write=True)
    with changing(context) as work:
        before = _get(context, work.connection, username)
        after = rows.change(work.connection, username, state=State.DISABLED)
        _note(work, "credential.disable", before, after)
    return after


def enable(context: Context, username: str) -> tuple[Credential, list[Suspension]]:
    """Let a credential be used again; return it, and the warnings and suspensions that are lifted.

    A suspension is lifted by operators alone: whom it stopped would only go on. Raises Forbidden.
    """
    context.need(KIND, write=True)
    with changing(context) as work:
        before = _get(context, work.connection, username)
        if before.suspension is not None and not context.actor.operator:
            raise Forbidden(
                f"credential {username} is suspended ({before.suspension}); an operator of the gateway has "
                "to lift that"
            )
        lifted: list[Suspension] = []
        if context.actor.operator:
            lifted = suspensions.lift(work.connection, before, work.now, context.actor.name)
        after = rows.change(work.connection, username, state=State.ACTIVE)
        _note(work, "credential.enable", before, after)
    return after, lifted


def remove(context: Context, username: str) -> None:
    """Remove a credential for good; the records of its messages stay."""
    context.need(KIND, write=True)
    with changing(context) as work:
        before = _get(context, work.connection, username)
        rows.remove(work.connection, username)
        work.note("credential.remove", username, before.account, credential_data(before, None, work.now))


def show(context: Context, username: str) -> Shown:
    """Return a credential with its last use, warnings and suspensions."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        credential = _get(context, connection, username)
        past = suspensions.history(connection, credential)
    with context.store.journal() as connection:
        return Shown(credential, own_use(credential, usage.of(connection, credential.id)), past)


def every(context: Context, account: str | None = None) -> list[tuple[Credential, usage.Usage | None]]:
    """Return all credentials, or an account's, by account and age, each with its last use."""
    context.need(KIND, write=False)
    with context.store.directory() as connection:
        found = rows.list_all(connection, context.own(account))
    with context.store.journal() as connection:
        used = usage.read(connection)
    return [(one, own_use(one, used.get(one.id))) for one in found]


def page(
    context: Context, wanted: listing.Wanted, limit: int, after: int | None = None
) -> Page[tuple[Credential, usage.Usage | None]]:
    """Return the newest credentials that are asked for, at most ``limit``, from an id on."""
    context.need(KIND, write=False)
    found = listed(context, wanted, limit, after)
    with context.store.journal() as connection:
        used = usage.of_many(connection, [one.id for one in found])
    cursor = str(found[-1].id) if len(found) == limit else ""
    return Page([(one, own_use(one, used.get(one.id))) for one in found], cursor)


def listed(context: Context, wanted: listing.Wanted, limit: int, after: int | None) -> list[Credential]:
    """Return the same without their last use, for other parts of the service layer: no scope is asked for."""
    asked = replace(wanted, account=context.own(wanted.account))
    with context.store.directory() as connection:
        return listing.page(connection, asked, context.now, limit, after)


def find(context: Context, username: str) -> Credential:
    """Return a credential that exists for the actor, for other parts of the service layer, as ``listed``."""
    with context.store.directory() as connection:
        return _get(context, connection, username)


def folded(context: Context, source: Source, username: str) -> str:
    """Return a name as the back end will look it up."""
    settings = context.settings
    fold = {Source.PAM: settings.pam.fold_case, Source.LDAP: settings.ldap.fold_case}.get(source, False)
    return username.lower() if fold else username


def checked_username(text: str, source: Source = Source.STORE) -> str:
    """Return a name as a login with it will arrive. Raises BadValue."""
    name = " ".join(unicodedata.normalize("NFKC", text[: 4 * NAME_MOST]).split())
    if not name or len(name) > NAME_MOST or not name.isprintable():
        raise BadValue(
            "username",
            f"{shown(text)} cannot be a user name; at most {NAME_MOST} characters, all visible",
        )
    if source is Source.STORE and " " in name:
        # Many clients cut a name at a blank. Those of a directory are what they are.
        raise BadValue("username", f"{shown(name)} has a blank in it; expected a name without one")
    return name


def checked_label(label: str) -> str:
    """Return a label. Raises BadValue."""
    if len(label) > LABEL_MOST or not label.isprintable():
        raise BadValue("label", f"a label has at most {LABEL_MOST} characters, on one line")
    return label


def _get(context: Context, connection: Connection, username: str) -> Credential:
    """Return a credential that exists for the actor. Raises NotFound."""
    found = rows.get(connection, username)
    if not context.wall(found.account):
        raise NotFound(f"no credential {shown(username)}; 'gatepost credential list' shows all")
    return found


def _check_options(context: Context, options: Mapping[str, Any]) -> None:
    route = options.get("route", "")
    if route:
        context.operators("a route")
        if route != NO_ROUTE and route not in context.settings.routes:
            raise BadValue("route", f"the settings have no [routes.{route[:60]}]")


def _to_come(ends: datetime | None, now: datetime) -> datetime | None:
    if ends is not None and ends <= now:
        raise BadValue("expires_at", f"{stamp(ends)} lies in the past; disable the credential to end it now")
    return ends


def _note(
    work: Change, action: str, before: Credential, after: Credential, more: Mapping[str, Any] | None = None
) -> None:
    old, new = (credential_data(one, None, work.now) for one in (before, after))
    work.note(action, after.username, after.account, old, {**new, **(more or {})})
