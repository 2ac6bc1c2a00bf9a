"""Waiting in turn for one of a few places, so that who asks for much waits behind themselves."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory_core.errors import Busy

WAIT_S = 20.0
"""A client that waits longer has mostly gone away."""


class Turns:
    """So many at once, for one event loop.

    Those who wait are taken one of each asker after the other, and those of one asker in the
    order in which they came: a flood from one key holds up nobody else by more than a turn.
    """

    def __init__(self, count: int, *, wait_s: float = WAIT_S) -> None:
        self._free = count
        self._wait_s = wait_s
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def taken(self, whose: str) -> AsyncIterator[None]:
        """Has a place while the block runs.

        Raises:
            Busy: the turn did not come in time.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self._acquire(whose)
        except TimeoutError as error:
            raise Busy("too many questions wait to be answered") from error
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, whose: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(whose, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # It came at the moment in which nobody waited for it any more.
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            whose, own = self._waiting.popitem(last=False)
            turn = own.popleft()
            if own:
                self._waiting[whose] = own
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
