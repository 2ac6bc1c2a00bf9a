"""API keys: made, listed, revoked. A secret is shown once and kept as a hash."""

from __future__ import annotations

import secrets

from context_api.application.authenticate import hash_secret
from context_api.application.ports import StoredKey
from context_api.application.requests import CreateKey
from context_api.application.services import Services
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import ADMIN, Caller
from memory_core.clock import now
from memory_core.errors import InvalidInput, NotFound
from memory_core.records import Document


async def create(services: Services, caller: Caller, body: CreateKey) -> Document:
    """Makes a key and returns it with its secret, which cannot be read again.

    Raises:
        Forbidden: the caller is no admin.
        ProjectNotFound: a granted project does not exist.
        InvalidInput: it would have expired already.
    """
    caller.require(ADMIN)
    at = now()
    if body.expires_at is not None and body.expires_at <= at:
        raise InvalidInput("expires_at lies in the past")
    granted = None
    if body.projects is not None:
        async with services.uow.read(viewer_of(caller)) as tx:
            found = [await project_named(tx.records, name) for name in body.projects]
        granted = tuple(sorted({str(project["id"]) for project in found}))
    secret = secrets.token_urlsafe(32)
    key = StoredKey(
        tenant_id=caller.tenant_id,
        id=secrets.token_hex(6),
        name=body.name,
        owner=body.owner or caller.actor,
        secret_hash=hash_secret(secret),
        scopes=tuple(sorted(set(body.scopes))),
        project_ids=granted,
        created_at=at,
        expires_at=body.expires_at,
        revoked_at=None,
        last_used_at=None,
    )
    async with services.uow.write(caller.tenant_id) as tx:
        await tx.add_key(key)
        await tx.commit()
    return {**_shown(key), "key": f"mctx_{key.id}_{secret}"}


async def list_(services: Services, caller: Caller) -> list[Document]:
    """Returns the tenant's keys without their secrets, oldest first."""
    caller.require(ADMIN)
    async with services.uow.read(viewer_of(caller)) as tx:
        return [_shown(key) for key in await tx.keys()]


async def revoke(services: Services, caller: Caller, key_id: str) -> None:
    """Revokes a key; it stops working at once.

    Raises:
        NotFound: the tenant has no such key.
    """
    caller.require(ADMIN)
    async with services.uow.write(caller.tenant_id) as tx:
        if not await tx.revoke_key(key_id, now()):
            raise NotFound(f"there is no key {key_id}")
        await tx.commit()


async def note_uses(services: Services) -> None:
    """Writes down when keys were last used; called now and then, never by a request."""
    uses = dict(services.key_uses)
    for (tenant_id, key_id), at in uses.items():
        async with services.uow.write(tenant_id) as tx:
            await tx.touch_key(key_id, at)
            await tx.commit()
        if services.key_uses.get((tenant_id, key_id)) == at:
            del services.key_uses[tenant_id, key_id]


def _shown(key: StoredKey) -> Document:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "scopes": [*key.scopes],
        "projects": None if key.project_ids is None else [*key.project_ids],
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
