"""Writers of one project leave room for those of others."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from context_api.adapters.sql.lanes import Lanes
from memory_core.errors import Busy

PATIENT = 30.0


async def _places() -> None:
    lanes = Lanes(2, 0.05)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(lanes.enter("tenant", "one"))
        with pytest.raises(Busy):
            await stack.enter_async_context(lanes.enter("tenant", "one"))
        for tenant, name in (("tenant", "two"), ("other", "one")):
            await stack.enter_async_context(lanes.enter(tenant, name))
    assert not lanes._lanes, "nothing is kept of lanes that nobody uses"
    async with lanes.enter("tenant", "one"):
        pass


def test_a_project_has_so_many_places_and_others_have_their_own() -> None:
    asyncio.run(_places())


async def _names() -> None:
    lanes = Lanes(1, 0.05)
    for name in ("slug", "session 7"):
        async with lanes.enter("tenant", name) as learn:
            learn("id")
    async with lanes.enter("tenant", "id"):
        for name in ("slug", "session 7", "id"):
            with pytest.raises(Busy):
                async with lanes.enter("tenant", name):
                    pytest.fail("two writers of one project at once")
        async with lanes.enter("other", "slug"):
            pass


def test_all_names_of_a_project_lead_to_one_lane() -> None:
    asyncio.run(_names())


async def _in_turn() -> list[int]:
    lanes, done = Lanes(1, PATIENT), list[int]()

    async def write(number: int) -> None:
        async with lanes.enter("tenant", "one"):
            await asyncio.sleep(0)
            done.append(number)

    writers = [asyncio.create_task(write(number)) for number in range(20)]
    await asyncio.sleep(0)
    writers[7].cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    assert not lanes._lanes
    return done


def test_those_who_wait_come_in_turn_and_may_go_away() -> None:
    assert asyncio.run(_in_turn()) == [number for number in range(20) if number != 7]
