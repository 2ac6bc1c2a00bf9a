"""A circuit breaker: a server that does not answer is left alone, and tried again by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Final

from memory_core.errors import Unavailable

_FORGOTTEN_SECONDS: Final = 60.0
"""A trial that has not ended by then never will; another may begin."""


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class NoAnswer(Unavailable):
    """The server did not answer in time, or not at all."""


class LeftAlone(Unavailable):
    """The server was not asked, because it did not answer."""


class CircuitBreaker:
    """Refuses calls at once after several in a row had no answer. Threads may share it.

    Closed, it lets every call through and counts `NoAnswer` in a row. At ``failures`` it opens:
    calls are refused for a pause, which doubles from ``first_pause`` to ``longest_pause``
    seconds. After the pause it is half open: one call goes through as the trial, the others are
    still refused, and the trial's end closes it or begins the next pause.

    Only a missing answer counts. A server that quickly says no costs its callers nothing.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 3,
        first_pause: float = 1.0,
        longest_pause: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Makes a closed breaker; ``name`` is the server's, for the sentence of a refusal."""
        self._name = name
        self._limit = failures
        self._first = first_pause
        self._longest = longest_pause
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._pause = first_pause
        self._opened_at: float | None = None
        self._trial_at: float | None = None

    def state(self) -> BreakerState:
        """Returns whether a call would go through now."""
        with self._lock:
            if self._opened_at is None:
                return BreakerState.CLOSED
            over = self._clock() >= self._opened_at + self._pause
            return BreakerState.HALF_OPEN if over else BreakerState.OPEN

    @contextmanager
    def guard(self) -> Iterator[bool]:
        """Runs a call: yields whether it is the trial, and learns from how it ends.

        Raises:
            LeftAlone: refused, because the server is known not to answer.
        """
        trial = self._enter()
        try:
            yield trial
        except NoAnswer:
            self._fail(trial)
            raise
        except Exception:
            # The server answered, or the call never reached it: a trial that failed for
            # another reason says nothing against the server.
            self._succeed()
            raise
        except BaseException:
            self._abandon(trial)
            raise
        else:
            self._succeed()

    def _enter(self) -> bool:
        with self._lock:
            if self._opened_at is None:
                return False
            now = self._clock()
            wait = self._opened_at + self._pause - now
            busy = self._trial_at is not None and now < self._trial_at + _FORGOTTEN_SECONDS
            if wait > 0 or busy:
                raise LeftAlone(f"{self._name} did not answer; it is left alone for a moment")
            self._trial_at = now
            return True

    def _succeed(self) -> None:
        with self._lock:
            self._failed = 0
            self._pause = self._first
            self._opened_at = self._trial_at = None

    def _fail(self, trial: bool) -> None:
        with self._lock:
            if trial:
                self._pause = min(2 * self._pause, self._longest)
                self._opened_at, self._trial_at = self._clock(), None
            elif self._opened_at is None:
                # One that began before it opened and ends later must not prolong the pause.
                self._failed += 1
                if self._failed >= self._limit:
                    self._opened_at = self._clock()

    def _abandon(self, trial: bool) -> None:
        with self._lock:
            if trial:
                self._trial_at = None
