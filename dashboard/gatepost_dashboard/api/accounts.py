"""/api/v1/accounts: who owns credentials and domains."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request, Response

from gatepost_core.domain.rules.catalogue import RULES
from gatepost_core.service import accounts
from gatepost_core.service.views import account_data
from gatepost_dashboard.api import answers, bodies, reading
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import After, Limit, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/accounts", tags=["accounts"])
_NAME: Final = "accounts"


@router.get("", response_model=answers.Accounts)
def list_accounts(
    acting: Acting, request: Request, response: Response, limit: Limit = 100, after: After = ""
) -> dict[str, Any]:
    """List accounts by name; a token of an account sees its own."""
    found = accounts.page(acting, limit, cursor.read(_NAME, after))
    items = [account_data(one, acting.settings) for one in found.items]
    return listed(request, response, _NAME, items, found.cursor, limit)


@router.post("", status_code=201, response_model=answers.Account)
def make_account(
    acting: Acting,
    response: Response,
    new: Annotated[bodies.NewAccount, Body(examples=[{"name": "acme", "limits": ["10K/day"]}])],
) -> dict[str, Any]:
    """Make an account; for operators."""
    account = accounts.add(acting, new.name, _values(new))
    response.headers["Location"] = f"/api/v1/accounts/{account.name}"
    return account_data(account, acting.settings)


@router.get("/{name}", response_model=answers.Account)
def show_account(acting: Acting, name: str) -> dict[str, Any]:
    """Show one account."""
    return account_data(accounts.show(acting, name), acting.settings)


@router.patch("/{name}", response_model=answers.Account)
def change_account(
    acting: Acting,
    name: str,
    change: Annotated[bodies.AccountChange, Body(examples=[{"keep_days": 90}])],
) -> dict[str, Any]:
    """Change an account; for operators."""
    return account_data(accounts.change(acting, name, _values(change)), acting.settings)


def _values(body: bodies.AccountChange) -> dict[str, Any]:
    given = {name: getattr(body, name) for name in body.model_fields_set}
    values: dict[str, Any] = {
        name: given[name] for name in ("image_quota", "keep_days", "route", "bounces") if name in given
    }
    if "time_zone" in given:
        values["time_zone"] = reading.time_zone(given["time_zone"])
    if "limits" in given:
        values["limits"] = reading.limits(given["limits"])
    if rules := {name: given[name] for name in RULES if name in given}:
        values["rules"] = reading.rules(rules)
    return values
