"""Beginning a transaction again which another one was in the way of."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from context_api.application.services import Services
from memory_core.errors import Busy

ATTEMPTS = 4
BEGIN_S = 3.0
"""After so many seconds no attempt is begun: each may wait two more for a lock."""

PAUSE_S = 0.02

T = TypeVar("T")


async def again(services: Services, attempt: Callable[[], Awaitable[T]]) -> T:
    """Returns what a transaction gives, begun again where the database undid it for another's sake.

    ``attempt`` opens, decides and commits it, and is the same operation each time: one that was
    carried out after all is found by its id. A deadlock is over once one of the two has gone. A
    lock that was waited for too long is waited for once more if logs have grown meanwhile, as a
    queue that moves is; else somebody just sits on it, and the client is told.

    Raises:
        Busy: it was undone each time, or the lock stands.
    """
    end = time.monotonic() + BEGIN_S
    for turn in range(1, ATTEMPTS):
        seen = services.wakeup.round
        try:
            return await attempt()
        except Busy as error:
            moves = error.met == "deadlock" or services.wakeup.round > seen
            if not error.met or not moves or time.monotonic() > end:
                raise
        services.measures.begun_again += 1
        # Two that met must not meet again in step.
        await asyncio.sleep(random.uniform(0, PAUSE_S * turn))  # noqa: S311 - no secret
    return await attempt()
