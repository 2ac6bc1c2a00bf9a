"""An append as rows, before it is known where in the log it will stand.

A server that is told everything at once takes the head row last and keeps it for one statement.
Where the events come to stand is known only then, so their rows, and those of the records that
they change, carry provisional positions: above `PROVISIONAL`, which no log reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from context_api.adapters.sql.rows import document_columns, event_row, redaction_rows, to_row
from memory_core.events import Event, EventDraft, EventType, body_digest
from memory_core.projection import apply
from memory_core.records import Document, Kind, Ref

PROVISIONAL = 2**62
Row = dict[str, Any]
Seen = Mapping[Ref, Document | None]

_MAKE = frozenset(
    {
        EventType.SESSION_CREATED,
        EventType.MESSAGE_APPENDED,
        EventType.CHECKPOINT_CREATED,
        EventType.PATTERN_CREATED,
    }
)
# Neither touches tags, other records or the log itself.
_ADD = _MAKE | {EventType.PATTERN_OUTCOME_RECORDED}
_NEVER_LOADED: Document = {"access_count": 0, "last_accessed": None}
_TAGGED = {Kind.SESSION: "session_id", Kind.PATTERN: "pattern_id"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch came to stand: after which seq of which project."""

    after_seq: int
    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of the log and of what it changes.

    ``bodies`` are the digests of the events without their places, in order. ``made`` must not
    be there yet; ``changed`` must still stand at the position that is given with each row.
    """

    bodies: list[bytes]
    events: list[Row]
    made: Mapping[Kind, list[Row]]
    changed: Mapping[Kind, list[tuple[int, Row]]]
    tags: Mapping[Kind, list[Row]]
    redactions: list[Row]
    documents: Mapping[Ref, Document]

    def placed(self, place: Place) -> dict[Ref, Document]:
        """Returns the documents with their real positions."""
        return {
            ref: {**document, **_real(document, place.after_seq)}
            for ref, document in self.documents.items()
        }

    def shown(self, place: Place) -> dict[Ref, Document]:
        """Returns the records that were made, but for messages, as reading them gives them."""
        return {
            Ref(kind, row["id"]): {
                **{name: row[name] for name in document_columns(kind)},
                **_real(row, place.after_seq),
                **(_NEVER_LOADED if kind is Kind.SESSION else {}),
                "project": place.slug,
            }
            for kind, rows in self.made.items()
            if kind is not Kind.MESSAGE
            for row in rows
        }


def is_addition(drafts: Iterable[EventDraft]) -> bool:
    """Says whether events only add to a log's records, so that a batch can hold what they do."""
    return all(draft.type in _ADD for draft in drafts)


def rests_on(drafts: Iterable[EventDraft]) -> set[Ref]:
    """Returns the records that such events change but do not make."""
    drafts = list(drafts)
    made = {Ref(draft.kind, draft.record_id) for draft in drafts if draft.type in _MAKE}
    changed = {Ref(draft.kind, draft.record_id) for draft in drafts}
    changed |= {
        Ref(Kind.SESSION, draft.parent_id)
        for draft in drafts
        if draft.type is EventType.MESSAGE_APPENDED and draft.parent_id is not None
    }
    return changed - made


def batch_of(tenant_id: str, events: Sequence[Event], op_hash: bytes | None, seen: Seen) -> Batch:
    """Returns the rows of events numbered from `PROVISIONAL`, given the records they rest on."""
    documents: dict[Ref, Document] = {}
    for event in events:
        documents.update(apply(event, lambda ref: documents.get(ref) or seen.get(ref)).documents)
    made: dict[Kind, list[Row]] = {}
    changed: dict[Kind, list[tuple[int, Row]]] = {}
    tags: dict[Kind, list[Row]] = {}
    for ref, document in documents.items():
        row, before = to_row(ref.kind, tenant_id, document), seen.get(ref)
        if before is not None:
            changed.setdefault(ref.kind, []).append((int(str(before["seq"])), row))
            continue
        made.setdefault(ref.kind, []).append(row)
        if ref.kind in _TAGGED and document.get("tags"):
            tags.setdefault(ref.kind, []).extend(_tag_rows(tenant_id, ref, document))
    return Batch(
        bodies=[body_digest(event) for event in events],
        events=[_logged(tenant_id, event, op_hash) for event in events],
        made=made,
        changed=changed,
        tags=tags,
        redactions=[row for event in events for row in redaction_rows(tenant_id, event)],
        documents=documents,
    )


def _real(row: Mapping[str, Any], after_seq: int) -> dict[str, Any]:
    """Returns the positions in the log that provisional ones stand for."""
    return {
        name: row[name] - PROVISIONAL + after_seq if row[name] > PROVISIONAL else row[name]
        for name in ("seq", "created_seq")
    }


def _logged(tenant_id: str, event: Event, op_hash: bytes | None) -> Row:
    row = event_row(tenant_id, event, op_hash)
    del row["digest"]
    return row


def _tag_rows(tenant_id: str, ref: Ref, document: Document) -> list[Row]:
    found = document["tags"]
    tags = {str(tag) for tag in found} if isinstance(found, list) else set()
    return [{"tenant_id": tenant_id, _TAGGED[ref.kind]: ref.id, "tag": tag} for tag in sorted(tags)]
