"""The user's own work: decided over what is shown, kept in the journal, shown at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import replace

from memory_core.clock import now
from memory_core.decide import complete, refs
from memory_core.errors import Deleted, InvalidInput, NotFound
from memory_core.events import EventType
from memory_core.operations import (
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Erase,
    Operation,
    ResolveConflict,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Document, Kind, Privacy, Ref
from memory_core.redaction.operations import total
from memory_core.sync.operations import Entry, type_of
from sync_agent.errors import NotHeld
from sync_agent.replica import journal, projects, reading
from sync_agent.replica.model import Written
from sync_agent.replica.rebase import Overlay, is_mention, marked
from sync_agent.replica.records import Pulled, Records, Shown, root_of
from sync_agent.replica.scrubbing import scrub
from sync_agent.replica.showing import closure

_CREATIONS = (CreateSession, CreateCheckpoint, CreatePattern)
_UPDATES = (UpdateSession, UpdatePattern)


def write(
    connection: sqlite3.Connection,
    project_id: str,
    operation: Operation,
    *,
    at: str,
    redactions: Mapping[str, Mapping[str, int]],
) -> Written:
    """Decides an operation over what is shown, and keeps it as pending.

    An update without a base is made against what is shown. Messages, sessions and the like that
    come without id or time get them here, so that the hub has none to invent.

    Raises:
        ContextError: as `memory_core.decide.decide`; NotHeld if only the hub has the record.
        InvalidInput: replicas do not make such operations.
    """
    type_of(operation)
    if getattr(operation.body, "privacy_level", None) is Privacy.EPHEMERAL:
        raise InvalidInput("what is EPHEMERAL is not stored")
    repeat = journal.of_operation(connection, operation.op_id)
    project = projects.one(connection, repeat.project_id if repeat else project_id)
    records = Records(connection, project.id, project.change_no)
    ref = Ref(operation.kind, operation.record_id)
    if repeat is not None:
        return Written(
            op_id=operation.op_id,
            number=repeat.number,
            document=_shown(connection, ref),
            replayed=True,
        )
    operation = _whole(operation, records, at)
    lenient = _rests_on_hub(records, operation)
    root = _root(records, operation)
    before = records.shown(ref)
    overlay = _overlay(records, operation, before, root, project.actor)
    decision = overlay.decide(operation, at, lenient=lenient)
    laid = overlay.documents
    overlay.documents = dict(laid)
    overlay.carry_out(operation, decision, at)
    number = project.last_number + 1
    entry = Entry(number=number, operation=operation, at=at)
    journal.add(connection, project.id, entry, root=root, made_at=now())
    for shown_ref, document in marked(overlay.documents).items():
        if overlay.documents[shown_ref] is not laid.get(shown_ref):
            records.save_view(shown_ref, document, root=root_of(shown_ref, document))
    if isinstance(operation.body, Erase) and project.last_sync_at is None:
        # No hub will send an erasure of what it never heard of.
        scrub(records, project.actor, [Ref(one.kind, one.record_id) for one in decision.drafts])
    projects.move(connection, project.id, last_number=number, change_no=records.change_no)
    return Written(
        op_id=operation.op_id,
        number=number,
        document=_shown(connection, ref),
        created=before is None and isinstance(operation.body, _CREATIONS),
        added=sum(draft.type is EventType.MESSAGE_APPENDED for draft in decision.drafts),
        duplicates=decision.duplicates,
        differing=decision.differing,
        conflicts=decision.conflicts,
        redactions=total({key: dict(value) for key, value in redactions.items()}),
    )


def _whole(operation: Operation, records: Records, at: str) -> Operation:
    """Returns the operation with every id and time that it leaves open."""
    operation = complete(operation, at)
    body, base = operation.body, operation.base
    if isinstance(body, CreateSession) and body.started_at is None:
        body = body.model_copy(update={"started_at": at})
    if isinstance(body, CreateCheckpoint | CreatePattern) and body.created_at is None:
        body = body.model_copy(update={"created_at": at})
    if isinstance(body, _UPDATES) and base is None:
        current = records.shown(Ref(operation.kind, operation.record_id))
        last = None if current is None else current.get("last_op")
        base = last if isinstance(last, str) else None
    return replace(operation, body=body, base=base)


def _rests_on_hub(records: Records, operation: Operation) -> bool:
    """Says whether a record that is only referred to is one that the hub alone still has.

    Raises:
        NotHeld: that is so of what the operation changes.
    """
    elsewhere = False
    for ref in refs(operation):
        held = records.held(ref)
        if held is None or not held.evicted:
            continue
        if not is_mention(operation, ref):
            raise NotHeld(f"only the hub still has the {ref.kind.value} {ref.id}")
        elsewhere = True
    return elsewhere


def _root(records: Records, operation: Operation) -> str:
    body = operation.body
    if isinstance(body, CreateCheckpoint):
        return body.session_id or operation.record_id
    if isinstance(body, ResolveConflict):
        return body.record_id
    if operation.kind in (Kind.SESSION, Kind.PATTERN):
        return operation.record_id
    held = records.held(Ref(operation.kind, operation.record_id))
    if held is None:
        raise NotFound(f"there is no {operation.kind.value} {operation.record_id}")
    return held.root


def _overlay(
    records: Records, operation: Operation, before: Document | None, root: str, actor: str
) -> Overlay:
    """Returns what the operation is decided over.

    That is what is shown; but an edit of something older than what is shown needs to know what
    each pending operation changed, which only laying them anew tells.
    """
    stale = operation.base is not None and (before or {}).get("last_op") != operation.base
    if not stale:
        return Overlay(Shown(records), records.project_id, actor)
    overlay = Overlay(Pulled(records), records.project_id, actor)
    group = sorted(closure(records, [root]))
    overlay.lay(journal.overlaid(records.connection, records.project_id, group))
    return overlay


def _shown(connection: sqlite3.Connection, ref: Ref) -> Document | None:
    try:
        return reading.get(connection, ref.kind, ref.id)
    except (NotFound, Deleted):
        return None
