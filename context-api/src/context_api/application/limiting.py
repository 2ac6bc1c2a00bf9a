"""How many requests a key may make: a sliding window over two counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

WINDOW_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Whether a request may go on, and how much is left. Times are seconds.

    ``retry_after_s`` is 0 for a request that may go on; ``reset_s`` is when nothing of what was
    taken counts any more.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_s: float
    retry_after_s: float = 0.0


class Limiter(Protocol):
    """Counts what each name takes; never fails, whatever happens to its store."""

    @property
    def limit(self) -> int:
        """What may be taken in `WINDOW_S` seconds."""
        ...

    async def take(self, name: str, cost: int = 1) -> Allowance:
        """Takes ``cost`` if it is still allowed; what is refused is not counted.

        A cost above the whole limit counts as the limit, else it could never be had.
        """
        ...

    async def close(self) -> None:
        """Gives up its connections."""
        ...


def window_of(at: float) -> tuple[int, float]:
    """Returns the number of the window that ``at`` (seconds since 1970) lies in, and how far in."""
    number = int(at // WINDOW_S)
    return number, at - number * WINDOW_S


def judge(*, limit: int, cost: int, current: int, previous: int, into: float) -> Allowance:
    """Returns whether ``cost`` fits, ``into`` seconds after the window began.

    ``current`` and ``previous`` are what was taken in this window and the one before. Of the
    previous one counts the share that lies within the last `WINDOW_S` seconds, as if it had been
    taken evenly; so at most twice the limit passes in any window, and the limit on the average.
    """
    used = previous * (1.0 - into / WINDOW_S) + current
    left = WINDOW_S - into
    reset = left + WINDOW_S if current else left if previous else 0.0
    if used + cost <= limit:
        remaining = int(limit - used - cost)
        return Allowance(allowed=True, limit=limit, remaining=remaining, reset_s=left + WINDOW_S)
    return Allowance(
        allowed=False,
        limit=limit,
        remaining=max(0, int(limit - used)),
        reset_s=reset,
        retry_after_s=_wait(limit, cost, current, previous, into),
    )


def _wait(limit: int, cost: int, current: int, previous: int, into: float) -> float:
    """Returns the seconds until ``cost`` fits if nothing else is taken."""
    room = limit - cost
    if current <= room:
        # Enough of the previous window has to slide out.
        return WINDOW_S * (1.0 - (room - current) / previous) - into
    return (WINDOW_S - into) + WINDOW_S * (1.0 - room / current)
