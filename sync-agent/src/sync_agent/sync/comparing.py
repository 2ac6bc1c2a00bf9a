"""Finds where a replica's log differs from the hub's, at a cost that grows with the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_core.errors import EpochChanged
from memory_core.sync.protocol import MAX_RANGES
from memory_core.sync.ranges import range_digest, split

if TYPE_CHECKING:
    from sync_agent.sync.line import Line

MOST_EVENTS = 5_000
"""More different events than these are not worth telling one by one: all is read again."""


def differing(line: Line, most: int = MOST_EVENTS) -> list[int]:
    """Returns the positions at which log here and log there differ, at most about ``most``.

    A range whose digests are equal is not looked into: d different events among n cost about
    16 * d * log16(n) digests of 32 bytes.

    Raises:
        EpochChanged: the hub's log has begun another life.
        ContextError: as `Transport.digests`.
    """
    row = line.row()
    if row.epoch is None or row.cursor == row.floor:
        return []
    ahead = [(row.floor + 1, row.cursor)]
    found: list[int] = []
    while ahead and len(found) < most:
        # Depth first, so that few ranges wait however much differs.
        asked, ahead = sorted(ahead[-MAX_RANGES:]), ahead[:-MAX_RANGES]
        answer = line.transport.digests(line.project_id, asked)
        if answer.epoch != row.epoch:
            raise EpochChanged
        for (low, high), theirs in zip(asked, answer.digests, strict=True):
            ours = line.replica.digests(line.project_id, low, high)
            if range_digest(digest for _, digest in ours) == theirs:
                continue
            if low == high:
                found.append(low)
            else:
                ahead += split(low, high)
    return sorted(found)
