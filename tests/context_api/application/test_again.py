"""Transactions begun again: only those that were undone for another's sake, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

import pytest

from context_api.application.again import ATTEMPTS, again
from context_api.application.services import Services
from memory_core.errors import Busy
from tests.support.services import services_in

Attempt = Callable[[], Awaitable[int]]


def failing(times: int, met: Literal["", "lock", "deadlock"], meanwhile: Attempt) -> Attempt:
    """Returns an attempt that says how often it was made, and fails at first."""
    made = 0

    async def attempt() -> int:
        nonlocal made
        made += 1
        if made <= times:
            await meanwhile()
            error = Busy(f"attempt {made}")
            error.met = met
            raise error
        return made

    return attempt


async def scenario(folder: Path) -> None:
    async with services_in(folder) as services:

        async def nothing() -> int:
            return 0

        async def growing() -> int:
            await services.wakeup.notify()
            return 0

        await succeed(services, nothing, growing)
        with pytest.raises(Busy, match=f"attempt {ATTEMPTS}"):
            await again(services, failing(ATTEMPTS, "deadlock", nothing))
        with pytest.raises(Busy, match="attempt 1"):
            await again(services, failing(1, "", growing))
        with pytest.raises(Busy, match="attempt 1"):
            await again(services, failing(1, "lock", nothing))


async def succeed(services: Services, nothing: Attempt, growing: Attempt) -> None:
    before = services.measures.begun_again
    assert await again(services, failing(ATTEMPTS - 1, "deadlock", nothing)) == ATTEMPTS
    assert await again(services, failing(1, "lock", growing)) == 2
    assert services.measures.begun_again - before == ATTEMPTS


def test_what_is_begun_again(tmp_path: Path) -> None:
    asyncio.run(scenario(tmp_path))
