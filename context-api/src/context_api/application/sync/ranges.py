"""Digests over ranges of a log, and single events: by these a replica finds and mends damage."""

from __future__ import annotations

from collections.abc import Sequence

from context_api.application.ports import ReadTx
from context_api.application.services import Services
from context_api.application.sync.fitting import fitting
from context_api.application.sync.pull import is_hidden
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.errors import CursorExpired, InvalidInput
from memory_core.records import Document
from memory_core.sync.events import to_wire
from memory_core.sync.ranges import RangeDigest


async def digests(
    services: Services, caller: Caller, project: str, ranges: Sequence[tuple[int, int]]
) -> Document:
    """Returns a digest over the event digests of each range, whose ends belong to it.

    Raises:
        ProjectNotFound: there is no such project for the caller.
        InvalidInput: a range is empty, or ranges overlap: together they are read once.
        CursorExpired: the log does not reach that far.
    """
    caller.require(READ)
    _check_apart(ranges)
    async with services.uow.read(viewer_of(caller)) as tx:
        found = await project_named(tx.records, project)
        project_id, head = str(found["id"]), int(str(found["head"]))
        if any(high > head for _, high in ranges):
            raise CursorExpired(f"the log ends at {head}")
        made = [await _digest(tx, project_id, low, high) for low, high in ranges]
    return {"epoch": found["epoch"], "head": head, "digests": [*made]}


async def _digest(tx: ReadTx, project_id: str, low: int, high: int) -> str:
    made = RangeDigest()
    async for digests in tx.log.digests(project_id, low, high):
        made.add(digests)
    return made.value().hex()


def _check_apart(ranges: Sequence[tuple[int, int]]) -> None:
    last = 0
    for low, high in sorted(ranges):
        if not last < low <= high:
            raise InvalidInput("ranges begin at 1 or later, are not empty and do not overlap")
        last = high


async def events(services: Services, caller: Caller, project: str, seqs: Sequence[int]) -> Document:
    """Returns the events at some positions as a pull gives them; others are left out.

    Where their content is long, only the first of them, at least one: the rest is asked for again.

    Raises:
        ProjectNotFound: there is no such project for the caller.
    """
    caller.require(READ)
    async with services.uow.read(viewer_of(caller)) as tx:
        project_id = str((await project_named(tx.records, project))["id"])
        lengths = await tx.log.lengths_at(project_id, sorted(set(seqs)))
        count = fitting(length for _, length in lengths)
        found = await tx.log.at(project_id, [seq for seq, _ in lengths[:count]])
        hidden = await tx.records.hidden(project_id) if found else frozenset()
    return {"items": [to_wire(event, withheld=is_hidden(event, hidden)) for event in found]}
