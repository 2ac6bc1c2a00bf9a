"""Tenants: teams that know nothing of each other. Only the hub's own key sees them all."""

from __future__ import annotations

from dataclasses import replace

from context_api.application import audit
from context_api.application.keys import new_key, shown_once
from context_api.application.ports import Tenant, Viewer
from context_api.application.requests import CreateTenant
from context_api.application.services import Services
from context_api.domain.caller import ADMIN, ROOT, Caller
from memory_core.clock import now
from memory_core.errors import AlreadyExists, NotFound
from memory_core.ids import uuid7
from memory_core.records import Document


async def create(services: Services, caller: Caller, body: CreateTenant) -> Document:
    """Makes a tenant and its first admin key, which is in the answer and nowhere else.

    Raises:
        Forbidden: this is not the hub's own key.
        AlreadyExists: there is a tenant of this name or id.
    """
    caller.require(ROOT)
    async with services.maintenance:
        for known in await _all(services):
            if body.id == known.id or body.name.casefold() == known.name.casefold():
                raise AlreadyExists(f"there is a tenant {known.name!r} with the id {known.id}")
        at = now()
        tenant = Tenant(id=body.id or uuid7(), name=body.name, created_at=at)
        key, secret = new_key(
            tenant_id=tenant.id, name="first key", owner=body.owner, scopes=(ADMIN,), at=at
        )
        async with services.uow.write(tenant.id) as tx:
            await tx.add_tenant(tenant.name, at)
            await tx.add_key(key)
            there = replace(caller, tenant_id=tenant.id)
            told = {"name": tenant.name, "owner": key.owner, "key": key.id}
            await audit.note(tx, there, "tenant.create", tenant.id, **told)
            await tx.commit()
    return {**_shown(tenant), "key": shown_once(key, secret)}


async def list_(services: Services, caller: Caller) -> list[Document]:
    """Returns all tenants, oldest first, with how many projects, events and live keys each has."""
    caller.require(ROOT)
    found: list[Document] = []
    for tenant in await _all(services):
        async with services.uow.read(_eyes(tenant.id)) as tx:
            heads = await tx.heads()
            keys = await tx.keys()
        found.append(
            {
                **_shown(tenant),
                "projects": len(heads),
                "events": sum(heads.values()),
                "keys": sum(key.works_at(now()) for key in keys),
            }
        )
    return found


async def acting_in(services: Services, caller: Caller, tenant_id: str | None) -> Caller:
    """Returns the caller as one of another tenant, which only the hub's own key may be.

    Raises:
        Forbidden: this is not the hub's own key.
        NotFound: there is no such tenant.
    """
    if tenant_id is None or tenant_id == caller.tenant_id:
        return caller
    caller.require(ROOT)
    async with services.uow.read(_eyes(tenant_id)) as tx:
        if await tx.tenant() is None:
            raise NotFound(f"there is no tenant {tenant_id}")
    return replace(caller, tenant_id=tenant_id)


async def _all(services: Services) -> list[Tenant]:
    found: list[Tenant] = []
    for tenant_id in await services.uow.tenants():
        async with services.uow.read(_eyes(tenant_id)) as tx:
            tenant = await tx.tenant()
        if tenant is not None:
            found.append(tenant)
    return found


def _eyes(tenant_id: str) -> Viewer:
    return Viewer(tenant_id=tenant_id, actor="")


def _shown(tenant: Tenant) -> Document:
    return {"id": tenant.id, "name": tenant.name, "created_at": tenant.created_at}
