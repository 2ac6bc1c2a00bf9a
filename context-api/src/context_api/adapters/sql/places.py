"""Waiting in turn for one of a few places, for as long as the queue moves.

A queue that is long because there is much to do is waited in: its turn comes. One that stands
still, because whoever has the places waits for somebody else's lock, is told at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from memory_core.errors import Busy

STAND_S = 1.5
"""For so long may nobody come out before those who wait are told."""

WAIT_S = 20.0
"""A client that waits longer has mostly gone away."""

_LOOK_S = 0.25


class Places:
    """So many at once, in the order in which they came; for one event loop."""

    def __init__(
        self,
        count: int,
        *,
        check: Callable[[], None] = lambda: None,
        stand_s: float = STAND_S,
        wait_s: float = WAIT_S,
    ) -> None:
        """Makes ``count`` places; ``check`` raises what ends every waiting."""
        self._free = asyncio.Semaphore(count)
        self._check = check
        self._stand_s = stand_s
        self._wait_s = wait_s
        self._moved_at = 0.0

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Has a place while the block runs.

        Raises:
            Busy: nobody came out for `STAND_S` seconds, or one's turn did not come in time.
        """
        self._check()
        if self._free.locked():
            await self._wait()
        else:
            await self._free.acquire()
        try:
            yield
        finally:
            self._moved_at = time.monotonic()
            self._free.release()

    def _give_up(self, stood_s: float, waited_s: float) -> None:
        if stood_s >= self._stand_s or waited_s > self._wait_s:
            raise Busy("too many wait for the database")

    async def _wait(self) -> None:
        waiting = asyncio.ensure_future(self._free.acquire())
        began, seen, stood = time.monotonic(), self._moved_at, 0.0
        look = min(_LOOK_S, self._stand_s / 2)
        try:
            while not (await asyncio.wait({waiting}, timeout=look))[0]:
                self._check()
                # Not by the clock: while this process has no processor, nobody can come out.
                stood = stood + look if seen == self._moved_at else 0.0
                seen = self._moved_at
                self._give_up(stood, time.monotonic() - began)
        except BaseException:
            if not waiting.cancel():
                self._free.release()
            raise
