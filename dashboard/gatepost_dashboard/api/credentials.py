"""/api/v1/credentials: SMTP logins."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Body, Query, Request, Response

from gatepost_core.domain import Source
from gatepost_core.domain.rules.catalogue import RULES
from gatepost_core.service import Wanted, credentials
from gatepost_core.service.views import credential_data, suspension_data
from gatepost_dashboard.api import answers, bodies, reading
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Limit, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/credentials", tags=["credentials"])
_NAME: Final = "credentials"
_OPTIONS: Final = (
    "overrides", "edit_signed", "header_add", "header_drop", "unsubscribe_scope", "transactional", "route",
)  # fmt: skip


@router.get("", response_model=answers.Credentials)
def list_credentials(
    acting: Acting,
    request: Request,
    response: Response,
    account: Account = None,
    label: Annotated[str, Query(max_length=255, description="A part of the label.")] = "",
    state: Annotated[
        Literal["", "active", "disabled", "suspended", "expired"], Query(description="Only those.")
    ] = "",
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List credentials, the newest first."""
    place = cursor.number(_NAME, after)
    found = credentials.page(acting, Wanted(account, label, state), limit, place)
    items = [credential_data(one, use, acting.now) for one, use in found.items]
    return listed(request, response, _NAME, items, found.cursor, limit)


@router.post("", status_code=201, response_model=answers.MadeCredential)
def make_credential(
    acting: Acting,
    response: Response,
    new: Annotated[
        bodies.NewCredential,
        Body(examples=[{"account": "acme", "label": "invoices", "features": {"trackclicks": True}}]),
    ],
) -> dict[str, Any]:
    """Make a credential. Its password is in this answer and in no other."""
    given = _values(new)
    made = credentials.add(
        acting,
        credentials.New(account=new.account, username=new.username, source=Source(new.source), **given),
    )
    response.headers["Location"] = f"/api/v1/credentials/{made.credential.username}"
    return {**credential_data(made.credential, None, acting.now), "password": made.password}


@router.get("/{username}", response_model=answers.Credential)
def show_credential(acting: Acting, username: str) -> dict[str, Any]:
    """Show one credential, with its warnings and suspensions."""
    credential, use, past = credentials.show(acting, username)
    data = credential_data(credential, use, acting.now)
    return {**data, "suspensions": [suspension_data(one) for one in past]}


@router.patch("/{username}", response_model=answers.Credential)
def change_credential(
    acting: Acting,
    username: str,
    change: Annotated[bodies.CredentialChange, Body(examples=[{"label": "invoices, from May on"}])],
) -> dict[str, Any]:
    """Change what is named; rules, limits and header fields are replaced whole."""
    return credential_data(credentials.change(acting, username, _values(change)), None, acting.now)


@router.delete("/{username}", status_code=204)
def remove_credential(acting: Acting, username: str) -> None:
    """Remove a credential for good; the records of its messages stay."""
    credentials.remove(acting, username)


@router.post("/{username}/rotate", response_model=answers.Rotated)
def rotate_credential(acting: Acting, username: str, rotation: bodies.Rotation) -> dict[str, Any]:
    """Make a new password, told this once; the one until now stays valid for a while."""
    made = credentials.rotate(acting, username, reading.seconds(rotation.overlap_seconds))
    until = None if made.old_until is None else reading.stamp(made.old_until)
    return {"username": username, "password": made.password, "old_password_until": until}


@router.post("/{username}/disable", response_model=answers.Credential)
def disable_credential(acting: Acting, username: str) -> dict[str, Any]:
    """Refuse a credential from now on, its open sessions included."""
    return credential_data(credentials.disable(acting, username), None, acting.now)


@router.post("/{username}/enable", response_model=answers.Credential)
def enable_credential(acting: Acting, username: str) -> dict[str, Any]:
    """Let a credential be used again. Only operators lift a suspension."""
    credential, _ = credentials.enable(acting, username)
    return credential_data(credential, None, acting.now)


def _values(body: bodies.CredentialChange) -> dict[str, Any]:
    """Return what was given, as the service layer takes it."""
    given = {name: getattr(body, name) for name in body.model_fields_set}
    values: dict[str, Any] = {name: given[name] for name in ("label", "mode", "expires_at") if name in given}
    if given.get("password_hash") is not None:
        values["password_hash"] = reading.password_hash(given["password_hash"])
    if "limits" in given:
        values["limits"] = reading.limits(given["limits"])
    if "features" in given:
        values["features"] = reading.features(given["features"])
    if rules := {name: given[name] for name in RULES if name in given}:
        values["rules"] = reading.rules(rules)
    options: dict[str, Any] = {name: given[name] for name in _OPTIONS if name in given}
    if options:
        values["options"] = reading.options(options)
    return values
