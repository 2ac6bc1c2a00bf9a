"""Reading in the thread that asks, for what takes less time than changing threads."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Executable

T = TypeVar("T")


class AtOnce:
    """A connection that is asynchronous in form only: its coroutines never wait."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable) -> CursorResult[Any]:
        """Runs a statement and returns its rows."""
        return self._connection.execute(statement)


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Returns what a coroutine that never waits comes to.

    Raises:
        RuntimeError: it waited.
    """
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("a coroutine waited where nothing may")
