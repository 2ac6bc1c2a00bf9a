"""Pushes what waits in the journal, in order, and stores the answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from memory_core.errors import OperationsMissing
from sync_agent.errors import InvalidAnswer, from_problem
from sync_agent.exchange import PushAnswer, PushRequest
from sync_agent.replica import State
from sync_agent.sync.batches import batches

if TYPE_CHECKING:
    from memory_core.records import Document
    from sync_agent.sync.line import Line
    from sync_agent.sync.report import Report

_ROWS = 500
_PUSHED = (State.PENDING, State.PUSHED, State.SETTLED)


def push(line: Line, report: Report, acked: int) -> bool:
    """Pushes what waited when this began; returns whether there was anything.

    ``acked`` is the last operation that the hub holds: what follows it goes along in order, also
    what is settled here, because numbers have no gap.

    Raises:
        OperationsMissing: one that the hub lacks is not to be pushed (any more).
        ContextError: why the hub would not go on. The answers up to there are stored.
    """
    row = line.row()
    first = line.replica.journal(line.project_id, states=[State.PENDING], limit=1)
    if not first or first[0].number > row.last_number:
        return False
    waiting = _waiting(line, min(acked + 1, first[0].number), row.last_number, acked)
    for batch in batches(waiting):
        request = PushRequest(
            epoch=row.epoch,
            confirmed=line.row().confirmed,
            operations=batch,
            standing=line.standing(),
        )
        answer = line.transport.push(line.project_id, line.caller(), request)
        _take(line, report, batch, answer)
    return True


def _take(line: Line, report: Report, batch: list[Document], answer: PushAnswer) -> None:
    """Stores the answers to a batch.

    Raises:
        InvalidAnswer: they are not the answers to it.
        ContextError: why the hub stopped in the middle of it.
    """
    sent = {(operation["number"], operation["op_id"]) for operation in batch}
    if any((result.number, result.op_id) not in sent for result in answer.results):
        raise InvalidAnswer("the hub answers operations that were not pushed")
    line.replica.store_results(line.project_id, answer.results)
    report.pushed += len(answer.results)
    report.outcomes.update(result.outcome for result in answer.results)
    if answer.stopped is not None:
        status = answer.stopped.get("status")
        raise from_problem(status if isinstance(status, int) else 503, answer.stopped)
    if len(answer.results) != len(batch):
        raise InvalidAnswer("the hub left operations unanswered and does not say why")


def _waiting(line: Line, first: int, last: int, acked: int) -> Iterator[Document]:
    """Yields the operations that the hub lacks, or whose answers are lacking here, in order.

    Raises:
        OperationsMissing: one that the hub lacks is not to be pushed, so that numbers would
            have a gap.
    """
    after = first - 1
    while rows := line.replica.journal(line.project_id, after=after, limit=_ROWS):
        for row in rows:
            if row.number > last:
                return
            if row.number <= acked and row.state is not State.PENDING:
                continue
            if row.wire is None or row.state not in _PUSHED:
                raise OperationsMissing(expected=row.number)
            yield row.wire
        after = rows[-1].number
