"""The one way to change anything: an operation becomes events in one transaction."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from context_api.application import audit
from context_api.application.again import again
from context_api.application.deciding import (
    OtherLevel,
    changed_since,
    check_level,
    check_match,
    children,
)
from context_api.application.ports import Appended, Moved, StoredOperation, Viewer, WriteTx
from context_api.application.services import Services
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import WRITE, Caller
from memory_core.canonical import canonical_json, digest
from memory_core.clock import EPOCH, now
from memory_core.decide import Decision, Known, complete, decide, refs
from memory_core.errors import Deleted, IdempotencyMismatch, NotFound
from memory_core.events import EventType
from memory_core.ids import derive_id
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    Delete,
    Erase,
    Operation,
    RecordOutcome,
)
from memory_core.records import Document, Kind, Privacy, Ref
from memory_core.redaction import redact_value
from memory_core.redaction.operations import redact_operation, total

_CREATIONS = (CreateProject, CreateSession, CreateCheckpoint, CreatePattern)
_ADDITIONS = (CreateSession, CreateCheckpoint, CreatePattern, AppendMessages, RecordOutcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an operation did.

    ``document`` is the record as it is now (None once it is gone); ``created`` says that
    the operation made it; ``replayed`` that it had been carried out before; ``stored`` is
    False for EPHEMERAL content, of which nothing is kept.
    """

    document: Document | None
    created: bool = False
    replayed: bool = False
    stored: bool = True
    seq: int = 0
    head: int = 0
    added: int = 0
    duplicates: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    redactions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """An operation ready to be decided: placed, completed and redacted."""

    caller: Caller
    operation: Operation
    project: str | Ref
    level: Privacy
    at: str
    if_match: str | None
    op_hash: bytes | None
    counts: dict[str, dict[str, int]]


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
    at = now()
    operation = complete(operation, at)
    ask = partial(
        _asked, operation, caller=caller, project=place, at=at, if_match=if_match, op_hash=op_hash
    )
    asked = ask(level)
    if level is Privacy.EPHEMERAL:
        return Written(document=None, stored=False, redactions=total(asked.counts))
    try:
        written = await again(services, partial(_carry_out, services, asked))
    except OtherLevel as other:
        written = await again(services, partial(_carry_out, services, ask(other.level)))
    if isinstance(operation.body, Erase):
        await services.uow.checkpoint()
    await services.wakeup.notify()
    return await _with_document(services, caller, operation, written)


def _asked(operation: Operation, level: Privacy, **more: Any) -> _Asked:
    """Returns an operation as it may be stored at a privacy level."""
    redacted, counts = redact_operation(operation, level)
    return _Asked(operation=redacted, level=level, counts=counts, **more)


def renamed(operation: Operation, caller: Caller, key: str) -> Operation:
    """Names the operation, and what it creates, after the caller's Idempotency-Key."""
    scope = (caller.tenant_id, caller.actor, key)
    record_id = operation.record_id
    if isinstance(operation.body, _CREATIONS) and operation.body.id is None:
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
        level = stored.get("privacy_level")
        if operation.kind is Kind.MESSAGE:
            session = await records.get(Kind.SESSION, str(stored["session_id"]))
            if session is None:
                raise NotFound(f"there is no message {operation.record_id}")
            level = session["privacy_level"]
        wanted = getattr(operation.body, "privacy_level", None)
        return str(stored["project_id"]), Privacy(str(wanted or level or Privacy.TEAM.value))


async def _carry_out(services: Services, asked: _Asked) -> Written:
    """Decides and appends in one transaction, in a second one where others came in between."""
    if _stands_alone(asked):
        with suppress(Moved):
            return await _attempt(services, asked, hold=False)
    return await _attempt(services, asked, hold=True)


def _stands_alone(asked: _Asked) -> bool:
    """Says whether a decision rests on nothing but the records that it makes or changes.

    Then the append sees by itself whether they are still as they were when it was decided, and
    nobody has to wait for the decision.
    """
    operation = asked.operation
    if not isinstance(operation.body, _ADDITIONS) or operation.base or asked.if_match:
        return False
    own = Ref(operation.kind, operation.record_id)
    return all(ref == own or ref.kind is Kind.MESSAGE for ref in refs(operation))


async def _attempt(services: Services, asked: _Asked, *, hold: bool) -> Written:
    """The transaction: recognise a repeat, decide, append, commit."""
    caller, operation = asked.caller, asked.operation
    named = asked.project
    lane = named if isinstance(named, str) else f"{named.kind.value} {named.id}"
    async with services.uow.write(caller.tenant_id, lane) as tx:
        found = await tx.standing(
            viewer_of(caller), asked.project, operation.op_id, refs(operation), hold=hold
        )
        if found.repeat is not None:
            return await _repeated(tx, asked, found.repeat)
        current = found.documents.get(Ref(operation.kind, operation.record_id))
        decision = decide(
            operation,
            Known(
                project_id=found.project_id,
                actor=caller.actor,
                now=asked.at,
                documents=found.documents,
                changed=await changed_since(tx, operation, current),
                children=await children(tx, caller, operation),
                redactions=asked.counts,
            ),
        )
        # After the decision, which refuses those who may not know that the record exists.
        check_match(current, asked.if_match)
        check_level(operation, current, asked.level)
        appended = await _append(tx, asked, found.project_id, decision)
        await tx.commit()
    services.measures.appended(len(decision.drafts))
    return replace(
        _summary(decision, seq=appended.seq if decision.drafts else 0, head=appended.seq),
        document=appended.made.get(Ref(operation.kind, operation.record_id)),
        created=current is None and isinstance(operation.body, _CREATIONS),
        redactions=total(asked.counts),
    )


async def _append(tx: WriteTx, asked: _Asked, project_id: str, decision: Decision) -> Appended:
    operation = asked.operation
    if not decision.drafts:
        head = await tx.log.head(project_id)
        return Appended(head.seq if head else 0)
    appended = await tx.append(
        project_id,
        decision.drafts,
        op_id=operation.op_id,
        op_hash=asked.op_hash,
        actor=asked.caller.actor,
        recorded_at=asked.at,
    )
    if isinstance(operation.body, Erase):
        target, seq = f"{operation.kind.value} {operation.record_id}", appended.seq
        await audit.note(tx, asked.caller, "record.erase", target, project=project_id, seq=seq)
    return appended


async def _repeated(tx: WriteTx, asked: _Asked, repeat: StoredOperation) -> Written:
    """Returns what an operation did when it was carried out."""
    if asked.op_hash is not None and repeat.op_hash not in (None, asked.op_hash):
        raise IdempotencyMismatch
    head = await tx.log.head(repeat.project_id)
    return Written(
        document=None,
        created=isinstance(asked.operation.body, _CREATIONS),
        replayed=True,
        seq=repeat.last_seq,
        head=head.seq if head else 0,
    )


def _summary(decision: Decision, *, seq: int, head: int) -> Written:
    appended = [d for d in decision.drafts if d.type is EventType.MESSAGE_APPENDED]
    return Written(
        document=None,
        seq=seq,
        head=head,
        added=len(appended),
        duplicates=list(decision.duplicates),
        differing=list(decision.differing),
        conflicts=list(decision.conflicts),
    )


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
