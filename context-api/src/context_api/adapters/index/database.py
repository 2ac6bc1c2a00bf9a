"""Transactions of one tenant on the index's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import ClientCursor, Connection, errors
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from context_api.adapters.index.failures import translating

Row = tuple[Any, ...]
Pool = ConnectionPool[Connection[Row]]
T = TypeVar("T")

STATEMENT_TIMEOUT_MS = 60_000
LOCK_TIMEOUT_MS = 2_000
IDLE_TIMEOUT_MS = 15_000
WAIT_S = 2.0
_ATTEMPTS = 3

_TENANT: LiteralString = "SELECT set_config('memctx.tenant_id', %s, true)"
_EVERYONE: LiteralString = "SELECT set_config('memctx.all_tenants', 'on', true)"
_ONE_MOMENT: LiteralString = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def open_pool(url: str, *, size: int) -> Pool:
    """Returns a pool of connections for `SqlIndexes` and its kin, which the caller closes.

    ``url`` is as the driver takes it (``postgresql://…``). Nothing is connected yet: the
    database may come later. Connections commit by themselves, so that a search's one query is
    one round trip; a worker's statements over a whole project may take a minute, but nobody
    waits for a lock longer than two seconds.
    """
    limits = {
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
    }
    options = " ".join(f"-c {name}={value}" for name, value in limits.items())
    return ConnectionPool(
        url,
        kwargs={"autocommit": True, "options": options, "application_name": "memctx-index"},
        connection_class=Connection[Row],
        min_size=0,
        max_size=size,
        timeout=WAIT_S,
        reconnect_timeout=WAIT_S,
        open=True,
        name="index",
    )


class Database:
    """Opens transactions that see one tenant's rows: the database itself refuses the others."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @contextmanager
    def transaction(self, tenant_id: str) -> Iterator[Connection[Row]]:
        """Opens a transaction that is committed unless it fails.

        Raises:
            Busy, StorageFull, Unavailable, Corrupt, InvalidInput: by the driver's error.
        """
        with translating(), self._pool.connection() as connection, connection.transaction():
            connection.execute(_TENANT, (tenant_id,))
            yield connection

    @contextmanager
    def snapshot(self, tenant_id: str) -> Iterator[Connection[Row]]:
        """Opens a transaction in which every query sees the same moment; raises as above."""
        with translating(), self._pool.connection() as connection, connection.transaction():
            connection.execute(_ONE_MOMENT)
            connection.execute(_TENANT, (tenant_id,))
            yield connection

    @contextmanager
    def everyone(self) -> Iterator[Connection[Row]]:
        """Opens a transaction that sees which tenants there are, and none of their rows."""
        with translating(), self._pool.connection() as connection, connection.transaction():
            connection.execute(_EVERYONE)
            yield connection

    def ask(self, tenant_id: str, query: LiteralString, parameters: Sequence[object]) -> list[Row]:
        """Returns the rows of one query, in one round trip to the server.

        Tenant and query travel together and are one transaction. A connection that the server
        has closed meanwhile is replaced once.
        """
        both = f"{_TENANT}; {query}"

        def once() -> list[Row]:
            with self._pool.connection() as connection:
                cursor = ClientCursor(connection)
                cursor.execute(both, (tenant_id, *parameters))
                cursor.nextset()
                return cursor.fetchall()

        with translating():
            try:
                return once()
            except psycopg.OperationalError as error:
                if isinstance(error, _TAKEN) or error.sqlstate not in _GONE:
                    raise
                return once()


_TAKEN = (PoolClosed, PoolTimeout, TooManyRequests)
_GONE = frozenset({None, "57P01", "57P02", "08006", "08003"})
"""What a statement meets on a connection that the server has closed: it was never begun."""


def retried(act: Callable[[], T]) -> T:
    """Repeats a transaction that met another one; the last time its failure is told."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return act()
        except Exception as error:
            if not isinstance(error.__cause__, _MET):
                raise
    return act()


_MET = (errors.DeadlockDetected, errors.SerializationFailure)
