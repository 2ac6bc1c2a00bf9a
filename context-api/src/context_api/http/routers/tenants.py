"""Tenants: teams of their own behind one hub."""

from __future__ import annotations

from fastapi import APIRouter

from context_api.application import tenants
from context_api.application.requests import CreateTenant
from context_api.http import reports
from context_api.http.access import API
from context_api.http.answers import Json, answer
from context_api.http.dto import Asking
from context_api.http.refusals import refuses
from context_api.http.route import HubRoute
from memory_core.errors import AlreadyExists

router = APIRouter(prefix=f"{API}/tenants", tags=["tenants"], route_class=HubRoute)


@router.post(
    "", status_code=201, response_model=reports.NewTenant, responses=refuses(AlreadyExists)
)
async def create_tenant(ask: Asking, body: CreateTenant) -> Json:
    """Make a tenant; its first admin key is in this answer and nowhere else."""
    return answer(await tenants.create(ask.services, ask.caller, body), 201)


@router.get("", response_model=reports.TenantList)
async def list_tenants(ask: Asking) -> Json:
    """List the tenants with their sizes; only for the hub's own key."""
    return answer({"items": [*await tenants.list_(ask.services, ask.caller)]})
