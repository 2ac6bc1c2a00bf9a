"""What a decision rests on and what it yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from memory_core.errors import Deleted, NotFound
from memory_core.events import EventDraft, EventType
from memory_core.operations import Operation
from memory_core.records import Document, Kind, Privacy, Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the decision may rest on.

    ``documents`` holds every record the operation touches that exists (see `refs`).
    ``changed`` names the fields that others changed after the operation's ``base``; None
    when the base itself is unknown. ``children`` are the ids of a session's child sessions,
    at any depth. ``redactions`` counts what was redacted, by record id.
    """

    project_id: str
    actor: str
    now: str
    documents: Mapping[Ref, Document]
    changed: frozenset[str] | None = frozenset()
    children: tuple[str, ...] = ()
    redactions: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The events to append, and what was there already.

    ``duplicates`` are ids of messages that are stored already; ``differing`` those of them
    whose stored text is another; ``conflicts`` the fields whose value stayed the hub's.
    """

    drafts: tuple[EventDraft, ...] = ()
    duplicates: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def draft_of(
    operation: Operation,
    known: Known,
    type_: EventType,
    content: Document,
    *,
    record_id: str | None = None,
    parent_id: str | None = None,
    at: str | None = None,
) -> EventDraft:
    """Returns a draft on the operation's record, or on ``record_id`` if that is named."""
    named = record_id or operation.record_id
    return EventDraft(
        type=type_,
        kind=operation.kind,
        record_id=named,
        parent_id=parent_id,
        occurred_at=at or known.now,
        content=content,
        redactions=known.redactions.get(named, {}),
    )


def live_record(ref: Ref, known: Known) -> Document:
    """Returns a record of this project that the actor may change.

    Raises:
        NotFound: it is not there, or belongs to another project or owner.
        Deleted: it has been deleted.
    """
    document = known.documents.get(ref)
    of_project = "id" if ref.kind is Kind.PROJECT else "project_id"
    if document is None or document.get(of_project) != known.project_id:
        raise NotFound(f"there is no {ref.kind.value} {ref.id}")
    private = document.get("privacy_level") == Privacy.PRIVATE
    if private and document.get("owner") != known.actor:
        raise NotFound(f"there is no {ref.kind.value} {ref.id}")
    if document.get("deleted"):
        raise Deleted(f"the {ref.kind.value} {ref.id} has been deleted")
    return document


def content_of(body: BaseModel, *without: str) -> Document:
    """Returns the fields of an input model as an event's content."""
    return body.model_dump(mode="json", exclude={"id", *without})


def number(document: Document, name: str) -> int:
    """Returns a counter of a document, 0 when it has none."""
    value = document.get(name)
    return value if isinstance(value, int) else 0
