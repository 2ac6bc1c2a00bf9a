"""Writes into a replica: checked, redacted, trimmed to what is new, then kept as pending."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from pydantic import JsonValue

from memory_core.canonical import canonical_json, digest
from memory_core.clock import EPOCH, now
from memory_core.decide import Known, complete, decide, refs
from memory_core.errors import Deleted, PreconditionFailed
from memory_core.ids import derive_id, uuid7
from memory_core.operations import (
    AppendMessages,
    Body,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    NewMessage,
    Operation,
)
from memory_core.records import Document, Kind, Privacy, Ref
from memory_core.redaction.operations import redact_operation, total
from sync_agent.replica import Replica

Given: TypeAlias = Mapping[str, JsonValue]

_CREATIONS = (CreateSession, CreateCheckpoint, CreatePattern)


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a write did, in the words of the hub's answers."""

    document: Document | None
    created: bool = False
    stored: bool = True
    added: int = 0
    duplicates: int = 0
    differing: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    redactions: Mapping[str, int]


def create(replica: Replica, project_id: str, kind: Kind, body: Body, given_id: str | None) -> Done:
    """Makes a record; one that is there already gets what it lacks.

    Raises:
        NotFound, Deleted, AlreadyExists, InvalidInput: as the hub would say it.
    """
    operation = Operation(
        op_id=_repeatable(kind, given_id, body) if given_id else uuid7(),
        kind=kind,
        record_id=given_id or uuid7(),
        body=body,
    )
    level = getattr(body, "privacy_level", None) or Privacy.TEAM
    return _write(replica, project_id, operation, level)


def change(
    replica: Replica,
    kind: Kind,
    record_id: str,
    body: Body,
    *,
    if_match: str | None = None,
    base: str | None = None,
) -> Done:
    """Carries out an operation on a record that is there.

    Raises:
        NotFound, NotHeld, Deleted, InvalidInput: as the hub would say it.
        PreconditionFailed: the record is not at ``if_match``.
    """
    current = replica.get(kind, record_id)
    if if_match is not None and current.get("last_op") != if_match:
        raise PreconditionFailed
    holder = current
    if kind is Kind.MESSAGE:
        holder = replica.get(Kind.SESSION, str(current["session_id"]))
    wanted = getattr(body, "privacy_level", None) or holder.get("privacy_level")
    operation = Operation(
        op_id=uuid7(), kind=kind, record_id=record_id, body=body, base=base or if_match
    )
    level = Privacy(str(wanted or Privacy.TEAM.value))
    return _write(replica, str(current["project_id"]), operation, level)


def _repeatable(kind: Kind, given_id: str, body: Body) -> str:
    """Names an operation after what it says, so that an import that is repeated adds nothing."""
    said = body.model_dump(mode="json", exclude_unset=True)
    name = digest(canonical_json([kind.value, given_id, said])).hex()
    return derive_id(EPOCH, "operation on a record named by its author", name)


def _write(replica: Replica, project_id: str, operation: Operation, level: Privacy) -> Done:
    at = now()
    operation, counts = redact_operation(complete(operation, at), level)
    if level is Privacy.EPHEMERAL:
        return Done(document=None, stored=False, redactions=total(counts))
    trimmed = _trimmed(replica, project_id, operation, at)
    redactions = total(counts)
    if trimmed.operation is None:
        found = replica.get(operation.kind, operation.record_id)
        return replace(trimmed.known, document=found, redactions=redactions)
    written = replica.write(project_id, trimmed.operation, at=at, redactions=counts)
    if written.replayed and written.document is None:
        raise Deleted(f"the {operation.kind.value} {operation.record_id} has been deleted")
    return Done(
        document=written.document,
        created=written.created,
        added=written.added,
        duplicates=trimmed.known.duplicates + len(written.duplicates),
        differing=(*trimmed.known.differing, *written.differing),
        conflicts=written.conflicts,
        redactions=redactions,
    )


@dataclass(frozen=True, slots=True)
class _Trimmed:
    """The part of an operation that is new, None if nothing is; and what was known of it."""

    operation: Operation | None
    known: Done


def _trimmed(replica: Replica, project_id: str, operation: Operation, at: str) -> _Trimmed:
    """Leaves out what the replica has already: it need not be journaled nor pushed again.

    Raises:
        AlreadyExists: the id is in use by a different record.
    """
    nothing = Done(document=None, redactions={})
    body = operation.body
    if not isinstance(body, (*_CREATIONS, AppendMessages)):
        return _Trimmed(operation, nothing)
    found = replica.load(sorted(refs(operation)))
    if not any(_is_own(operation, ref) for ref in found):
        return _Trimmed(operation, nothing)
    known = Known(
        project_id=project_id,
        actor=replica.project(project_id).actor,
        now=at,
        documents={ref: dict(found[ref]) for ref in found},
    )
    decision = decide(operation, known)
    done = Done(
        document=None,
        duplicates=len(decision.duplicates),
        differing=decision.differing,
        redactions={},
    )
    if not decision.drafts:
        return _Trimmed(None, done)
    if isinstance(body, CreateSession | AppendMessages):
        fresh = {draft.record_id for draft in decision.drafts}
        messages = _chosen(body, fresh)
        if operation.record_id not in fresh:
            more = AppendMessages(messages=messages)
            op_id = _repeatable(operation.kind, operation.record_id, more)
            return _Trimmed(replace(operation, op_id=op_id, body=more), done)
    return _Trimmed(operation, done)


def _is_own(operation: Operation, ref: Ref) -> bool:
    return ref.kind is Kind.MESSAGE or ref == Ref(operation.kind, operation.record_id)


def _chosen(body: CreateSession | AppendMessages, fresh: set[str]) -> list[NewMessage]:
    left = set(fresh)
    chosen = []
    for message in body.messages:
        if message.id in left:
            left.discard(message.id)
            chosen.append(message)
    return chosen
