"""Which spaces a server has, remembered for a moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from context_api.application.vectors import Space

_FRESH_SECONDS: Final = 30.0


class Listing:
    """The spaces of all projects, read anew after half a minute. Threads may share it.

    A server lists only everything: 0.3 s for 600 collections. Care goes from project to project
    and must not read that for each. What another process made or dropped shows a moment later.
    """

    def __init__(
        self, read: Callable[[], Iterable[Space]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes what asks the server; it is not asked yet."""
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._spaces: set[Space] = set()
        self._until: float | None = None

    def of(self, tenant_id: str, project_id: str) -> list[Space]:
        """Returns the spaces of a project."""
        with self._lock:
            if self._until is None or self._clock() >= self._until:
                self._spaces = set(self._read())
                self._until = self._clock() + _FRESH_SECONDS
            return [one for one in self._spaces if one[:2] == (tenant_id, project_id)]

    def add(self, space: Space) -> None:
        """Notes a space that was made, or found."""
        with self._lock:
            self._spaces.add(space)

    def discard(self, space: Space) -> None:
        """Notes that a space is gone."""
        with self._lock:
            self._spaces.discard(space)
