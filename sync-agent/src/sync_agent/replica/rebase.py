"""Operations over documents: what a replica shows before the hub has answered.

Pure. An operation is decided as the hub would decide it (`memory_core.decide`), and its events
are applied as everywhere (`memory_core.projection`). Replaying a root's operations over a new
base is what showing pending work after a pull means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from memory_core.decide import Decision, Known, decide, refs
from memory_core.errors import ContextError
from memory_core.events import Event, EventDraft, EventType
from memory_core.operations import Delete, Erase, Operation
from memory_core.projection import apply
from memory_core.records import Document, Kind, Privacy, Ref
from memory_core.sync.operations import Entry

UPDATES = frozenset(
    {EventType.PROJECT_UPDATED, EventType.SESSION_UPDATED, EventType.PATTERN_UPDATED}
)


class Below(Protocol):
    """What operations are laid over."""

    def document(self, ref: Ref) -> Document | None:
        """Returns a record, None if there is none."""
        ...

    def children(self, session_id: str) -> Sequence[str]:
        """Returns the ids of the sessions directly below a session."""
        ...

    def changed_after(self, record_id: str, op_id: str) -> frozenset[str] | None:
        """Returns the fields of a record changed after an operation on it; None: not known."""
        ...


class Overlay:
    """The documents of ``below`` with operations over them. ``actor`` made them all."""

    def __init__(self, below: Below, project_id: str, actor: str) -> None:
        self._below = below
        self._project_id = project_id
        self._actor = actor
        self.documents: dict[Ref, Document] = {}
        self._made: dict[str, list[tuple[str, frozenset[str]]]] = {}
        self._below_sessions: dict[str, list[str]] = {}

    def document(self, ref: Ref) -> Document | None:
        """Returns a record as it is by now."""
        return self.documents[ref] if ref in self.documents else self._below.document(ref)

    def decide(self, operation: Operation, at: str, *, lenient: bool = False) -> Decision:
        """Decides an operation; with ``lenient`` records it only refers to need not be there.

        The hub looks at those once more. Whether they are there can change with every pull, and
        what is shown of one record must not depend on others.

        Raises:
            ContextError: as `memory_core.decide.decide`.
        """
        documents: dict[Ref, Document] = {}
        for ref in refs(operation):
            found = self.document(ref)
            if lenient and is_mention(operation, ref):
                found = self._stand_in(ref)
            if found is not None:
                documents[ref] = found
        known = Known(
            project_id=self._project_id,
            actor=self._actor,
            now=at,
            documents=documents,
            changed=self._changed(operation),
            children=self._children(operation),
        )
        return decide(operation, known)

    def lay(self, entries: Iterable[Entry]) -> None:
        """Lays operations in order; one that cannot be decided any more changes nothing."""
        for entry in entries:
            try:
                decision = self.decide(entry.operation, entry.at, lenient=True)
            except ContextError:
                continue
            self.carry_out(entry.operation, decision, entry.at)

    def carry_out(self, operation: Operation, decision: Decision, at: str) -> None:
        """Applies the events of a decision."""
        for index, draft in enumerate(decision.drafts):
            event = self._event(operation, draft, index, at)
            for ref, document in apply(event, self.document).documents.items():
                before = self.document(ref)
                # It has no place in the log yet: what it stands on has.
                document["seq"] = before.get("seq", 0) if before is not None else 0
                self.documents[ref] = document
                if before is None and ref.kind is Kind.SESSION:
                    parent = str(document.get("parent_session_id") or "")
                    self._below_sessions.setdefault(parent, []).append(ref.id)
            self._note(event)

    def _event(self, operation: Operation, draft: EventDraft, index: int, at: str) -> Event:
        return Event(
            project_id=self._project_id,
            seq=0,
            type=draft.type,
            kind=draft.kind,
            record_id=draft.record_id,
            parent_id=draft.parent_id,
            op_id=operation.op_id,
            op_index=index,
            actor=self._actor,
            occurred_at=draft.occurred_at,
            recorded_at=at,
            redactions={},
            content=draft.content,
            salt=None,
            content_digest=b"",
            digest=b"",
        )

    def _note(self, event: Event) -> None:
        fields = changed_fields(event) if event.type in UPDATES else frozenset()
        self._made.setdefault(event.record_id, []).append((event.op_id, fields))

    def _changed(self, operation: Operation) -> frozenset[str] | None:
        """Returns the fields that changed after the operation's base, as the hub counts them."""
        base = operation.base
        current = self.document(Ref(operation.kind, operation.record_id))
        if base is None or current is None or current.get("last_op") == base:
            return frozenset()
        fields = self._below.changed_after(operation.record_id, base)
        for op_id, changed in self._made.get(operation.record_id, ()):
            if op_id == base:
                fields = frozenset()
            elif fields is not None:
                fields |= changed
        return fields

    def _children(self, operation: Operation) -> tuple[str, ...]:
        """Returns the sessions that go with a session, at any depth."""
        if operation.kind is not Kind.SESSION or not isinstance(operation.body, Delete | Erase):
            return ()
        found: set[str] = set()
        ahead = [operation.record_id]
        while ahead:
            parent = ahead.pop()
            direct = [*self._below.children(parent), *self._below_sessions.get(parent, ())]
            ahead += [child for child in direct if child not in found]
            found.update(direct)
        found.discard(operation.record_id)
        erases = isinstance(operation.body, Erase)
        return tuple(child for child in sorted(found) if self._goes_along(child, erases=erases))

    def _goes_along(self, session_id: str, *, erases: bool) -> bool:
        document = self.document(Ref(Kind.SESSION, session_id))
        if document is None or document.get("erased"):
            return False
        hidden = document.get("privacy_level") == Privacy.PRIVATE
        if hidden and document.get("owner") != self._actor:
            return False
        return erases or not document.get("deleted")

    def _stand_in(self, ref: Ref) -> Document:
        return {"id": ref.id, "project_id": self._project_id, "deleted": False}


def is_mention(operation: Operation, ref: Ref) -> bool:
    """Says whether an operation only refers to a record that has a root of its own."""
    if ref == Ref(operation.kind, operation.record_id) or ref.kind is Kind.MESSAGE:
        return False
    return operation.kind in (Kind.SESSION, Kind.PATTERN)


def changed_fields(event: Event) -> frozenset[str]:
    """Returns the names of the fields that an update set."""
    changes = (event.content or {}).get("changes")
    return frozenset(changes) if isinstance(changes, dict) else frozenset()


def rebase(
    below: Below, entries: Iterable[Entry], *, project_id: str, actor: str
) -> Mapping[Ref, Document]:
    """Returns the documents that ``entries``, in order, make of those below, marked as pending.

    An operation that cannot be decided any more shows nothing: the hub's answer is waited for.
    """
    overlay = Overlay(below, project_id, actor)
    overlay.lay(entries)
    return marked(overlay.documents)


def marked(documents: Mapping[Ref, Document]) -> dict[Ref, Document]:
    """Returns documents with the mark that they show what the hub has not confirmed."""
    return {ref: {**document, "pending": True} for ref, document in documents.items()}
