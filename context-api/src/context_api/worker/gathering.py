"""Gathering what is written until nobody writes, but not for ever."""

from __future__ import annotations

import time

from context_api.application.wakeup import Wakeup

# Those who write and search wait for answers, and indexing does not: a turn begins once the logs
# are quiet for the first number of seconds, but never later than the second. A search needs no
# patience, it brings the words of its projects up to date itself.
WORK_WAIT_S = (0.05, 1.0)
# What the vector server is sent costs it most by the request: it gets fewer and larger ones.
SEND_WAIT_S = (1.0, 10.0)


class Gathering:
    """What may still be gathered, by its name."""

    def __init__(self, wakeup: Wakeup, for_s: float, at_most_s: float) -> None:
        """It is due once the logs were quiet for ``for_s``, or after ``at_most_s``."""
        self._wakeup = wakeup
        self._for_s = for_s
        self._at_most_s = at_most_s
        self._since: dict[str, float] = {}

    def is_due(self, name: str) -> bool:
        """Says whether what was gathered should be done now; it then begins anew."""
        at = time.monotonic()
        since = self._since.setdefault(name, at)
        if at < since + self._at_most_s and not self._wakeup.is_quiet(self._for_s):
            return False
        del self._since[name]
        return True
