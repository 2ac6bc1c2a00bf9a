"""Collections that end the whole server when they are asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from context_api.adapters.vector.chroma_http import Broken
from context_api.application.vectors import Space
from memory_core.errors import Corrupt

_DEATHS: Final = 2
_SPARED_SECONDS: Final = 600.0


class Deaths:
    """Spaces that the server seems to die of, and is not asked for a while. Threads may share it.

    A graph that is ruined on disk ends the whole server with a segmentation fault when it is
    asked, and again after each restart, for all who share it. Twice in a row is taken for that.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts with nothing held against any."""
        self._clock = clock
        self._last: dict[Space, tuple[int, float]] = {}

    @contextmanager
    def watching(self, space: Space) -> Iterator[None]:
        """Runs a call, and remembers how it ended.

        Raises:
            Corrupt: the last calls ended with the server's death, not long ago.
        """
        count, at = self._last.get(space, (0, 0.0))
        if count >= _DEATHS and self._clock() < at + _SPARED_SECONDS:
            raise Corrupt("Chroma breaks down when this collection is asked; rebuild the index")
        try:
            yield
        except Broken:
            self._last[space] = count + 1, self._clock()
            raise
        else:
            self.forget(space)

    def forget(self, space: Space) -> None:
        """Forgets what was held against a space."""
        self._last.pop(space, None)
