"""API keys: made, listed, replaced, revoked. A secret is shown once and kept as a hash."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta

from pydantic import JsonValue

from context_api.application import audit
from context_api.application.authenticate import hash_secret
from context_api.application.ports import StoredKey
from context_api.application.requests import CreateKey, RotateKey
from context_api.application.services import Services
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import ADMIN, Caller
from memory_core.clock import from_datetime, now, to_datetime
from memory_core.errors import Conflict, InvalidInput, NotFound
from memory_core.records import Document


async def create(services: Services, caller: Caller, body: CreateKey) -> Document:
    """Makes a key and returns it with its secret, which cannot be read again.

    Raises:
        Forbidden: the caller is no admin.
        ProjectNotFound: a granted project does not exist.
        InvalidInput: it would have expired already, or be an admin of some projects only.
    """
    caller.require(ADMIN)
    at = now()
    if body.expires_at is not None and body.expires_at <= at:
        raise InvalidInput("expires_at lies in the past")
    if body.projects is not None and ADMIN in body.scopes:
        raise InvalidInput("an admin acts for the whole tenant: leave out admin or the projects")
    granted = None
    if body.projects is not None:
        async with services.uow.read(viewer_of(caller)) as tx:
            found = [await project_named(tx.records, name) for name in body.projects]
        granted = tuple(sorted({str(project["id"]) for project in found}))
    key, secret = new_key(
        tenant_id=caller.tenant_id,
        name=body.name,
        owner=body.owner or caller.actor,
        scopes=tuple(sorted(set(body.scopes))),
        project_ids=granted,
        expires_at=body.expires_at,
        at=at,
    )
    async with services.uow.write(caller.tenant_id) as tx:
        await tx.add_key(key)
        await audit.note(tx, caller, "key.create", key.id, **_told(key))
        await tx.commit()
    return {**shown(key), "key": shown_once(key, secret)}


async def rotate(services: Services, caller: Caller, key_id: str, body: RotateKey) -> Document:
    """Makes a key that may do what another may; the other goes on for the overlap, then ends.

    So every place that holds the old one can be given the new one while both work.

    Raises:
        Forbidden: the caller is no admin.
        NotFound: the tenant has no such key.
        Conflict: the key does not work any more, so there is nothing to go on with.
        InvalidInput: the new one would have expired already.
    """
    caller.require(ADMIN)
    at = now()
    if body.expires_at is not None and body.expires_at <= at:
        raise InvalidInput("expires_at lies in the past")
    until = from_datetime(to_datetime(at) + timedelta(seconds=body.overlap_seconds))
    async with services.uow.write(caller.tenant_id) as tx:
        old = await tx.end_key(key_id, until)
        if old is None:
            raise NotFound(f"there is no key {key_id}")
        if not old.works_at(at):
            raise Conflict(f"the key {key_id} is revoked or has expired; make a new one")
        key, secret = new_key(
            tenant_id=caller.tenant_id,
            name=old.name,
            owner=old.owner,
            scopes=old.scopes,
            project_ids=old.project_ids,
            expires_at=body.expires_at or old.expires_at,
            at=at,
        )
        await tx.add_key(key)
        await audit.note(tx, caller, "key.rotate", old.id, until=until, by=key.id, **_told(key))
        await tx.commit()
    ends = until if old.expires_at is None else min(until, old.expires_at)
    replaced: Document = {"id": old.id, "expires_at": ends}
    return {**shown(key), "key": shown_once(key, secret), "replaces": replaced}


async def list_(services: Services, caller: Caller) -> list[Document]:
    """Returns the tenant's keys without their secrets, oldest first."""
    caller.require(ADMIN)
    async with services.uow.read(viewer_of(caller)) as tx:
        found = await tx.keys()
    # The last minute's uses are not written down yet.
    uses = services.key_uses
    return [
        shown(replace(k, last_used_at=uses.get((k.tenant_id, k.id), k.last_used_at))) for k in found
    ]


async def revoke(services: Services, caller: Caller, key_id: str) -> None:
    """Revokes a key; it stops working at once.

    Raises:
        NotFound: the tenant has no such key.
    """
    caller.require(ADMIN)
    async with services.uow.write(caller.tenant_id) as tx:
        if not await tx.revoke_key(key_id, now()):
            raise NotFound(f"there is no key {key_id}")
        await audit.note(tx, caller, "key.revoke", key_id)
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


def new_key(
    *,
    tenant_id: str,
    name: str,
    owner: str,
    scopes: tuple[str, ...],
    at: str,
    project_ids: tuple[str, ...] | None = None,
    expires_at: str | None = None,
) -> tuple[StoredKey, str]:
    """Returns a new key and its secret of 256 random bits."""
    secret = secrets.token_urlsafe(32)
    key = StoredKey(
        tenant_id=tenant_id,
        id=secrets.token_hex(6),
        name=name,
        owner=owner,
        secret_hash=hash_secret(secret),
        scopes=scopes,
        project_ids=project_ids,
        created_at=at,
        expires_at=expires_at,
        revoked_at=None,
        last_used_at=None,
    )
    return key, secret


def shown_once(key: StoredKey, secret: str) -> str:
    """Returns a key's full text, as its user sends it."""
    return f"mctx_{key.id}_{secret}"


def _told(key: StoredKey) -> dict[str, JsonValue]:
    """Returns what the audit log says about a new key."""
    told = shown(key)
    return {name: told[name] for name in ("name", "owner", "scopes", "projects", "expires_at")}


def shown(key: StoredKey) -> Document:
    """Returns a key without its secret."""
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
