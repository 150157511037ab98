"""/api/v1/audit: who changed what."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from gatepost_core.service import auditing
from gatepost_dashboard.api import answers
from gatepost_dashboard.api.acting import Acting
from gatepost_dashboard.api.lists import Account, After, Limit, Text, listed
from gatepost_dashboard.http import cursor

router = APIRouter(prefix="/audit", tags=["audit"])
_NAME: Final = "audit"


@router.get("", response_model=answers.AuditLog)
def list_audit_log(
    acting: Acting,
    request: Request,
    response: Response,
    object: Annotated[Text, Query(description="Of this object alone.")] = "",
    account: Account = None,
    limit: Limit = 100,
    after: After = "",
) -> dict[str, Any]:
    """List what was changed, the newest first: by whom, from where, before and after."""
    found = auditing.page(acting, account, object, limit, cursor.read(_NAME, after))
    items = [auditing.entry_data(one) for one in found.items]
    return listed(request, response, _NAME, items, found.cursor, limit)
