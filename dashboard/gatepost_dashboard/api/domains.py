"""/api/v1/domains: sender domains."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from gatepost_core.service import domains
from gatepost_core.service.views import domain_data, keys_data
from gatepost_dashboard.api import answers
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Limit, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/domains", tags=["domains"])
_NAME: Final = "domains"


@router.get("", response_model=answers.Domains)
def list_domains(
    acting: Acting,
    request: Request,
    response: Response,
    account: Account = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List sender domains by name; a token of an account sees those that it owns."""
    place = cursor.read(_NAME, after)
    found = [one for one in domains.every(acting, account) if one.name > place]
    items = [domain_data(one) for one in found[:limit]]
    return listed(request, response, _NAME, items, items[-1]["name"] if len(found) > limit else "", limit)


@router.get("/{domain}", response_model=answers.DomainShown)
def show_domain(acting: Acting, domain: str) -> dict[str, Any]:
    """Show one sender domain, with the public halves of its DKIM keys."""
    found = domains.show(acting, domain)
    return {**domain_data(found), "keys": keys_data(found, acting.now)}
