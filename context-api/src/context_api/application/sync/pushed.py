"""A batch of operations as it was pushed: what can be told of it before any is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from context_api.application.sync.ports import Greeting
from memory_core.errors import InvalidInput, OperationsMissing
from memory_core.ids import parse_uuid
from memory_core.records import Document
from memory_core.sync.operations import operation_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """One operation: its number, id and hash are sure, the rest of ``wire`` is not checked yet."""

    number: int
    op_id: str
    hash: bytes
    base: str | None
    wire: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """What a replica pushes; ``epoch`` is that of the log it last read, None if it read none."""

    greeting: Greeting
    epoch: str | None
    operations: Sequence[Pushed]


def pushed(wires: Sequence[Document]) -> list[Pushed]:
    """Returns operations in the order of their numbers, which have no gap.

    Raises:
        InvalidInput: one has no number, id or hash, or they are out of order.
    """
    found = [_pushed(wire) for wire in wires]
    if any(later.number != earlier.number + 1 for earlier, later in pairwise(found)):
        raise InvalidInput("operations are pushed in the order of their numbers, without a gap")
    return found


def _pushed(wire: Document) -> Pushed:
    number, op_id = wire.get("number"), wire.get("op_id")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number < 2**62:
        raise InvalidInput("an operation's number counts from 1")
    if not isinstance(op_id, str):
        raise InvalidInput("an operation's op_id is a text")
    try:
        # Before anything of it is read, which may put values into their canonical form.
        hashed = operation_hash(wire)
    except KeyError as error:
        raise InvalidInput(f"operation {number} has no {error.args[0]}") from error
    base = wire["base"]
    return Pushed(
        number=number,
        op_id=parse_uuid(op_id),
        hash=hashed,
        base=base.lower() if isinstance(base, str) else None,
        wire=wire,
    )


def check_follows(operations: Sequence[Pushed], last: int) -> None:
    """Checks that the first operation leaves no gap after the ``last`` one that is known.

    Raises:
        OperationsMissing: it does; ``expected`` says where to begin.
    """
    if operations and operations[0].number > last + 1:
        raise OperationsMissing(
            f"operation {last + 1} is the next one; send from there", expected=last + 1
        )
