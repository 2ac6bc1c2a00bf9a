"""One connection beside the pools: hears of commits elsewhere, and notices a server that stands.

A server that was stopped or cut off answers nothing, also not that a statement took too long,
and a timeout short enough for it would end statements that are only slow. So while anything is
waited for, this connection asks every half second whether the server lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg
import structlog

from memory_core.errors import Unavailable

CHANNEL = "memctx_log"
SILENT = "the database does not answer"
BEAT_S = 0.5
ANSWER_S = 1.0
RETRY_S = 0.25
# Rings are a hint: many commits become one.
RING_S = 0.02
REFUSED = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
CLOSED = (OSError, *REFUSED)

Connect = Callable[[], Awaitable[Any]]
Heard = Callable[[], Awaitable[None]]

log = structlog.get_logger(__name__)


class Pulse:
    """Says whether the server lives, and passes on that something was committed."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._waiting: set[Any] = set()
        self._asking: set[asyncio.Future[None]] = set()
        self._is_rung = False
        self._woken = asyncio.Event()
        self._is_down = False
        self._heard: Heard | None = None

    def require(self) -> None:
        """Refuses at once while the server does not answer, so that nobody piles up.

        Raises:
            Unavailable: it does not.
        """
        if self._is_down:
            raise Unavailable(SILENT)

    async def ask(self) -> None:
        """Returns when the server has answered here, however busy the pools are.

        Raises:
            Unavailable: it does not answer.
        """
        self.require()
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking.add(answer)
        self._woken.set()
        try:
            await answer
        finally:
            self._asking.discard(answer)

    @contextmanager
    def watching(self, driver: Any) -> Iterator[None]:
        """Cuts a connection off if the server stops while the block runs."""
        self._waiting.add(driver)
        try:
            yield
        finally:
            self._waiting.discard(driver)

    def ring(self) -> None:
        """Tells other processes soon that something was committed."""
        self._is_rung = True
        self._woken.set()

    @asynccontextmanager
    async def running(self, heard: Heard) -> AsyncIterator[None]:
        """Beats while the block runs; calls ``heard`` when another process rings."""
        self._heard = heard
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self._is_down = False

    async def _run(self) -> None:
        while True:
            connection = None
            try:
                connection = await self._connect()
                await connection.add_listener(CHANNEL, self._hear)
                if self._is_down:
                    log.info("the database answers again")
                self._is_down = False
                await self._beat(connection)
            except Exception as error:  # noqa: BLE001 - whatever it was, it must beat again
                self._lose(error)
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(RETRY_S)

    async def _beat(self, connection: Any) -> None:
        """Returns only by the error that ends the connection."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await self._woken.wait()
            self._woken.clear()
            asking, rings = list(self._asking), self._is_rung
            if rings:
                self._is_rung = False
                await self._answered(connection, f"NOTIFY {CHANNEL}")
            elif asking or self._waiting or connection.is_closed():
                await self._answered(connection, "SELECT 1")
            for answer in asking:
                if not answer.done():
                    answer.set_result(None)
            if rings:
                await asyncio.sleep(RING_S)

    async def _answered(self, connection: Any, statement: str) -> None:
        """Runs a statement; too late an answer is an error."""
        asked = asyncio.ensure_future(connection.execute(statement))
        await asyncio.wait({asked}, timeout=ANSWER_S)
        if not asked.done():
            # This process may have been the one that stood: look once at what has come since.
            await asyncio.sleep(0.05)
        if not asked.done():
            connection.terminate()
            with suppress(*CLOSED):
                await asked
            raise TimeoutError
        await asked

    def _lose(self, error: Exception) -> None:
        if not self._is_down:
            log.warning("the database does not answer", error=type(error).__name__)
        self._is_down = True
        for answer in self._asking:
            if not answer.done():
                answer.set_exception(Unavailable(SILENT))
        for driver in list(self._waiting):
            driver.terminate()

    async def _hear(self, connection: Any, pid: int, _channel: str, _payload: object) -> None:
        if self._heard is not None and pid != connection.get_server_pid():
            await self._heard()
