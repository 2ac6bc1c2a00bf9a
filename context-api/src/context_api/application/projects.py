"""Projects: found by slug or remote, made when new."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from context_api.application.again import again
from context_api.application.ports import Window, WriteTx
from context_api.application.requests import Listing, Page
from context_api.application.services import Services
from context_api.application.viewing import listing, project_named, viewer_of, window_of
from context_api.application.writing import Written, execute, renamed, request_hash
from context_api.domain.caller import READ, WRITE, Caller
from memory_core.clock import now
from memory_core.decide import Known, decide
from memory_core.errors import (
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    InvalidInput,
    SlugTaken,
)
from memory_core.ids import uuid7
from memory_core.operations import CreateProject, Operation, UpdateProject
from memory_core.records import Document, Kind, Ref
from memory_core.remotes import normalise_remote


class Ensured(NamedTuple):
    """A project, whether the request made it, and whether it had been answered before."""

    document: Document
    created: bool
    replayed: bool


async def ensure(
    services: Services, caller: Caller, body: CreateProject, *, idempotency_key: str | None = None
) -> Ensured:
    """Returns the project that has the slug or one of the remotes, made if there is none.

    Remotes it lacks are added.

    Raises:
        SlugTaken: the slug belongs to a project with other remotes.
        Conflict: the remotes belong to several projects.
        Forbidden: the key is limited to other projects.
        IdempotencyMismatch: the key was used for another request.
    """
    caller.require(WRITE)
    asked = Operation(op_id=uuid7(), kind=Kind.PROJECT, record_id=body.id or uuid7(), body=body)
    op_hash = None
    if idempotency_key is not None:
        asked = renamed(asked, caller, idempotency_key)
        op_hash = request_hash(asked, None)
    parent_id = await _parent_id(services, caller, body.parent)
    body = body.model_copy(update={"remotes": _normalised(body.remotes), "parent": parent_id})
    found = await _complete(services, caller, body, asked.op_id)
    if found is not None:
        return Ensured(await _shown(services, caller.tenant_id, found), False, False)
    made = await again(services, partial(_made, services, caller, body, asked, op_hash))
    await services.wakeup.notify()
    return Ensured(await get(services, caller, made.id), made.created, made.replayed)


async def _complete(
    services: Services, caller: Caller, body: CreateProject, op_id: str
) -> Document | None:
    """Returns the project that is meant if it is there and lacks nothing.

    Agents ask for theirs again and again: that must not wait for those who write to it. None says
    only that it has to be looked at under the locks.
    """
    async with services.uow.read(viewer_of(caller)) as tx:
        if await tx.log.operation(op_id) is not None:
            return None
        slug, remote = (None, body.remotes[0]) if body.remotes else (body.slug, None)
        for found in await tx.records.projects(slug=slug, remote=remote, window=Window(limit=1)):
            has = found["remotes"]
            if isinstance(has, list) and all(one in has for one in body.remotes):
                return found
    return None


class _Made(NamedTuple):
    id: str
    created: bool
    replayed: bool


async def _made(
    services: Services,
    caller: Caller,
    body: CreateProject,
    asked: Operation,
    op_hash: bytes | None,
) -> _Made:
    """Finds or makes the project in one transaction, among the writers who name it alike."""
    async with services.uow.write(caller.tenant_id, body.slug) as tx:
        repeat = await tx.log.operation(asked.op_id)
        if repeat is not None:
            if repeat.op_hash not in {None, op_hash}:
                raise IdempotencyMismatch
            return _Made(repeat.project_id, repeat.first_seq == 1, True)
        existing = await _existing(tx, caller, body)
        found = existing or asked.record_id
        addition = body if existing is None else UpdateProject(remotes_add=body.remotes)
        appended = await _append(
            tx, caller, replace(asked, record_id=found, body=addition), op_hash
        )
        await tx.commit()
    services.measures.appended(appended)
    return _Made(found, existing is None, False)


async def _append(tx: WriteTx, caller: Caller, operation: Operation, op_hash: bytes | None) -> int:
    """Appends what the operation does and returns the number of events."""
    project_id, at = operation.record_id, now()
    await tx.hold(project_id)
    known = Known(
        project_id=project_id,
        actor=caller.actor,
        now=at,
        documents=await tx.documents([Ref(Kind.PROJECT, project_id)]),
    )
    decision = decide(operation, known)
    if decision.drafts:
        await tx.append(
            project_id,
            decision.drafts,
            op_id=operation.op_id,
            op_hash=op_hash,
            actor=caller.actor,
            recorded_at=at,
        )
    return len(decision.drafts)


async def _existing(tx: WriteTx, caller: Caller, body: CreateProject) -> str | None:
    """Returns the project that is meant, None if there is none.

    A key limited to some projects is refused alike whether there is none or one that it does
    not reach, so that it cannot ask which projects there are.
    """
    by_remote = await tx.project_ids_of_remotes(body.remotes)
    by_slug = await tx.project_id_of_slug(body.slug)
    if caller.project_ids is not None:
        found = {*by_remote, *([by_slug] if by_slug and not by_remote else [])}
        if not found or not found <= caller.project_ids:
            raise Forbidden("this key is limited to other projects")
    if len(by_remote) > 1:
        raise Conflict("the remotes belong to several projects", project_ids=[*by_remote])
    if by_remote:
        return by_remote[0]
    if by_slug is None:
        return None
    document = (await tx.documents([Ref(Kind.PROJECT, by_slug)]))[Ref(Kind.PROJECT, by_slug)]
    if body.remotes and document["remotes"]:
        raise SlugTaken(
            f"the slug {body.slug!r} belongs to a project with other remotes", project_id=by_slug
        )
    return by_slug


def _normalised(remotes: list[str]) -> list[str]:
    """Returns remotes in one form; credentials in them are dropped with the user part."""
    found: set[str] = set()
    for remote in remotes:
        normal = normalise_remote(remote) or normalise_remote(f"https://{remote}")
        if normal is None:
            raise InvalidInput("a remote must name a host and a path, as host/owner/name does")
        found.add(normal)
    return sorted(found)


async def _parent_id(
    services: Services, caller: Caller, parent: str | None, child: str | None = None
) -> str | None:
    """Returns the id of the project named as parent, which must not lie below ``child``."""
    if parent is None:
        return None
    async with services.uow.glance(viewer_of(caller)) as records:
        above = await project_named(records, parent)
        found: Document | None = above
        seen: set[str] = set()
        while child is not None and found is not None:
            seen.add(str(found["id"]))
            if child in seen:
                raise InvalidInput("a project cannot lie below itself")
            over = found["parent_id"]
            found = await records.project(str(over)) if over and str(over) not in seen else None
    return str(above["id"])


async def get(services: Services, caller: Caller, project: str) -> Document:
    """Returns a project by id or slug, with how far it is indexed.

    Raises:
        ProjectNotFound: there is none that the caller may see.
    """
    caller.require(READ)
    async with services.uow.glance(viewer_of(caller)) as records:
        document = await project_named(records, project)
    return await _shown(services, caller.tenant_id, document)


async def find(
    services: Services,
    caller: Caller,
    *,
    slug: str | None = None,
    remote: str | None = None,
    page: Page,
) -> Listing:
    """Returns projects that the caller may see, newest first."""
    caller.require(READ)
    if remote:
        remote = normalise_remote(remote) or normalise_remote(f"https://{remote}") or remote
    async with services.uow.read(viewer_of(caller)) as tx:
        found = await tx.records.projects(slug=slug, remote=remote, window=window_of(page))
    shown = [await _shown(services, caller.tenant_id, document) for document in found]
    return listing(shown, page)


async def _shown(services: Services, tenant_id: str, document: Document) -> Document:
    progress = await services.indexes.progress(tenant_id, str(document["id"]))
    indexed = progress.vector_seq if services.indexes.embedder else progress.lexical_seq
    return {**document, "indexed_seq": min(indexed, progress.lexical_seq)}


async def update(
    services: Services,
    caller: Caller,
    project_id: str,
    body: UpdateProject,
    *,
    if_match: str | None = None,
    base: str | None = None,
) -> Written:
    """Changes a project's slug, parent or remotes.

    Raises:
        SlugTaken: the slug belongs to another project.
        ProjectNotFound: there is no such project, or no such parent.
    """
    changes: dict[str, object] = {}
    if body.parent is not None:
        changes["parent"] = await _parent_id(services, caller, body.parent, project_id)
    for name in ("remotes_add", "remotes_remove"):
        if name in body.model_fields_set:
            changes[name] = _normalised(getattr(body, name))
    if body.slug is not None:
        async with services.uow.glance(viewer_of(caller)) as records:
            holder = await records.project(body.slug)
        if holder is not None and holder["id"] != project_id:
            raise SlugTaken(f"the slug {body.slug!r} belongs to another project")
    operation = Operation(
        op_id=uuid7(),
        kind=Kind.PROJECT,
        record_id=project_id,
        body=body.model_copy(update=changes),
        base=base,
    )
    written = await execute(services, caller, None, operation, if_match=if_match)
    if written.document is None:
        return written
    return replace(written, document=await _shown(services, caller.tenant_id, written.document))
