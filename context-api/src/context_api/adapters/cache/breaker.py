"""A circuit breaker: who does not answer is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

FIRST_REST_S = 0.5
LONGEST_REST_S = 10.0


class Breaker:
    """Says whether to ask a service that may have failed.

    One failure opens it, for half a second at first and twice as long after each more, up to
    ten. Once `is_due`, a trial may tell whether it answers again; a success closes it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest = 0.0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the service has failed and not answered since."""
        return self._rest > 0.0

    @property
    def is_due(self) -> bool:
        """Whether it has rested long enough for a trial."""
        return self._clock() >= self._until

    def succeeded(self) -> None:
        """Closes it."""
        self._rest = 0.0

    def failed(self) -> None:
        """Opens it, or keeps it open for longer. Calls that failed together count as one."""
        if not self._rest or self.is_due:
            self._rest = min(self._rest * 2, LONGEST_REST_S) or FIRST_REST_S
            self._until = self._clock() + self._rest
