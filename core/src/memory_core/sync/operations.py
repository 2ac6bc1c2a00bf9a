"""Operations as they stand in a replica's journal and travel to the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue, ValidationError

from memory_core.canonical import canonical_json, check_json, digest
from memory_core.clock import parse_time
from memory_core.errors import InvalidInput
from memory_core.ids import parse_uuid
from memory_core.operations import (
    AppendMessages,
    Body,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Delete,
    Erase,
    Operation,
    RecordOutcome,
    ResolveConflict,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import RECALLED_KINDS, Document, Kind

TYPES: Mapping[str, type[Body]] = {
    "create_session": CreateSession,
    "update_session": UpdateSession,
    "append_messages": AppendMessages,
    "create_checkpoint": CreateCheckpoint,
    "create_pattern": CreatePattern,
    "update_pattern": UpdatePattern,
    "record_outcome": RecordOutcome,
    "delete": Delete,
    "erase": Erase,
    "resolve_conflict": ResolveConflict,
}
_NAMES = {body: name for name, body in TYPES.items()}
_KINDS: Mapping[str, tuple[Kind, ...]] = {
    "create_session": (Kind.SESSION,),
    "update_session": (Kind.SESSION,),
    "append_messages": (Kind.SESSION,),
    "create_checkpoint": (Kind.CHECKPOINT,),
    "create_pattern": (Kind.PATTERN,),
    "update_pattern": (Kind.PATTERN,),
    "record_outcome": (Kind.PATTERN,),
    "delete": RECALLED_KINDS,
    "erase": RECALLED_KINDS,
    "resolve_conflict": (Kind.CONFLICT,),
}
_HASHED = ("op_id", "kind", "record_id", "type", "base", "at", "body")
_KEYS = frozenset({"number", *_HASHED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An operation with its number in a replica's journal and the time it was made there.

    ``at`` is the clock of the machine it was made on: it is shown, and decides nothing.
    """

    number: int
    operation: Operation
    at: str


def type_of(operation: Operation) -> str:
    """Returns the name under which an operation travels.

    Raises:
        InvalidInput: it is one that replicas do not make.
    """
    name = _NAMES.get(type(operation.body))
    if name is None:
        raise InvalidInput(f"a replica cannot make a {type(operation.body).__name__}")
    return name


def body_to_json(operation: Operation) -> Document:
    """Returns what was given of an operation's body, JSON-native."""
    return operation.body.model_dump(mode="json", exclude_unset=True)


def to_wire(entry: Entry) -> Document:
    """Returns an entry as it travels."""
    operation = entry.operation
    return {
        "number": entry.number,
        "op_id": operation.op_id,
        "kind": operation.kind.value,
        "record_id": operation.record_id,
        "type": type_of(operation),
        "base": operation.base,
        "at": entry.at,
        "body": body_to_json(operation),
    }


def operation_hash(wire: Mapping[str, JsonValue]) -> bytes:
    """Returns the digest of what an operation says (32 bytes).

    Its number is not covered: under another identity the same operation has another number.
    """
    return digest(canonical_json([wire[name] for name in _HASHED]))


def from_wire(wire: Document) -> Entry:
    """Returns the entry that a document describes, every part of it checked.

    Raises:
        InvalidInput: a part is missing, unknown or not what it must be; ids, times and texts
            raise the subclasses of it.
    """
    if set(wire) != _KEYS:
        wrong = sorted(set(wire) ^ _KEYS)
        raise InvalidInput(f"an operation has missing or unknown parts: {', '.join(wrong)[:200]}")
    number, name = wire["number"], wire["type"]
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number < 2**62:
        raise InvalidInput("an operation's number counts from 1")
    if not isinstance(name, str) or name not in TYPES:
        raise InvalidInput("an operation's type is not known")
    base = wire["base"]
    return Entry(
        number=number,
        at=parse_time(_text(wire, "at")),
        operation=Operation(
            op_id=parse_uuid(_text(wire, "op_id")),
            kind=_kind(wire, name),
            record_id=parse_uuid(_text(wire, "record_id")),
            base=None if base is None else parse_uuid(_text(wire, "base")),
            body=_body(name, wire["body"]),
        ),
    )


def body_from_json(name: str, value: JsonValue) -> Body:
    """Returns the body of the operation type ``name``.

    Raises:
        InvalidInput: it is no such body.
    """
    return _body(name, value)


def _text(wire: Document, name: str) -> str:
    value = wire[name]
    if not isinstance(value, str):
        raise InvalidInput(f"an operation's {name} is a text")
    return value


def _kind(wire: Document, name: str) -> Kind:
    value = wire["kind"]
    if value not in [kind.value for kind in _KINDS[name]]:
        raise InvalidInput(f"{name} is no operation on this kind of record")
    return Kind(str(value))


def _body(name: str, value: JsonValue) -> Body:
    if not isinstance(value, dict):
        raise InvalidInput("an operation's body is an object")
    check_json(value)
    try:
        return TYPES[name].model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"{name}: {place or 'body'}: {first['msg']}"[:500]) from error
