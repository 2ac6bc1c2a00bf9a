"""Operations that the hub refused: kept with the reason, to be sent again or let go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from memory_core.canonical import canonical_json, digest
from memory_core.clock import now
from memory_core.errors import NotFound
from memory_core.ids import derive_id
from memory_core.records import Document, Privacy
from memory_core.redaction.operations import redact_operation
from memory_core.sync.operations import from_wire
from sync_agent.replica import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from sync_agent.replica import JournalRow, Replica, Written

_ANY_NUMBER = -(2**62)


def rejected(replica: Replica) -> list[Document]:
    """Returns the operations that the hub refused, oldest first, with what it said."""
    found = []
    for project in replica.projects():
        rows = replica.journal(project.id, states=[State.REJECTED], after=_ANY_NUMBER)
        found += [_shown(row, project.slug) for row in rows]
    return sorted(found, key=lambda each: str(each["at"]))


def one_rejected(replica: Replica, op_id: str) -> Document:
    """Returns one operation that the hub refused, with its whole body.

    Raises:
        NotFound: the hub refused none of that id.
    """
    row = _row(replica, op_id)
    slug = replica.project(row.project_id).slug
    return _shown(row, slug) | {"body": (row.wire or {}).get("body")}


def resend(replica: Replica, op_id: str, changes: Mapping[str, JsonValue] | None = None) -> Written:
    """Keeps a refused operation, changed where ``changes`` say so, as a new one to be pushed.

    The new operation is named after the old one and its own content, so doing this again after
    a crash does it once. A field that is changed to null is left out.

    Raises:
        NotFound: the hub refused none of that id, or its text was erased.
        InvalidInput: the changed operation is none.
        ContextError: it cannot be carried out here either.
    """
    row = _row(replica, op_id)
    if row.wire is None:
        raise NotFound(f"what the operation {op_id} held was erased")
    body = row.wire["body"]
    given = dict(body) if isinstance(body, dict) else {}
    given = {
        name: value for name, value in (given | dict(changes or {})).items() if value is not None
    }
    name = digest(canonical_json([op_id, given])).hex()
    fresh = derive_id(row.at, "a refused operation sent again", name)
    operation = from_wire({**row.wire, "op_id": fresh, "body": given}).operation
    level = Privacy(str(given.get("privacy_level") or Privacy.TEAM.value))
    operation, counts = redact_operation(replace(operation, op_id=fresh), level)
    written = replica.write(row.project_id, operation, at=now(), redactions=counts)
    replica.discard(row.op_id)
    return written


def _row(replica: Replica, op_id: str) -> JournalRow:
    row = replica.entry(op_id)
    if row is None or row.state is not State.REJECTED:
        raise NotFound(f"the hub refused no operation {op_id}")
    return row


def _shown(row: JournalRow, project: str) -> Document:
    problem = row.result.get("problem") if row.result else None
    told = problem if isinstance(problem, dict) else {}
    return {
        "op_id": row.op_id,
        "project": project,
        "type": row.type,
        "kind": row.kind.value,
        "record_id": row.record_id,
        "at": row.at,
        "code": told.get("code"),
        "detail": told.get("detail") or told.get("title"),
    }
