"""Credentials: listed, made, shown, changed, rotated, disabled, removed. A password is in one answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from gatepost_core.domain import (
    CATALOGUE,
    BadValue,
    Conflict,
    Credential,
    FeatureError,
    MessageRecord,
    RuleError,
    State,
    in_force,
)
from gatepost_core.domain.limits import Kind, LimitError, verdicts
from gatepost_core.domain.logins import over, standing
from gatepost_core.domain.rules.catalogue import RULES, plain
from gatepost_core.postfix import connecting
from gatepost_core.postfix.snippets import Filled, snippets
from gatepost_core.service import credentials, messages
from gatepost_core.service.credentials import Made, New
from gatepost_core.service.messages import Wanted
from gatepost_core.service.showing import gauges, naming
from gatepost_core.service.showing.gauges import Gauge
from gatepost_dashboard.pages import credential_forms as fields
from gatepost_dashboard.pages.asked import Asked, query_of
from gatepost_dashboard.pages.forms import FormError
from gatepost_dashboard.pages.rendering import number, size
from gatepost_dashboard.pages.table import Table

table = Table()
KIND: Final = "credentials"
_STATES: Final = ("active", "disabled", "suspended", "expired")
_PAGE: Final = 50
_LATEST: Final = 8
_FIRST: Final = 20
_OVERLAPS: Final = (
    (0, "no time: it ends now"),
    (1, "an hour"),
    (24, "a day"),
    (168, "a week"),
    (720, "30 days"),
)
_DONE: Final = {
    "saved": "It is changed.",
    "active": "It is enabled: programs can log in with it again.",
    "disabled": "It is disabled: no program can send with it, open sessions included.",
    "removed": "The credential is removed.",
}
_UNFIT: Final = (FormError, BadValue, Conflict, FeatureError, RuleError, LimitError)


@table.page("/credentials", kind=KIND)
def listed(asked: Asked) -> Response:
    """Show credentials, the newest first."""
    query, state = asked.query.get("q", "").strip()[:200], asked.query.get("state", "")
    state = state if state in _STATES else ""
    chosen, names = asked.query.get("account", ""), naming.accounts(asked.context)
    last = asked.query.get("after", "")
    after = int(last) if last.isascii() and last.isdecimal() and len(last) < 16 else None
    found = credentials.page(
        asked.context,
        credentials.Wanted(account=chosen or None, label=query, state=state),
        _PAGE,
        after,
    )
    full = _full(asked, [one for one, _ in found.items])
    now = asked.context.now
    rows = [
        {
            "username": one.username,
            "label": one.label,
            "account": one.account,
            "standing": _standing(one, now),
            "mode": one.mode.value,
            "features": _features(one),
            "gauge": _worst(full[at]),
            "used_at": use.at if use else None,
            "used_ip": use.ip if use else "",
        }
        for at, (one, use) in enumerate(found.items)
    ]
    return asked.page(
        "credentials.html",
        rows=rows,
        query=query,
        state=state,
        states=_STATES,
        accounts=names,
        chosen=chosen,
        cursor=found.cursor,
        link=query_of(q=query, state=state, account=chosen),
        notice=_DONE["removed"] if asked.query.get("done") == "removed" else "",
    )


@table.page("/credentials/new", kind=KIND, write=True)
def new(asked: Asked) -> Response:
    """Show the form for a new one."""
    names = naming.accounts(asked.context)
    return _form(asked, fields.empty(names[0] if names else ""))


@table.change("/credentials", kind=KIND)
def make(asked: Asked) -> Response:
    """Make one, and show its password: here, and nowhere again."""
    try:
        account = asked.form.get("account", 64) or _only(naming.accounts(asked.context))
        wanted = New(account=account, **fields.changes(asked.form))
        made = credentials.add(asked.context, wanted)
    except _UNFIT as error:
        return _form(asked, fields.of_form(asked.form), why=f"{error}.")
    return _revealed(asked, made)


@table.page("/credentials/{username}", kind=KIND)
def show(asked: Asked) -> Response:
    """Show one."""
    found = credentials.show(asked.context, asked.places["username"])
    one, now = found.credential, asked.context.now
    latest: list[MessageRecord] = []
    if asked.may("messages"):
        latest = messages.page(asked.context, Wanted(credential=one.username), None, _LATEST).items
    valid = [secret for secret in one.secrets if not over(secret.expires_at, now)]
    return asked.page(
        "credential.html",
        one=one,
        label=one.label or one.username,
        standing=_standing(one, now),
        used=found.use,
        features=_features(one),
        rules=_rules(one),
        gauges=[_gauge(gauge) for gauge in _full(asked, [one])[0]],
        messages=latest,
        secrets=len(valid),
        overlap=valid[0].expires_at if len(valid) > 1 else None,
        overlaps=_OVERLAPS,
        writes=asked.may(KIND, write=True),
        links=asked.may("messages"),
        notice=_DONE.get(asked.query.get("done", ""), ""),
    )


@table.page("/credentials/{username}/arrival", kind=KIND)
def arrival(asked: Asked) -> Response:
    """Say whether a message of a credential has arrived: the part of a page that comes anew by itself."""
    asked.context.need("messages", write=False)
    one = credentials.show(asked.context, asked.places["username"]).credential
    found = messages.page(asked.context, Wanted(credential=one.username, since=one.created_at), None, _FIRST)
    arrived = found.items[-1] if found.items else None
    return asked.page("arrival.html", username=one.username, arrived=arrived)


@table.page("/credentials/{username}/edit", kind=KIND, write=True)
def edit(asked: Asked) -> Response:
    """Show the form for one."""
    one = credentials.show(asked.context, asked.places["username"]).credential
    return _form(asked, fields.of_credential(one), one)


@table.change("/credentials/{username}/edit", kind=KIND)
def save(asked: Asked) -> Response:
    """Change one."""
    one = credentials.show(asked.context, asked.places["username"]).credential
    try:
        wanted = fields.changes(asked.form)
        if asked.form.get("expires") == fields.of_credential(one).expires:
            del wanted["expires_at"]  # the form knows days alone
        credentials.change(asked.context, one.username, wanted)
    except _UNFIT as error:
        return _form(asked, fields.of_form(asked.form), one, why=f"{error}.")
    return asked.go(f"{_path(one)}?done=saved")


@table.change("/credentials/{username}/state", kind=KIND)
def set_state(asked: Asked) -> Response:
    """Disable one, or enable it."""
    username = asked.places["username"]
    if asked.form.get("state") == State.DISABLED:
        one = credentials.disable(asked.context, username)
    else:
        one, _ = credentials.enable(asked.context, username)
    return asked.go(f"{_path(one)}?done={one.state.value}")


@table.change("/credentials/{username}/rotate", kind=KIND)
def rotate(asked: Asked) -> Response:
    """Make a new password, and show it: here, and nowhere again."""
    one = credentials.show(asked.context, asked.places["username"]).credential
    hours = asked.form.get("overlap")
    if hours not in {str(one) for one, _ in _OVERLAPS}:
        raise FormError("that is no time for which a password can stay valid")
    made = credentials.rotate(asked.context, one.username, timedelta(hours=int(hours)))
    return _revealed(asked, made, rotated=True)


@table.change("/credentials/{username}/remove", kind=KIND)
def remove(asked: Asked) -> Response:
    """Remove one, whose name was typed."""
    one = credentials.show(asked.context, asked.places["username"]).credential
    if asked.form.get("name") != one.username:
        text = "What was typed is not its user name, so nothing was removed."
        return asked.told(422, "Not removed", text, back=_path(one))
    credentials.remove(asked.context, one.username)
    return asked.go("/credentials?done=removed")


def _form(asked: Asked, values: fields.Values, one: Credential | None = None, why: str = "") -> Response:
    names = naming.accounts(asked.context)
    return asked.page(
        "credential_form.html",
        422 if why else 200,
        title=f"Edit {one.label or one.username}" if one else "Make a credential",
        action=f"{_path(one)}/edit" if one else "/credentials",
        username=one.username if one else "",
        label=(one.label or one.username) if one else "",
        accounts=() if one or len(names) < 2 else names,
        modes=fields.MODES,
        features=fields.FEATURES,
        rules=tuple(RULES.values()),
        values=values,
        why=why,
    )


def _revealed(asked: Asked, made: Made, *, rotated: bool = False) -> Response:
    one = made.credential
    gateway = connecting.gateway(asked.parts.settings)
    sender = connecting.example_sender(one.rules.senders, naming.domain(asked.context, one.account))
    filled = Filled(gateway, one.username, made.password or "", sender, one.account)
    return asked.page(
        "credential_made.html",
        username=one.username,
        label=one.label or one.username,
        password=made.password,
        rotated=rotated,
        until=made.old_until,
        gateway=gateway,
        ports=gateway.told,
        sender=sender,
        snippets=snippets(filled),
        arrived=None,
    )


def _only(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ""


def _full(asked: Asked, found: Sequence[Credential]) -> list[list[Gauge]]:
    if not asked.may("limits"):
        return [[] for _ in found]
    return gauges.of_each(asked.context, found)


def _path(one: Credential) -> str:
    return f"/credentials/{quote(one.username, safe='')}"


def _standing(one: Credential, now: datetime) -> str:
    return standing(one, now) + (f": {one.suspension.cause.value}" if one.suspension is not None else "")


def _features(one: Credential) -> list[str]:
    """Return the features that are on, each with its value where it is not just on."""
    return [
        name if value is True else f"{name}: {', '.join(value) if isinstance(value, tuple) else value}"
        for name, value in in_force(one.features).items()
        if name in CATALOGUE and value != CATALOGUE[name].default
    ]


def _rules(one: Credential) -> list[dict[str, Any]]:
    found = []
    for name, value in plain(one.rules).items():
        if value:
            text = ", ".join(value) if isinstance(value, list) else str(value)
            own = bool(getattr(one.own_rules, name))
            found.append({"title": RULES[name].title, "text": text, "account": not own})
    return found


def _worst(found: Sequence[Gauge]) -> dict[str, Any] | None:
    return _gauge(max(found, key=lambda one: one.share)) if found else None


def _gauge(one: Gauge) -> dict[str, Any]:
    charge = one.charge
    return {
        "what": _told(one),
        "used": _amount(one.used, charge.limit.kind),
        "most": _amount(charge.most, charge.limit.kind),
        "share": one.share,
        "resets": one.resets,
        "name": "its own" if charge.scope == "credential" else f"all of {charge.name}",
    }


def _told(one: Gauge) -> str:
    """Return what is limited in words."""
    charge = one.charge
    span = verdicts.span(charge)
    what = span if charge.burst else f"{charge.limit.kind.value} {span}"
    return f"{what} (hold)" if charge.limit.hold else what


def _amount(value: int, kind: Kind) -> str:
    return size(value) if kind is Kind.BYTES else number(value)
