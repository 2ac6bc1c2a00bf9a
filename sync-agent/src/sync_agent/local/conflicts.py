"""Conflicts in a replica: read, and resolved as work that the hub has yet to confirm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_core.ids import parse_uuid
from memory_core.operations import ResolveConflict
from memory_core.records import Document, Kind
from sync_agent.local.writing import change

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent.replica import Replica


def conflict(replica: Replica, conflict_id: str) -> Document:
    """Returns a conflict, also one that is resolved.

    Raises:
        NotFound: the replica holds none of that id.
    """
    return replica.get(Kind.CONFLICT, parse_uuid(conflict_id))


def resolve(
    replica: Replica, conflict_id: str, resolution: str, value: JsonValue = None
) -> Document:
    """Closes a conflict: ``kept``, ``pushed`` or ``edited`` with a value of its own.

    Raises:
        NotFound: the replica holds none of that id.
        Conflict: it was resolved before, in another way.
        InvalidInput: the value is none for the field.
    """
    found = conflict(replica, conflict_id)
    given: Document = {
        "record_kind": found["record_kind"],
        "record_id": found["record_id"],
        "resolution": resolution,
    }
    if resolution == "edited":
        given["value"] = value
    body = ResolveConflict.model_validate(given)
    done = change(replica, Kind.CONFLICT, str(found["id"]), body)
    return done.document or found
