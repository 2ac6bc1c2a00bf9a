"""Translation of database errors into the errors of the application."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from memory_core.errors import Busy, Conflict, ContextError, Corrupt, StorageFull, Unavailable

_BY_NAME: dict[str, tuple[type[ContextError], str]] = {
    "SQLITE_FULL": (StorageFull, "the disk that holds the database is full"),
    "SQLITE_BUSY": (Busy, "the database is locked by another process"),
    "SQLITE_LOCKED": (Busy, "the database is locked"),
    "SQLITE_READONLY": (Unavailable, "the database file is read-only"),
    "SQLITE_CANTOPEN": (Unavailable, "the database file cannot be opened"),
    "SQLITE_CORRUPT": (Corrupt, "the database file is damaged; run `memctx doctor`"),
    "SQLITE_NOTADB": (Corrupt, "the database file is not a database; run `memctx doctor`"),
    "SQLITE_IOERR": (Unavailable, "the disk that holds the database fails"),
}


def translated(error: Exception) -> ContextError:
    """Returns the application's error for an error of the database driver."""
    if isinstance(error, PoolTimeout):
        return Busy("all database connections are in use")
    if isinstance(error, IntegrityError) and _is_contradiction(error):
        return Conflict("the change contradicts what is stored")
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", None) or ""
        for prefix, (kind, sentence) in _BY_NAME.items():
            if name.startswith(prefix):
                return kind(sentence)
    if isinstance(error, IntegrityError):
        return ContextError("a row that may not be stored was refused")
    return Unavailable("the database does not answer")


def _is_contradiction(error: IntegrityError) -> bool:
    """Says whether two writes met, as against a row that should never have been written."""
    name = getattr(error.orig, "sqlite_errorname", "")
    return name.endswith(("_UNIQUE", "_PRIMARYKEY", "_FOREIGNKEY"))


@contextmanager
def translating() -> Iterator[None]:
    """Raises errors of the database as errors of the application."""
    try:
        yield
    except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
        raise translated(error) from error
