"""The one way to change anything: an operation becomes events in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from context_api.application.again import again
from context_api.application.carrying import CREATIONS, Asked, Written, carry_out
from context_api.application.deciding import OtherLevel
from context_api.application.ports import Records, Viewer, WriteTx
from context_api.application.services import Services
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import WRITE, Caller
from memory_core.canonical import canonical_json, digest
from memory_core.clock import EPOCH, now
from memory_core.decide import complete
from memory_core.errors import Deleted, NotFound
from memory_core.ids import derive_id
from memory_core.operations import (
    AppendMessages,
    Delete,
    Erase,
    Operation,
    RecordOutcome,
    ResolveConflict,
)
from memory_core.records import Document, Kind, Privacy, Ref
from memory_core.redaction import redact_value
from memory_core.redaction.operations import redact_operation, total

__all__ = ["Written", "carry", "check_owned", "execute", "level_of", "renamed", "request_hash"]

_IN_SESSION = frozenset({Kind.MESSAGE, Kind.CHECKPOINT})


async def execute(
    services: Services,
    caller: Caller,
    project: str | None,
    operation: Operation,
    *,
    if_match: str | None = None,
    idempotency_key: str | None = None,
) -> Written:
    """Carries out an operation and returns once it is durable.

    Args:
        services: the ports.
        caller: who asks.
        project: id or slug of the project, or None where the record says it.
        operation: what is asked for.
        if_match: id of the last operation that the record must still be at.
        idempotency_key: makes repeats of the request have no further effect.

    Raises:
        Forbidden, NotFound, ProjectNotFound, AlreadyExists, Deleted, InvalidInput: as the
            operation says; nothing is changed.
        PreconditionFailed: the record is not at ``if_match``.
        IdempotencyMismatch: the key was used for another request.
        StorageFull, Busy, Unavailable: the store cannot write; nothing is changed.
    """
    caller.require(WRITE)
    with services.wakeup.writing():
        return await _execute(
            services, caller, project, operation, if_match=if_match, key=idempotency_key
        )


async def _execute(
    services: Services,
    caller: Caller,
    project: str | None,
    operation: Operation,
    *,
    if_match: str | None,
    key: str | None,
) -> Written:
    op_hash = None
    if key is not None:
        operation = renamed(operation, caller, key)
        op_hash = request_hash(operation, project)
    level = getattr(operation.body, "privacy_level", None) or Privacy.TEAM
    place: str | Ref = project or Ref(operation.kind, operation.record_id)
    if project is None and not isinstance(operation.body, AppendMessages | RecordOutcome):
        place, level = await _place(services, caller, operation)
    elif project is not None and level is Privacy.EPHEMERAL:
        async with services.uow.glance(viewer_of(caller)) as records:
            await project_named(records, project)
    if level is Privacy.EPHEMERAL:
        _, counts = redact_operation(complete(operation, now()), level)
        return Written(document=None, stored=False, redactions=total(counts))
    written = await carry(
        services, caller, place, operation, level, if_match=if_match, op_hash=op_hash
    )
    if isinstance(operation.body, Erase):
        await services.uow.checkpoint()
    await services.wakeup.notify()
    return await _with_document(services, caller, operation, written)


async def carry(
    services: Services,
    caller: Caller,
    place: str | Ref,
    operation: Operation,
    level: Privacy,
    *,
    if_match: str | None = None,
    op_hash: bytes | None = None,
    along: Mapping[str, str | None] | None = None,
    also: Callable[[WriteTx, Written], Awaitable[None]] | None = None,
) -> Written:
    """Redacts an operation for ``level``, decides it and makes it durable.

    ``place`` names the project, or a record of it; ``along`` are the bases of operations that came
    with this one (see `deciding.changed_since`); ``also`` is done in the same transaction.
    Raises as `execute` does, and what ``also`` raises.
    """
    at = now()
    operation = complete(operation, at)
    ask = partial(
        _asked,
        operation,
        caller=caller,
        project=place,
        at=at,
        if_match=if_match,
        op_hash=op_hash,
        along=along or {},
        also=also,
    )
    try:
        return await again(services, partial(carry_out, services, ask(level)))
    except OtherLevel as other:
        return await again(services, partial(carry_out, services, ask(other.level)))


def _asked(operation: Operation, level: Privacy, **more: Any) -> Asked:
    """Returns an operation as it may be stored at a privacy level."""
    redacted, counts = redact_operation(operation, level)
    return Asked(operation=redacted, level=level, counts=counts, **more)


def renamed(operation: Operation, caller: Caller, key: str) -> Operation:
    """Names the operation, and what it creates, after the caller's Idempotency-Key."""
    scope = (caller.tenant_id, caller.actor, key)
    record_id = operation.record_id
    if isinstance(operation.body, CREATIONS) and operation.body.id is None:
        record_id = derive_id(EPOCH, "record of idempotency key", *scope)
    op_id = derive_id(EPOCH, "operation of idempotency key", *scope)
    return replace(operation, op_id=op_id, record_id=record_id)


