"""Translation of database errors into the errors of the application."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from memory_core.errors import (
    Busy,
    Conflict,
    ContextError,
    Corrupt,
    InvalidInput,
    StorageFull,
    Unavailable,
)

Meaning = tuple[type[ContextError], str]

_SILENT = "the database does not answer"
_CONFLICT = (Conflict, "the change contradicts what is stored")

# By the beginning of SQLite's name of an error.
_BY_NAME: Mapping[str, Meaning] = {
    "SQLITE_FULL": (StorageFull, "the disk that holds the database is full"),
    "SQLITE_BUSY": (Busy, "the database is locked by another process"),
    "SQLITE_LOCKED": (Busy, "the database is locked"),
    "SQLITE_READONLY": (Unavailable, "the database file is read-only"),
    "SQLITE_CANTOPEN": (Unavailable, "the database file cannot be opened"),
    "SQLITE_CORRUPT": (Corrupt, "the database file is damaged; run `memctx doctor`"),
    "SQLITE_NOTADB": (Corrupt, "the database file is not a database; run `memctx doctor`"),
    "SQLITE_IOERR": (Unavailable, "the disk that holds the database fails"),
}

# By SQLSTATE or its class, the longer one first. What is not here is our own mistake.
_BY_STATE: Mapping[str, Meaning] = {
    "23505": _CONFLICT,
    "23503": _CONFLICT,
    "23P01": _CONFLICT,
    "0A000": (Busy, "the database schema has just changed"),
    "22": (InvalidInput, "the database cannot hold a value of the request"),
    "25006": (Unavailable, "the database takes no writes now"),
    "25P03": (Unavailable, "the database ended a transaction that had paused too long"),
    "28": (Unavailable, "the database refuses the user name or password of MEMCTX_DATABASE_URL"),
    "3D000": (Unavailable, "the database that MEMCTX_DATABASE_URL names does not exist"),
    "40": (Busy, "another write was in the way"),
    "53100": (StorageFull, "the disk that holds the database is full"),
    "53300": (Busy, "the database server has no connection left"),
    "53": (Unavailable, "the database server lacks memory"),
    "55P03": (Busy, "another write holds what this one needs"),
    "57014": (Busy, "the database took too long"),
    "57": (Unavailable, "the database server stops or starts"),
    "58": (Unavailable, "the disk that holds the database fails"),
    "08": (Unavailable, _SILENT),
    "XX001": (Corrupt, "the database is damaged; restore a backup"),
    "XX002": (Corrupt, "an index of the database is damaged; run REINDEX"),
}


def translated(error: BaseException) -> ContextError:
    """Returns the application's error for an error of a database driver."""
    if isinstance(error, PoolTimeout):
        return Busy("all database connections are in use")
    cause = error.orig if isinstance(error, DBAPIError) else error
    meaning = _of_file(cause) if isinstance(cause, sqlite3.Error) else _of_server(cause)
    if meaning is not None:
        kind, sentence = meaning
        return _met(kind(sentence), _state(cause))
    if isinstance(error, IntegrityError):
        return ContextError("a row that may not be stored was refused")
    if _state(cause) is not None:
        return ContextError("the database refused a statement")
    return Unavailable(_SILENT)


def _of_file(cause: sqlite3.Error) -> Meaning | None:
    name: str = getattr(cause, "sqlite_errorname", None) or ""
    # Whether two writes met, as against a row that should never have been written.
    if name.endswith(("_UNIQUE", "_PRIMARYKEY", "_FOREIGNKEY")):
        return _CONFLICT
    return next((found for prefix, found in _BY_NAME.items() if name.startswith(prefix)), None)


def _of_server(cause: BaseException | None) -> Meaning | None:
    state = _state(cause) or ""
    return _BY_STATE.get(state) or _BY_STATE.get(state[:2])


def _met(error: ContextError, state: str | None) -> ContextError:
    """Marks what says for sure that the transaction was undone for another one's sake."""
    if isinstance(error, Busy):
        if state == "55P03":
            error.met = "lock"
        elif state in {"40001", "40P01"}:
            error.met = "deadlock"
    return error


def _state(cause: BaseException | None) -> str | None:
    """Returns the SQLSTATE, under which every driver of a server gives it."""
    state = getattr(cause, "sqlstate", None)
    return state if isinstance(state, str) and state else None


@contextmanager
def translating() -> Iterator[None]:
    """Raises errors of the database as errors of the application."""
    try:
        yield
    except (DBAPIError, PoolTimeout, sqlite3.Error) as error:
        raise translated(error) from error
