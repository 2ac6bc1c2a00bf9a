"""Whether a vector server is there, and since when it may hold less than it was sent."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from context_api.application.vectors import VectorIndex
from memory_core.errors import Corrupt, Unavailable

AWAY_S = 5.0
PROBE_EVERY_S = 20.0


class ServerWatch:
    """Leaves a server that does not answer alone for a moment; doubts one that was away.

    It is doubted at first, too: it may have been away while nobody looked.
    """

    def __init__(self, vectors: VectorIndex) -> None:
        self._vectors = vectors
        self._losses = vectors.losses
        self._doubted_at = time.monotonic()
        self._probed_at = -PROBE_EVERY_S
        self._away_until = 0.0
        self._was_away = False

    @property
    def open(self) -> bool:
        """Whether it is worth trying."""
        return time.monotonic() >= self._away_until

    @property
    def doubted_s(self) -> float:
        """How long ago it may last have come back with less."""
        return time.monotonic() - self._doubted_at

    def probe(self) -> bool:
        """Says if the server answers rightly, which it is asked now and then."""
        if not self.open:
            return False
        if not self._was_away and time.monotonic() < self._probed_at + PROBE_EVERY_S:
            return True
        self._probed_at = time.monotonic()
        try:
            with self.watching():
                self._vectors.check()
        except (Unavailable, Corrupt):
            return False
        return True

    def probe_soon(self) -> None:
        """Lets the next probe ask the server, whatever was known."""
        self._probed_at = -PROBE_EVERY_S
        self._away_until = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notes when the server goes away and when it is back."""
        try:
            yield
        except (Unavailable, Corrupt):
            self._was_away = True
            self._away_until = time.monotonic() + AWAY_S
            raise
        if self._was_away or self._losses != self._vectors.losses:
            self._was_away = False
            self._losses = self._vectors.losses
            self._doubted_at = time.monotonic()
