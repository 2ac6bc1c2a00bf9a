"""Additions that follow each other in a push, carried out by one transaction.

Most of what replicas push makes records or adds to them. Deciding some of those at once and
writing them together gives the same events as one after the other, for a fraction of the
statements. Whatever is not plain ends a group and is carried out by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from context_api.application.again import again
from context_api.application.deciding import OtherLevel, check_level
from context_api.application.ports import Decided, WriteTx
from context_api.application.sync.applying import Overtaken, Push
from context_api.application.sync.ports import Result
from context_api.application.sync.pushed import Pushed
from context_api.application.sync.results import result_of
from context_api.application.viewing import viewer_of
from memory_core.clock import now
from memory_core.decide import Known, complete, decide, refs
from memory_core.errors import ContextError
from memory_core.events import unsealed
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Operation,
    RecordOutcome,
)
from memory_core.projection import apply
from memory_core.records import Document, Privacy, Ref
from memory_core.redaction.operations import Counts, redact_operation
from memory_core.sync.operations import from_wire

MAX_GROUP = 50
MAX_MESSAGES = 500

_PLAIN = (AppendMessages, CreateCheckpoint, CreatePattern, CreateSession, RecordOutcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A plain operation, redacted for its level; ``at`` is its time where it names none."""

    at: str
    pushed: Pushed
    operation: Operation
    level: Privacy
    counts: dict[str, Counts]


async def carried_together(push: Push, waiting: Sequence[Pushed]) -> list[Result]:
    """Carries out the plain operations at the beginning of those that wait.

    Returns their results, none where the first one needs a transaction of its own.

    Raises:
        Overtaken: another request of the replica was faster; nothing was done.
    """
    group = _plain(waiting)
    if len(group) < 2:
        return []
    results = await again(push.services, partial(_attempt, push, group, now()))
    if results:
        push.last, push.last_hash = results[-1].number, results[-1].hash
        push.head = max(push.head, results[-1].head)
    return results


def _plain(waiting: Sequence[Pushed]) -> list[_Asked]:
    """Returns the operations up to the first one that is not plain, or cannot be read."""
    found: list[_Asked] = []
    messages = 0
    for one in waiting[:MAX_GROUP]:
        # Each has a time of its own, so that records made together keep their order.
        at = now()
        try:
            operation = complete(from_wire(one.wire).operation, at)
        except ContextError:
            break
        level = getattr(operation.body, "privacy_level", None) or Privacy.TEAM
        messages += len(getattr(operation.body, "messages", ()))
        plain = isinstance(operation.body, _PLAIN) and operation.base is None
        if not plain or level is Privacy.EPHEMERAL or messages > MAX_MESSAGES:
            break
        redacted, counts = redact_operation(operation, level)
        found.append(_Asked(at=at, pushed=one, operation=redacted, level=level, counts=counts))
    return found


async def _attempt(push: Push, group: Sequence[_Asked], at: str) -> list[Result]:
    """The transaction: decide what can be decided, write it with the replica's step, commit."""
    first = group[0].operation
    async with push.services.uow.write(push.caller.tenant_id, push.project_id) as tx:
        await tx.standing(
            viewer_of(push.caller), push.project_id, first.op_id, refs(first), hold=True
        )
        known = await tx.log.known([asked.operation.op_id for asked in group])
        needed = {ref for asked in group for ref in refs(asked.operation)}
        head = await tx.log.head(push.project_id)
        if head is None:
            return []
        documents = await tx.documents(needed)
        decided, results = _decided(push, group, known, documents, seq=head.seq, at=at)
        if len(results) < 2:
            return []
        await _write(push, tx, decided, results, at)
    push.services.measures.appended(sum(len(one.drafts) for one in decided))
    return results


def _decided(
    push: Push,
    group: Sequence[_Asked],
    known: frozenset[str],
    documents: dict[Ref, Document],
    *,
    seq: int,
    at: str,
) -> tuple[list[Decided], list[Result]]:
    """Decides one after the other, each upon what those before it make.

    Ends before the first one that was carried out before, is refused, or was redacted for
    another level than its session has.
    """
    decided: list[Decided] = []
    results: list[Result] = []
    for asked in group:
        operation, own = asked.operation, Ref(asked.operation.kind, asked.operation.record_id)
        if operation.op_id in known:
            break
        basis = Known(
            project_id=push.project_id,
            actor=push.caller.actor,
            now=asked.at,
            documents=documents,
            redactions=asked.counts,
        )
        try:
            decision = decide(operation, basis)
            check_level(operation, documents.get(own), asked.level)
        except (ContextError, OtherLevel):
            break
        for event in unsealed(
            decision.drafts,
            project_id=push.project_id,
            after_seq=seq,
            op_id=operation.op_id,
            actor=push.caller.actor,
            recorded_at=at,
        ):
            documents.update(apply(event, documents.get).documents)
        seq += len(decision.drafts)
        known |= {operation.op_id}
        if decision.drafts:
            decided.append(Decided(operation.op_id, decision.drafts))
        results.append(result_of(asked.pushed, "accepted", seq=seq, head=seq))
    return decided, results


async def _write(
    push: Push, tx: WriteTx, decided: Sequence[Decided], results: Sequence[Result], at: str
) -> None:
    if decided:
        await tx.append_all(push.project_id, decided, actor=push.caller.actor, recorded_at=at)
    actor = push.caller.actor
    if not await tx.replicas.move_all(push.project_id, push.replica_id, actor, results):
        raise Overtaken
    await tx.commit()
