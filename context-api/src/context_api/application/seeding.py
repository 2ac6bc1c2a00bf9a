"""What a hub needs before its first request."""

from __future__ import annotations

from context_api.application.ports import UnitOfWork
from memory_core.clock import now


async def seed(uow: UnitOfWork, tenant_id: str) -> None:
    """Makes the default tenant, once."""
    async with uow.write(tenant_id) as tx:
        await tx.add_tenant("default", now())
        await tx.commit()
