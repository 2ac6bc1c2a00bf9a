"""Events as they travel from the hub to a replica."""

from __future__ import annotations

from dataclasses import dataclass

from memory_core.errors import ContextError, InvalidInput
from memory_core.events import Event, EventType
from memory_core.records import Document, Kind

DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pulled:
    """An event as a replica receives it.

    ``withheld``: the hub keeps the content back, because the record is PRIVATE to somebody
    else. Content that is None without being withheld has been erased.
    """

    event: Event
    withheld: bool = False


def to_wire(event: Event, *, withheld: bool = False) -> Document:
    """Returns an event with all that its digests cover; ``withheld`` leaves the content out."""
    return {
        "project_id": event.project_id,
        "seq": event.seq,
        "type": event.type.value,
        "kind": event.kind.value,
        "record_id": event.record_id,
        "parent_id": event.parent_id,
        "op_id": event.op_id,
        "op_index": event.op_index,
        "actor": event.actor,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "redactions": {**event.redactions},
        "content": None if withheld else event.content,
        "salt": None if withheld or event.salt is None else event.salt.hex(),
        "content_digest": event.content_digest.hex(),
        "digest": event.digest.hex(),
        "withheld": withheld,
    }


def from_wire(wire: Document) -> Pulled:
    """Returns the event that a document describes. Its digests are not checked here.

    Fields of a newer hub are left out.

    Raises:
        InvalidInput: it describes no event, or one of a type that is not known here.
    """
    try:
        return Pulled(_event(wire), wire["withheld"] is True)
    except ContextError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput("this is no event of a log that can be read here") from error


def _event(wire: Document) -> Event:
    content, salt, redactions = wire["content"], wire["salt"], wire["redactions"]
    parent = wire["parent_id"]
    if not isinstance(content, dict | None) or not isinstance(redactions, dict):
        raise TypeError("content")
    return Event(
        project_id=_text(wire, "project_id"),
        seq=_number(wire, "seq"),
        type=EventType(_text(wire, "type")),
        kind=Kind(_text(wire, "kind")),
        record_id=_text(wire, "record_id"),
        parent_id=None if parent is None else _text(wire, "parent_id"),
        op_id=_text(wire, "op_id"),
        op_index=_number(wire, "op_index"),
        actor=_text(wire, "actor"),
        occurred_at=_text(wire, "occurred_at"),
        recorded_at=_text(wire, "recorded_at"),
        redactions={name: _number(redactions, name) for name in redactions},
        content=content,
        salt=None if salt is None else bytes.fromhex(_text(wire, "salt")),
        content_digest=_digest(wire, "content_digest"),
        digest=_digest(wire, "digest"),
    )


def _text(wire: Document, name: str) -> str:
    value = wire[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def _number(wire: Document, name: str) -> int:
    value = wire[name]
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(name)
    return value


def _digest(wire: Document, name: str) -> bytes:
    value = bytes.fromhex(_text(wire, name))
    if len(value) != DIGEST_BYTES:
        raise ValueError(name)
    return value
