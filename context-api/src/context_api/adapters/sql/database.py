"""What the unit of work needs of a database; `dialects` has one for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql.batch import Batch, Place
from context_api.adapters.sql.dialect import Dialect
from context_api.application.ports import Recalled, Viewer
from memory_core.records import Document, Kind, Ref


class Executes(Protocol):
    """What a reader needs of a connection."""

    async def execute(self, statement: Executable, /) -> CursorResult[Any]:
        """Runs a statement and returns its rows."""
        ...


class Asks(Protocol):
    """A driver that answers several queries at one moment, in one round trip."""

    def ask_all(
        self, tenant_id: str, queries: Sequence[tuple[str, Mapping[str, object]]]
    ) -> list[list[tuple[Any, ...]]]:
        """Returns the rows of each query as a tenant sees them; ids and times as text.

        Raises:
            Busy, Unavailable: the database does not answer.
        """


@dataclass(frozen=True, slots=True)
class There:
    """A project that the viewer may see, whether the log has an operation, and the kinds of
    records of which any exists."""

    project_id: str | None
    is_repeat: bool
    kinds: frozenset[Kind]


class Shortcuts(Protocol):
    """What a server does in one statement, by itself, to save the way there and back."""

    async def there(
        self, viewer: Viewer, project: str | Ref, op_id: str, refs: Iterable[Ref], /
    ) -> There:
        """Returns what there is of a project, by id, slug or record, an operation and records."""
        ...

    async def documents(self, kind: Kind, ids: Sequence[str], /) -> list[Document]:
        """Returns the documents of records that exist."""
        ...

    async def append(self, project_id: str, batch: Batch, /, *, is_held: bool) -> Place | None:
        """Writes a batch and says where it stands; None if there is no such project.

        Raises:
            Moved: what the batch rests on is no longer so; the transaction must be left.
        """
        ...

    async def commit(self) -> None:
        """Makes the transaction durable."""
        ...


class Database(Protocol):
    """A database that is open. Every block is one transaction, undone unless it is committed.

    Each raises Busy, Unavailable or Corrupt where the database cannot be used.
    """

    @property
    def dialect(self) -> Dialect:
        """Which database it is."""

    def lane(
        self, tenant_id: str, project: str, /
    ) -> AbstractAsyncContextManager[Callable[[str], None]]:
        """Waits for a place among the writers of a project; yields what learns its id."""

    def writing(self, tenant_id: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a transaction that may write what belongs to a tenant."""

    async def shortcuts(self, connection: AsyncConnection, tenant_id: str, /) -> Shortcuts | None:
        """Returns what is done quicker past `writing`'s connection, None if nothing is."""

    def reading(self, tenant_id: str) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a view of one moment on what belongs to a tenant."""

    def glancing(self, tenant_id: str) -> AbstractAsyncContextManager[Executes]:
        """Opens a view for a few rows by their keys."""

    def of_key(self, key_id: str) -> AbstractAsyncContextManager[Executes]:
        """Opens a view in which one API key is seen, whichever tenant it belongs to."""

    def of_everyone(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Opens a view on what belongs to no tenant, and on the list of tenants."""

    def recalled(self, viewer: Viewer) -> Recalled:
        """Returns the records as recall reads them, as ``viewer``."""

    async def alive(self) -> None:
        """Asks whether the database answers, also while every connection is in use.

        Raises:
            Busy, Unavailable, Corrupt: it does not.
        """

    def committed(self) -> None:
        """Takes note that a transaction was committed, to tell other processes."""

    def hearing(self, heard: Callable[[], Awaitable[None]]) -> AbstractAsyncContextManager[None]:
        """Calls ``heard`` while the block runs whenever another process has committed."""

    async def checkpoint(self) -> bool:
        """Moves what was erased out of the database's own log; False if it must wait."""

    async def check(self) -> None:
        """Checks that the database keeps what it acknowledges, and tenants apart.

        Raises:
            Unavailable: it does not; the sentence says what to change.
        """

    async def dispose(self) -> None:
        """Closes every connection."""
