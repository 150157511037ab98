"""/api/v1/tokens: API tokens."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request, Response

from gatepost_core.domain.access import scopes
from gatepost_core.service import tokens
from gatepost_core.service.views import token_data
from gatepost_dashboard.api import answers, bodies, reading
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Limit, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/tokens", tags=["tokens"])
_NAME: Final = "tokens"


@router.get("", response_model=answers.Tokens)
def list_tokens(
    acting: Acting,
    request: Request,
    response: Response,
    account: Account = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List tokens, the oldest first."""
    place = cursor.read(_NAME, after)
    found = [one for one in tokens.every(acting, account) if one.id > place]
    items = [token_data(one, acting.now) for one in found[:limit]]
    return listed(request, response, _NAME, items, items[-1]["id"] if len(found) > limit else "", limit)


@router.post("", status_code=201, response_model=answers.MadeToken)
def make_token(
    acting: Acting,
    response: Response,
    new: Annotated[bodies.NewToken, Body(examples=[{"name": "shop", "scopes": ["credentials"]}])],
) -> dict[str, Any]:
    """Make a token. Its text is in this answer and in no other."""
    with reading.of("scopes"):
        wanted = scopes(new.scopes)
    made = tokens.add(acting, tokens.New(new.name, wanted, new.account, tuple(new.networks), new.expires_at))
    response.headers["Location"] = f"/api/v1/tokens/{made.token.id}"
    return {**token_data(made.token, acting.now), "token": made.text}


@router.get("/{token_id}", response_model=answers.Token)
def show_token(acting: Acting, token_id: str) -> dict[str, Any]:
    """Show one token, without its text."""
    return token_data(tokens.show(acting, token_id), acting.now)


@router.delete("/{token_id}", status_code=204)
def remove_token(acting: Acting, token_id: str) -> None:
    """Remove a token; it counts for nothing from now on."""
    tokens.remove(acting, token_id)
