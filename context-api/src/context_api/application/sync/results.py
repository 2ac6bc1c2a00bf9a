"""Results as they are made, kept and answered."""

from __future__ import annotations

from collections.abc import Sequence

from context_api.application.sync.ports import Outcome, Replica, Result
from context_api.application.sync.pushed import Pushed
from memory_core.errors import ContextError
from memory_core.records import Document


def result_of(
    one: Pushed,
    outcome: Outcome,
    *,
    seq: int,
    head: int,
    conflicts: Sequence[str] = (),
    problem: Document | None = None,
) -> Result:
    """Returns what a pushed operation came to."""
    return Result(
        number=one.number,
        op_id=one.op_id,
        hash=one.hash,
        outcome=outcome,
        seq=seq,
        head=head,
        conflicts=tuple(conflicts),
        problem=problem,
    )


def acked(number: int, hashed: bytes | None) -> Document:
    """Returns the last operation of a replica that was carried out, as answers show it."""
    return {"number": number, "hash": None if hashed is None else hashed.hex()}


def acked_of(replica: Replica | None) -> Document:
    """Returns what `acked` does, of a replica that may not be known yet."""
    return acked(0, None) if replica is None else acked(replica.last_number, replica.last_hash)


def shown(result: Result) -> Document:
    """Returns a result as answers show it."""
    document: Document = {
        "number": result.number,
        "op_id": result.op_id,
        "outcome": result.outcome,
        "seq": result.seq,
        "head": result.head,
        "conflicts": [*result.conflicts],
    }
    return document if result.problem is None else {**document, "problem": result.problem}


def problem_of(error: ContextError) -> Document:
    """Returns what a result says about an error, as RFC 9457 has it."""
    return {
        **error.extra,
        "type": f"urn:memory-context:error:{error.code}",
        "title": error.title(),
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
    }