def request_hash(operation: Operation, project: str | None) -> bytes:
    """Returns the digest by which a repeated request is known from another one.

    It is kept in the log, so it covers the redacted text: it must not confirm a guess of a
    secret that was never stored.
    """
    dumped = operation.body.model_dump(mode="json", exclude_unset=True)
    body, _ = redact_value(dumped, Privacy.PUBLIC)
    about = [project, operation.kind.value, operation.record_id, operation.base]
    return digest(canonical_json([*about, type(operation.body).__name__, body]))


async def _place(services: Services, caller: Caller, operation: Operation) -> tuple[str, Privacy]:
    """Returns the project of a record and the privacy level that its content will have."""
    async with services.uow.glance(viewer_of(caller)) as records:
        stored = await records.stored(operation.kind, operation.record_id)
        if stored is None:
            raise NotFound(f"there is no {operation.kind.value} {operation.record_id}")
        if operation.kind is Kind.PROJECT:
            return operation.record_id, Privacy.TEAM
        await check_owned(records, caller, operation, stored)
        return str(stored["project_id"]), await level_of(records, operation, stored)


async def check_owned(
    records: Records, caller: Caller, operation: Operation, stored: Document
) -> None:
    """Refuses an operation on what is PRIVATE to somebody else, or lies in such a session.

    A message has no privacy level of its own, and a checkpoint's may be from before its session
    was narrowed. A session that was deleted still says whose it is.

    Raises:
        NotFound: as for a record that is not there, which the caller must take it for.
    """
    holders = [stored]
    if operation.kind in _IN_SESSION and stored.get("session_id") is not None:
        session = await records.stored(Kind.SESSION, str(stored["session_id"]))
        holders += [] if session is None else [session]
    for holder in holders:
        private = holder.get("privacy_level") == Privacy.PRIVATE
        if private and holder.get("owner") != caller.actor:
            raise NotFound(f"there is no {operation.kind.value} {operation.record_id}")


async def level_of(records: Records, operation: Operation, stored: Document) -> Privacy:
    """Returns the privacy level that the content of an operation on a stored record will have.

    Raises:
        NotFound: it is a message of a session that the viewer may not see.
    """
    body, level = operation.body, stored.get("privacy_level")
    if operation.kind is Kind.MESSAGE:
        session = await records.get(Kind.SESSION, str(stored["session_id"]))
        if session is None:
            raise NotFound(f"there is no message {operation.record_id}")
        level = session["privacy_level"]
    if isinstance(body, ResolveConflict):
        about = await records.stored(body.record_kind, body.record_id)
        level = (about or {}).get("privacy_level")
    wanted = getattr(body, "privacy_level", None)
    return Privacy(str(wanted or level or Privacy.TEAM.value))


async def _with_document(
    services: Services, caller: Caller, operation: Operation, written: Written
) -> Written:
    if isinstance(operation.body, Delete | Erase | AppendMessages) or written.document is not None:
        return written
    viewer: Viewer = viewer_of(caller)
    async with services.uow.glance(viewer) as records:
        document = await records.get(operation.kind, operation.record_id)
    if document is None:
        raise Deleted(f"the {operation.kind.value} {operation.record_id} has been deleted since")
    return replace(written, document=document)
