"""Transactions of one tenant on the index's tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
from psycopg import ClientCursor, Connection, errors
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from context_api.adapters.index.failures import translating
from context_api.adapters.index.pipelining import Names, ask_pipelined

Row = tuple[Any, ...]
T = TypeVar("T")

STATEMENT_TIMEOUT_MS = 60_000
LOCK_TIMEOUT_MS = 2_000
IDLE_TIMEOUT_MS = 15_000
WAIT_S = 2.0
ANSWER_S = 2.0
"""How long a search waits for one of its short queries, should the server stand still."""

STEP_S = 10.0
STATEMENT_S = 65.0
_ATTEMPTS = 3

ACTIVE = TransactionStatus.ACTIVE

_TENANT: LiteralString = "SELECT set_config('memctx.tenant_id', %s, true)"
_EVERYONE: LiteralString = "SELECT set_config('memctx.all_tenants', 'on', true)"
_OF_TENANT = "SELECT set_config('memctx.tenant_id', %(tenant)s, true)"
_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_END = "COMMIT"
_ONE_MOMENT: LiteralString = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class BoundedConnection(Connection[Row]):
    """Gives up on a server that takes a statement and does not answer, and is then closed.

    A server that stands still does not end statements by its own limits; whoever waits for it
    holds a thread.
    """

    limit_s = STEP_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.prepared: Names = {}

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Waits for an answer, at most ``limit_s`` seconds."""
        try:
            return super().wait(gen, interval, self.limit_s if timeout is None else timeout)
        except psycopg.OperationalError as error:
            if error.sqlstate is None and self.pgconn.transaction_status == ACTIVE:
                self.pgconn.finish()
                raise NoAnswer("the server does not answer") from error
            raise


class NoAnswer(psycopg.OperationalError):
    """The server took a statement and did not answer in time; what became of it is unknown."""


Pool = ConnectionPool[BoundedConnection]


def open_pool(url: str, *, size: int) -> Pool:
    """Returns a pool of connections for `SqlIndexes` and its kin, which the caller closes.

    ``url`` is as the driver takes it (``postgresql://…``). Nothing is connected yet: the
    database may come later. Connections commit by themselves, so that a search's one query is
    one round trip; a worker's statements over a whole project may take a minute, but nobody
    waits for a lock longer than two seconds.
    """
    limits = {
        "TimeZone": "UTC",
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_MS,
    }
    options = " ".join(f"-c {name}={value}" for name, value in limits.items())
    return ConnectionPool(
        url,
        kwargs={
            "autocommit": True,
            "options": options,
            "application_name": "memctx-index",
            "connect_timeout": 2,
        },
        connection_class=BoundedConnection,
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
    def transaction(
        self, tenant_id: str, *, limit_s: float = STATEMENT_S
    ) -> Iterator[Connection[Row]]:
        """Opens a transaction that is committed unless it fails.

        ``limit_s`` is how long a statement may take.

        Raises:
            Busy, StorageFull, Unavailable, Corrupt, InvalidInput: by the driver's error.
        """
        with translating(), self._connection(limit_s) as connection, connection.transaction():
            connection.execute(_TENANT, (tenant_id,))
            yield connection

    @contextmanager
    def snapshot(self, tenant_id: str) -> Iterator[Connection[Row]]:
        """Opens a transaction in which every query sees the same moment; raises as above."""
        with translating(), self._connection(STEP_S) as connection, connection.transaction():
            connection.execute(_ONE_MOMENT)
            connection.execute(_TENANT, (tenant_id,))
            yield connection

    @contextmanager
    def everyone(self) -> Iterator[Connection[Row]]:
        """Opens a transaction that sees which tenants there are, and none of their rows."""
        with translating(), self._connection(STEP_S) as connection, connection.transaction():
            connection.execute(_EVERYONE)
            yield connection

    def ask(
        self,
        tenant_id: str,
        query: LiteralString,
        parameters: Sequence[object],
        *,
        limit_s: float = STEP_S,
    ) -> list[Row]:
        """Returns the rows of one query, in one round trip to the server.

        Tenant and query travel together and are one transaction. A connection that the server
        has closed meanwhile is replaced once.
        """
        both = f"{_TENANT}; {query}"

        def once() -> list[Row]:
            with self._connection(limit_s) as connection:
                cursor = ClientCursor(connection)
                cursor.execute(both, (tenant_id, *parameters))
                cursor.nextset()
                return cursor.fetchall()

        return self._once_more(once)

    def ask_all(
        self,
        tenant_id: str,
        queries: Sequence[tuple[str, Mapping[str, object]]],
        *,
        limit_s: float = ANSWER_S,
    ) -> list[list[Row]]:
        """Returns the rows of several queries at one moment, in one round trip to the server.

        Values are named as ``%(name)s``, and the server keeps the plans. Ids come as text and
        times in their canonical form; raises as `ask`.
        """
        statements = [(_OF_TENANT, {"tenant": tenant_id}), *queries]
        if len(queries) > 1:
            # One query is of one moment by itself.
            statements = [(_READ, {}), *statements, (_END, {})]

        def once() -> list[list[Row]]:
            with self._connection(limit_s) as connection:
                return ask_pipelined(connection, connection.prepared, statements)

        first = 2 if len(queries) > 1 else 1
        return self._once_more(once)[first : first + len(queries)]

    def _once_more(self, once: Callable[[], T]) -> T:
        """Returns what ``once`` gives, on another connection where the server had closed one.

        A server that was started again has closed them all, so the others are looked at first.
        """
        with translating():
            try:
                return once()
            except psycopg.OperationalError as error:
                if isinstance(error, _TAKEN) or error.sqlstate not in _GONE:
                    raise
                self._pool.check()
                return once()

    @contextmanager
    def _connection(self, limit_s: float) -> Iterator[BoundedConnection]:
        with self._pool.connection() as connection:
            connection.limit_s = limit_s
            yield connection


_TAKEN = (NoAnswer, PoolClosed, PoolTimeout, TooManyRequests)
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
