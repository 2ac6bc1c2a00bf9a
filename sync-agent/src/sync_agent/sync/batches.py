"""Cuts what is to be pushed into requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from memory_core.records import Document
from memory_core.sync.protocol import MAX_OPERATIONS, MAX_PUSH_BYTES
from sync_agent.wire import encode


def batches(
    operations: Iterable[Document],
    *,
    most: int = MAX_OPERATIONS,
    most_bytes: int = MAX_PUSH_BYTES,
) -> Iterator[list[Document]]:
    """Yields the operations in order, in lists within both limits.

    An operation that is larger than ``most_bytes`` goes alone, and no list has a gap in its
    numbers: the hub would refuse the whole of it. One list and one operation are held at a time.
    """
    batch: list[Document] = []
    size = number = 0
    for operation in operations:
        # One byte stands for the comma between two.
        length = len(encode(operation)) + 1
        full = len(batch) == most or size + length > most_bytes
        if batch and (full or operation["number"] != number + 1):
            yield batch
            batch, size = [], 0
        batch.append(operation)
        number = int(str(operation["number"]))
        size += length
    if batch:
        yield batch
