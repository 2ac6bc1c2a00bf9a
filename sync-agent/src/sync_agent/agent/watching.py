"""Waits at the hubs for news: one thread for each watched replica, most of the time asleep.

A pull that waits (long poll) is answered as soon as the log moves on. What it brings is not
applied here: it only says that a sync is worth while. While a hub cannot be reached the watch
tries again with a growing random wait, and its first success says that the hub is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from memory_core.errors import ContextError, CursorExpired, EpochChanged
from sync_agent.agent.rounds import REFUSALS, ask_for_news

if TYPE_CHECKING:
    from logging import Logger

    from sync_agent.agent.registry import Registered

MAX_WATCHES = 32
"""More replicas than these are synced by the clock, by local writes and when asked only."""
WAIT_SECONDS = 25
AGAIN_FIRST_SECONDS = 2.0
AGAIN_MOST_SECONDS = 60.0
REST_SECONDS = 900.0
"""What a watch rests where the hub refuses."""
SYNC_SECONDS = 120.0
"""After news the watch asks again once a sync has ended, or after this time."""
WORTH_REUSING_SECONDS = 1.0


class Watchers:
    """The watches of all replicas. Only the main thread calls its methods."""

    def __init__(
        self, news: Callable[[Path], None], back: Callable[[Path], None], log: Logger
    ) -> None:
        self._news, self._back, self._log = news, back, log
        self._watches: dict[str, _Watch] = {}

    def keep(self, entries: Mapping[str, Registered]) -> None:
        """Watches these replicas, the first 32, and no others."""
        for name in self._watches.keys() - entries.keys():
            self._watches.pop(name).end()
        for name, entry in entries.items():
            watch = self._watches.get(name)
            if watch is not None and watch.entry.root == entry.root:
                continue
            if watch is not None:
                watch.end()
            elif len(self._watches) >= MAX_WATCHES:
                continue
            self._watches[name] = _Watch(entry, self._news, self._back, self._log)

    def synced(self, name: str) -> None:
        """Notes that a sync of a replica has ended."""
        watch = self._watches.get(name)
        if watch is not None:
            watch.synced.set()

    def wake(self, path: Path | None) -> None:
        """Lets the watch of a replica, or all, try again now."""
        for name, watch in self._watches.items():
            if path is None or name == str(path):
                watch.again.set()


class _Watch:
    """One thread. It ends by itself some time after `end`: the kernel's wait is not cut short."""

    def __init__(
        self,
        entry: Registered,
        news: Callable[[Path], None],
        back: Callable[[Path], None],
        log: Logger,
    ) -> None:
        self.entry = entry
        self.again = threading.Event()
        self.synced = threading.Event()
        self._news, self._back, self._log = news, back, log
        self._ends = False
        self._chance = Random()  # noqa: S311 - spreads load, hides nothing
        threading.Thread(target=self._run, name=f"watch {entry.project}", daemon=True).start()

    def end(self) -> None:
        """Lets the thread end when it next looks."""
        self._ends = True
        self.again.set()
        self.synced.set()

    def _run(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            self.again.clear()
            self.synced.clear()
            if self._ends:
                return
            try:
                found = ask_for_news(self.entry, WAIT_SECONDS)
            except ContextError as error:
                if isinstance(error, EpochChanged | CursorExpired):
                    self._tell_news()
                    continue
                failures += 1
                self.again.wait(self._rest(error, failures))
                continue
            except Exception:  # noqa: BLE001 - must not end for a fault in passing
                self._log.exception("%s: unexpected, while waiting for news", self.entry.path)
                self.again.wait(REST_SECONDS)
                continue
            if failures and found is not None:
                self._back(self.entry.path)
                failures = 0
            if found is None:
                # The first sync makes the replica known to its hub.
                self.synced.wait()
            elif found:
                self._tell_news()
            elif time.monotonic() - began < WORTH_REUSING_SECONDS:
                # A hub that does not wait must not be asked without end.
                self.again.wait(WAIT_SECONDS)

    def _tell_news(self) -> None:
        if not self._ends:
            self._news(self.entry.path)
            self.synced.wait(SYNC_SECONDS)

    def _rest(self, error: ContextError, failures: int) -> float:
        if error.code in REFUSALS:
            return REST_SECONDS
        bound = min(AGAIN_FIRST_SECONDS * 2.0 ** min(failures, 10), AGAIN_MOST_SECONDS)
        return self._chance.uniform(AGAIN_FIRST_SECONDS, bound)
