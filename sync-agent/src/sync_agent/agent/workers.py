"""The threads that sync. One that ends is replaced: without them the agent only looks alive."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

    from sync_agent.agent.registry import Registered

WORKERS = 2


class Workers:
    """A few threads that take jobs in order; ``work`` does one, and should raise nothing."""

    def __init__(self, work: Callable[[Registered], None], log: Logger) -> None:
        self._work = work
        self._log = log
        self._jobs: queue.SimpleQueue[Registered | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def alive(self) -> int:
        """How many threads run."""
        return sum(thread.is_alive() for thread in self._threads)

    def put(self, entry: Registered) -> None:
        """Adds a job."""
        self._jobs.put(entry)

    def staff(self) -> None:
        """Starts threads in the place of those that have ended; the first time all."""
        kept = [thread for thread in self._threads if thread.is_alive()]
        if len(kept) < len(self._threads):
            self._log.error("%d threads that sync have ended", len(self._threads) - len(kept))
        new = [threading.Thread(target=self._run, daemon=True) for _ in range(WORKERS - len(kept))]
        for thread in new:
            thread.start()
        self._threads = [*kept, *new]

    def end(self, seconds: float) -> None:
        """Lets what is under way come to its end, for so long in all."""
        until = time.monotonic() + seconds
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self) -> None:
        while (entry := self._jobs.get()) is not None:
            try:
                self._work(entry)
            except Exception:  # noqa: BLE001 - one replica must not end it for all
                self._log.exception("%s: unexpected", entry.path)
