"""What a decision rests on beside the documents, and what may stand in its way."""

from __future__ import annotations

from collections.abc import Mapping

from context_api.application.ports import WriteTx
from context_api.domain.caller import Caller
from memory_core.errors import PreconditionFailed
from memory_core.events import EventType
from memory_core.operations import AppendMessages, Delete, Erase, Operation
from memory_core.records import Document, Kind, Privacy, Ref

_UPDATES = frozenset(
    {EventType.PROJECT_UPDATED, EventType.SESSION_UPDATED, EventType.PATTERN_UPDATED}
)


class OtherLevel(Exception):
    """A session has another privacy level than its new messages were redacted for."""

    def __init__(self, level: Privacy) -> None:
        super().__init__(level)
        self.level = level


def check_level(operation: Operation, current: Document | None, level: Privacy) -> None:
    """Raises `OtherLevel` unless messages were redacted for the level of their session."""
    if isinstance(operation.body, AppendMessages) and current is not None:
        wanted = Privacy(str(current.get("privacy_level") or level.value))
        if wanted is not level:
            raise OtherLevel(wanted)


def check_match(current: Document | None, if_match: str | None) -> None:
    """Raises `PreconditionFailed` unless the record is at ``if_match``, if that is given."""
    if if_match is None or current is None:
        return
    if current.get("last_op") != if_match:
        raise PreconditionFailed


async def changed_since(
    tx: WriteTx,
    operation: Operation,
    current: Document | None,
    along: Mapping[str, str | None],
) -> frozenset[str] | None:
    """Returns the fields that others changed after the operation's base; None if that is unknown.

    ``along`` are the bases of operations that came with this one. Its author had made them, and
    had seen of the others no more than they rest on: what came to stand between them counts.
    """
    base, own = _seen(operation.base, along)
    if base is None or current is None or (current.get("last_op") == base and not own):
        return frozenset()
    fields: set[str] | None = None
    for event in await tx.log.of_record(operation.record_id, own_only=True):
        if event.op_id == base:
            fields = set()
        elif event.op_id in own or event.type not in _UPDATES or event.content is None:
            continue
        elif fields is not None:
            changes = event.content.get("changes")
            fields |= set(changes) if isinstance(changes, dict) else set()
    return None if fields is None else frozenset(fields)


def _seen(base: str | None, along: Mapping[str, str | None]) -> tuple[str | None, frozenset[str]]:
    """Returns the last operation that was seen of the hub's log, and those made upon it."""
    own: set[str] = set()
    # A base of its own would go round for ever.
    while base is not None and base not in own and (below := along.get(base)) is not None:
        own.add(base)
        base = below
    return base, frozenset(own)


async def children(tx: WriteTx, caller: Caller, operation: Operation) -> tuple[str, ...]:
    """Returns the child sessions that go with a session; deleted ones only to be erased.

    PRIVATE ones of another owner stay: the caller may not even know of them.
    """
    if operation.kind is not Kind.SESSION or not isinstance(operation.body, Delete | Erase):
        return ()
    children = await tx.child_sessions(operation.record_id)
    documents = await tx.documents(Ref(Kind.SESSION, child) for child in children)
    erases = isinstance(operation.body, Erase)
    return tuple(
        ref.id
        for ref, document in documents.items()
        if (erases or not document["deleted"])
        and (document["privacy_level"] != Privacy.PRIVATE or document["owner"] == caller.actor)
    )
