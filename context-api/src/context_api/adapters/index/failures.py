"""Translation of the driver's errors into the errors of the application."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from memory_core.errors import Busy, ContextError, Corrupt, InvalidInput, StorageFull, Unavailable

_CLASSES: list[tuple[tuple[type[psycopg.Error], ...], type[ContextError], str]] = [
    (
        (PoolTimeout, TooManyRequests),
        Busy,
        "all database connections of the index are in use",
    ),
    (
        (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure),
        Busy,
        "the index is being written by others",
    ),
    ((errors.DiskFull, errors.OutOfMemory), StorageFull, "no space is left for the index"),
    (
        (errors.DataCorrupted, errors.IndexCorrupted),
        Corrupt,
        "the database of the index is damaged",
    ),
    (
        (errors.UndefinedTable, errors.UndefinedColumn),
        Unavailable,
        "the database has no index of this release; run `python -m context_migration upgrade`",
    ),
    ((psycopg.DataError,), InvalidInput, "a value cannot be stored in the index"),
]


def translated(error: psycopg.Error) -> ContextError:
    """Returns the application's error for an error of the driver; it quotes no values."""
    for classes, kind, sentence in _CLASSES:
        if isinstance(error, classes):
            return kind(sentence)
    return Unavailable("the database of the index does not answer")


@contextmanager
def translating() -> Iterator[None]:
    """Raises errors of the driver as errors of the application."""
    try:
        yield
    except (psycopg.Error, PoolClosed) as error:
        raise translated(error) from error
