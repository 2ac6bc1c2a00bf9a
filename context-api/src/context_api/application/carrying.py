"""The transaction that carries an operation out: recognise a repeat, decide, append, commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from context_api.application import audit
from context_api.application.deciding import changed_since, check_level, check_match, children
from context_api.application.ports import Appended, Moved, StoredOperation, WriteTx
from context_api.application.services import Services
from context_api.application.viewing import viewer_of
from context_api.domain.caller import Caller
from memory_core.decide import Decision, Known, decide, refs
from memory_core.errors import IdempotencyMismatch
from memory_core.events import EventType
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    Erase,
    Operation,
    RecordOutcome,
)
from memory_core.records import Document, Kind, Privacy, Ref
from memory_core.redaction.operations import total

CREATIONS = (CreateProject, CreateSession, CreateCheckpoint, CreatePattern)
_ADDITIONS = (CreateSession, CreateCheckpoint, CreatePattern, AppendMessages, RecordOutcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What an operation did.

    ``document`` is the record as it is now (None once it is gone); ``created`` says that
    the operation made it; ``replayed`` that it had been carried out before; ``stored`` is
    False for EPHEMERAL content, of which nothing is kept. ``conflicts`` names the fields that kept
    the hub's value, ``conflict_ids`` the conflicts that were opened for them.
    """

    document: Document | None
    created: bool = False
    replayed: bool = False
    stored: bool = True
    project_id: str = ""
    seq: int = 0
    head: int = 0
    added: int = 0
    duplicates: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    conflict_ids: list[str] = field(default_factory=list)
    redactions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An operation ready to be decided: placed, completed and redacted.

    ``along`` are the bases of operations that came with it, by their ids; ``also`` is done in the
    same transaction once it is known what the operation comes to.
    """

    caller: Caller
    operation: Operation
    project: str | Ref
    level: Privacy
    at: str
    if_match: str | None
    op_hash: bytes | None
    counts: dict[str, dict[str, int]]
    along: Mapping[str, str | None] = field(default_factory=dict)
    also: Callable[[WriteTx, Written], Awaitable[None]] | None = None


async def carry_out(services: Services, asked: Asked) -> Written:
    """Decides and appends in one transaction, in a second one where others came in between."""
    if _stands_alone(asked):
        with suppress(Moved):
            return await _attempt(services, asked, hold=False)
    return await _attempt(services, asked, hold=True)


def _stands_alone(asked: Asked) -> bool:
    """Says whether a decision rests on nothing but the records that it makes or changes.

    Then the append sees by itself whether they are still as they were when it was decided, and
    nobody has to wait for the decision.
    """
    operation = asked.operation
    if not isinstance(operation.body, _ADDITIONS) or operation.base or asked.if_match:
        return False
    own = Ref(operation.kind, operation.record_id)
    return all(ref == own or ref.kind is Kind.MESSAGE for ref in refs(operation))


async def _attempt(services: Services, asked: Asked, *, hold: bool) -> Written:
    """The transaction: recognise a repeat, decide, append, commit."""
    caller, operation = asked.caller, asked.operation
    named = asked.project
    lane = named if isinstance(named, str) else f"{named.kind.value} {named.id}"
    async with services.uow.write(caller.tenant_id, lane) as tx:
        found = await tx.standing(
            viewer_of(caller), asked.project, operation.op_id, refs(operation), hold=hold
        )
        if found.repeat is not None:
            written = await _repeated(tx, asked, found.repeat)
            await _also(tx, asked, written)
            return written
        current = found.documents.get(Ref(operation.kind, operation.record_id))
        decision = decide(
            operation,
            Known(
                project_id=found.project_id,
                actor=caller.actor,
                now=asked.at,
                documents=found.documents,
                changed=await changed_since(tx, operation, current, asked.along),
                children=await children(tx, caller, operation),
                redactions=asked.counts,
            ),
        )
        # After the decision, which refuses those who may not know that the record exists.
        check_match(current, asked.if_match)
        check_level(operation, current, asked.level)
        appended = await _append(tx, asked, found.project_id, decision)
        written = replace(
            _summary(decision, seq=appended.seq if decision.drafts else 0, head=appended.seq),
            document=appended.made.get(Ref(operation.kind, operation.record_id)),
            created=current is None and isinstance(operation.body, CREATIONS),
            project_id=found.project_id,
            redactions=total(asked.counts),
        )
        if asked.also is not None:
            await asked.also(tx, written)
        await tx.commit()
    services.measures.appended(len(decision.drafts))
    return written


async def _also(tx: WriteTx, asked: Asked, written: Written) -> None:
    if asked.also is not None:
        await asked.also(tx, written)
        await tx.commit()


async def _append(tx: WriteTx, asked: Asked, project_id: str, decision: Decision) -> Appended:
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


async def _repeated(tx: WriteTx, asked: Asked, repeat: StoredOperation) -> Written:
    """Returns what an operation did when it was carried out."""
    if asked.op_hash is not None and repeat.op_hash not in (None, asked.op_hash):
        raise IdempotencyMismatch
    head = await tx.log.head(repeat.project_id)
    return Written(
        document=None,
        created=isinstance(asked.operation.body, CREATIONS),
        replayed=True,
        project_id=repeat.project_id,
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
        conflict_ids=[d.record_id for d in decision.drafts if d.type is EventType.CONFLICT_OPENED],
    )
