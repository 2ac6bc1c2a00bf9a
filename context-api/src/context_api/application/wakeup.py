"""Wakes those who wait for a project's log to grow. A hint: they look again by themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Wakeup:
    """One condition for all projects of this process."""

    def __init__(self) -> None:
        self._condition = asyncio.Condition()
        self._rounds = 0
        self._last = -1e9
        self._writers = 0

    async def quiet(self, for_s: float, at_most_s: float) -> None:
        """Returns once nobody has been writing for ``for_s``, or after ``at_most_s``."""
        end = time.monotonic() + at_most_s
        # Not an event: what is waited for is that nothing happens.
        while (at := time.monotonic()) < min(self._quiet_at(at, for_s), end):  # noqa: ASYNC110
            await asyncio.sleep(min(self._quiet_at(at, for_s), end) - at)

    def is_quiet(self, for_s: float) -> bool:
        """Says whether nobody has been writing for ``for_s``."""
        at = time.monotonic()
        return at >= self._quiet_at(at, for_s)

    def _quiet_at(self, at: float, for_s: float) -> float:
        return for_s + (at if self._writers else self._last)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Says that somebody writes, from the first look at the request to the answer."""
        self._writers += 1
        try:
            yield
        finally:
            self._writers -= 1
            self._last = time.monotonic()

    @property
    def round(self) -> int:
        """The number of notifications so far; pass it to `wait`."""
        return self._rounds

    async def notify(self) -> None:
        """Says that some log has grown."""
        async with self._condition:
            self._rounds += 1
            self._last = time.monotonic()
            self._condition.notify_all()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Returns once there was a notification after ``seen``, or after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s), self._condition:
                await self._condition.wait_for(lambda: self._rounds > seen)
        except TimeoutError:
            return
