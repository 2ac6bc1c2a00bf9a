"""The audit log: who did what to keys, tenants and the hub."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from context_api.application import audit, tenants
from context_api.http import reports
from context_api.http.access import API
from context_api.http.answers import Json, answer, listing
from context_api.http.dto import Asking, CheckAudit, ListAudit
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from memory_core.errors import InvalidCursor, NotFound

router = APIRouter(prefix=f"{API}/audit", tags=["audit"], route_class=HubRoute)


@router.get("", response_model=reports.AuditList, responses=refuses(InvalidCursor, NotFound))
async def list_audit(ask: Asking, query: Annotated[ListAudit, Query()]) -> Json:
    """List the audit log, newest entry first."""
    caller = await tenants.acting_in(ask.services, ask.caller, query.tenant)
    found = await audit.list_(ask.services, caller, query.page, query.act)
    return listing(found.items, found.next_cursor)


@router.post("/verify", response_model=reports.AuditVerification, responses=refuses(NotFound))
async def verify_audit(ask: Asking, query: Annotated[CheckAudit, Query()]) -> Json:
    """Follow the audit log link by link, and compare it with a head that was kept."""
    caller = await tenants.acting_in(ask.services, ask.caller, query.tenant)
    anchor = None
    if query.anchor is not None:
        seq, _, digest = query.anchor.partition(":")
        anchor = (int(seq), digest)
    return answer(await audit.verify(ask.services, caller, anchor))
