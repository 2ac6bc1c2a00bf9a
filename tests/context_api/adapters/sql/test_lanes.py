"""Who waits for a place comes in turn, is told when nothing moves, and leaves others theirs."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from functools import partial

import pytest

from context_api.adapters.sql.lanes import Lanes
from context_api.adapters.sql.places import Places
from memory_core.errors import Busy, Unavailable

SOON_S = 0.2
LONG_S = 60.0


async def _stands() -> None:
    places = Places(2, stand_s=SOON_S, wait_s=LONG_S)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(places.taken())
        began = time.monotonic()
        with pytest.raises(Busy):
            await stack.enter_async_context(places.taken())
        assert SOON_S <= time.monotonic() - began < LONG_S / 2
    async with places.taken(), places.taken():
        pass


def test_a_queue_that_stands_still_is_told() -> None:
    asyncio.run(_stands())


async def _moves() -> float:
    places = Places(1, stand_s=0.5, wait_s=LONG_S)

    async def work() -> None:
        async with places.taken():
            await asyncio.sleep(0.05)

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(20)))
    return time.monotonic() - began


def test_a_queue_that_moves_is_waited_in_however_long_it_is() -> None:
    assert asyncio.run(_moves()) > 0.9


async def _too_long() -> None:
    places = Places(1, stand_s=LONG_S, wait_s=SOON_S)
    async with places.taken():
        with pytest.raises(Busy):
            async with places.taken():
                pytest.fail("two at once")


def test_nobody_waits_for_ever() -> None:
    asyncio.run(_too_long())


async def _away() -> None:
    state = ["there"]

    def check() -> None:
        if state != ["there"]:
            raise Unavailable("the database does not answer")

    places = Places(1, check=check, stand_s=LONG_S, wait_s=LONG_S)
    async with places.taken():
        waiting = asyncio.ensure_future(places.taken().__aenter__())
        await asyncio.sleep(0)
        state[:] = ["away"]
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            async with places.taken():
                pytest.fail("a server that is away")
    state[:] = ["there"]
    async with places.taken():
        pass


def test_who_waits_is_told_that_the_server_is_away() -> None:
    asyncio.run(_away())


async def _in_turn() -> list[int]:
    places, done = Places(1, stand_s=LONG_S, wait_s=LONG_S), list[int]()

    async def write(number: int) -> None:
        async with places.taken():
            await asyncio.sleep(0)
            done.append(number)

    writers = [asyncio.create_task(write(number)) for number in range(20)]
    await asyncio.sleep(0)
    for number in (7, 19):
        writers[number].cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    async with places.taken():
        return done


def test_those_who_wait_come_in_turn_and_may_go_away() -> None:
    assert asyncio.run(_in_turn()) == [number for number in range(20) if number not in (7, 19)]


async def _apart() -> None:
    lanes = Lanes(partial(Places, 2, stand_s=SOON_S))
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
    asyncio.run(_apart())


async def _names() -> None:
    lanes = Lanes(partial(Places, 1, stand_s=SOON_S))
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
