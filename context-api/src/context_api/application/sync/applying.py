"""One pushed operation: carried out with its replica's step, or kept as refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from context_api.application.carrying import Written
from context_api.application.conflicts import check_value
from context_api.application.ports import WriteTx
from context_api.application.services import Services
from context_api.application.sync.ports import Outcome, Result
from context_api.application.sync.pushed import Pushed
from context_api.application.sync.results import problem_of, result_of
from context_api.application.viewing import viewer_of
from context_api.application.writing import carry, check_owned, level_of
from context_api.domain.caller import Caller
from memory_core.errors import (
    AlreadyExists,
    ContextError,
    Deleted,
    NotFound,
    ProjectNotFound,
)
from memory_core.operations import (
    Delete,
    Erase,
    Operation,
    ResolveConflict,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Privacy, Ref
from memory_core.sync.operations import from_wire

_CHANGES = (UpdateSession, UpdatePattern, ResolveConflict)
_REMOVALS = (Delete, Erase)
_TRANSIENT = frozenset({401, 403, 408, 429})


class Overtaken(Exception):
    """Another request of the same replica has moved on meanwhile."""


@dataclass(slots=True, kw_only=True)
class Push:
    """A push under way: who, where, and how far the replica has come.

    ``upto`` is the number of its last operation, ``last`` that of the last one carried out.
    """

    services: Services
    caller: Caller
    project_id: str
    epoch: str
    head: int
    replica_id: str
    upto: int
    last: int
    last_hash: bytes | None
    kept: Mapping[int, Result]
    bases: dict[str, str | None] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    erased: bool = False


async def carried(push: Push, one: Pushed) -> Result:
    """Carries an operation out, or keeps why it never will be."""
    moved: list[Result] = []
    try:
        operation = from_wire(one.wire).operation
        await _carry(push, one, operation, moved)
    except ContextError as error:
        if passes(error) or isinstance(error, ProjectNotFound):
            raise
        await _refuse(push, one, error, moved)
    [result] = moved
    push.last, push.last_hash = result.number, result.hash
    push.head = max(push.head, result.head)
    return result


async def _carry(push: Push, one: Pushed, operation: Operation, moved: list[Result]) -> None:
    level = getattr(operation.body, "privacy_level", None) or Privacy.TEAM
    if isinstance(operation.body, _CHANGES):
        level = await _level(push, operation)
    elif isinstance(operation.body, _REMOVALS):
        await _check_removal(push, operation)
    also = partial(_move, push, one, moved)
    if level is Privacy.EPHEMERAL:
        async with push.services.uow.write(push.caller.tenant_id, push.project_id) as tx:
            await also(tx, Written(document=None, stored=False, project_id=push.project_id))
            await tx.commit()
        return
    await carry(
        push.services, push.caller, push.project_id, operation, level, along=push.bases, also=also
    )
    push.erased = push.erased or isinstance(operation.body, Erase)


async def _level(push: Push, operation: Operation) -> Privacy:
    async with push.services.uow.glance(viewer_of(push.caller)) as records:
        stored = await records.stored(operation.kind, operation.record_id)
        if stored is None or stored.get("project_id") != push.project_id:
            raise NotFound(f"there is no {operation.kind.value} {operation.record_id}")
        if isinstance(operation.body, ResolveConflict):
            await check_value(records, stored, operation.body)
        await check_owned(records, push.caller, operation, stored)
        return await level_of(records, operation, stored)


async def _check_removal(push: Push, operation: Operation) -> None:
    """Refuses to take away what is somebody else's.

    What is not there is left to the decision: the operation may be one that took it away before.
    """
    async with push.services.uow.glance(viewer_of(push.caller)) as records:
        stored = await records.stored(operation.kind, operation.record_id)
        if stored is not None:
            await check_owned(records, push.caller, operation, stored)


async def _move(
    push: Push, one: Pushed, moved: list[Result], tx: WriteTx, written: Written
) -> None:
    """Takes an operation as the replica's last one, in the operation's own transaction."""
    if written.project_id != push.project_id:
        raise AlreadyExists(f"operation {one.op_id} was carried out in another project")
    outcome: Outcome = "duplicate" if written.replayed else "accepted"
    if written.conflict_ids:
        outcome = "conflict"
    # Where nothing had to be done, it is done as of the head that says so.
    seq, head = written.seq or written.head or push.head, written.head or push.head
    await _store(
        push, tx, result_of(one, outcome, seq=seq, head=head, conflicts=written.conflict_ids), moved
    )


async def _refuse(push: Push, one: Pushed, error: ContextError, moved: list[Result]) -> None:
    """Keeps that an operation was refused for good; taking away what is gone is none."""
    async with push.services.uow.write(push.caller.tenant_id, push.project_id) as tx:
        head = await tx.log.head(push.project_id)
        at = head.seq if head else 0
        gone = await _seq_of_gone(tx, one) if isinstance(error, Deleted) else None
        if gone is not None:
            result = result_of(one, "duplicate", seq=gone, head=at)
        else:
            result = result_of(one, "rejected", seq=at, head=at, problem=problem_of(error))
        await _store(push, tx, result, moved)
        await tx.commit()


async def _seq_of_gone(tx: WriteTx, one: Pushed) -> int | None:
    """Returns where a record went that an operation wants to take away."""
    operation = from_wire(one.wire).operation
    if not isinstance(operation.body, _REMOVALS):
        return None
    ref = Ref(operation.kind, operation.record_id)
    stored = (await tx.documents([ref])).get(ref)
    return None if stored is None else int(str(stored["seq"]))


async def _store(push: Push, tx: WriteTx, result: Result, moved: list[Result]) -> None:
    actor = push.caller.actor
    if not await tx.replicas.move_all(push.project_id, push.replica_id, actor, [result]):
        raise Overtaken
    moved[:] = [result]


def passes(error: ContextError) -> bool:
    """Says whether an error is one of the moment, or of the caller, and not of the operation."""
    return error.status >= 500 or error.status in _TRANSIENT
