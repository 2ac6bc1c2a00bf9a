"""Those who ask recall wait in turn; others do not wait for them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from context_api.application import projects, reading
from context_api.application.searching import search
from context_api.application.services import RECALLS, Services
from context_api.application.turns import Turns
from memory_core.errors import Busy
from memory_core.ids import uuid7
from memory_core.operations import CreateProject, CreateSession
from memory_core.records import Document, Kind
from memory_core.requests import SearchRequest
from tests.support.services import caller, do, services_in

ME = caller()
LATER = 6


async def asked(services: Services, number: int, answered: list[int]) -> Document:
    question = SearchRequest(query=f"pool {number}", min_score=0)
    found = await search(services, ME, question)
    answered.append(number)
    return found


async def scenario(folder: Path) -> None:
    async with services_in(folder) as services:
        await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        session, answered = uuid7(), list[int]()
        made = CreateSession(id=session, title="pool")
        await do(services, ME, Kind.SESSION, made, project="acme/api")
        async with AsyncExitStack() as busy:
            for _ in range(RECALLS):
                await busy.enter_async_context(services.recalls.taken("another"))
            waiting = [
                asyncio.ensure_future(asked(services, number, answered)) for number in range(LATER)
            ]
            stored = await reading.get(services, ME, Kind.SESSION, session)
            assert (stored["id"], answered) == (session, [])
        found = await asyncio.gather(*waiting)
        assert all(one["hits"] for one in found)
        # When one is answered, all but those who had a turn beside it were answered before.
        assert all(answered.index(number) > number - RECALLS for number in range(LATER))


def test_questions_are_answered_in_turn(tmp_path: Path) -> None:
    asyncio.run(scenario(tmp_path))


async def order(turns: Turns, keys: str) -> str:
    """Returns the order in which those who came in the order of ``keys`` have their turns."""
    had: list[str] = []

    async def come(key: str) -> None:
        async with turns.taken(key):
            had.append(key)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(come(key))
    return "".join(had)


async def fairness() -> None:
    assert await order(Turns(1), "aaaaabbc") == "aabcabaa"
    assert await order(Turns(1), "abcabc") == "abcabc"
    assert sorted(await order(Turns(3), "aaaabbbb")) == [*"aaaabbbb"]


def test_a_flood_from_one_key_waits_behind_itself() -> None:
    asyncio.run(fairness())


async def given_up() -> None:
    turns = Turns(1, wait_s=0.05)
    async with turns.taken("a"):
        with pytest.raises(Busy):
            async with turns.taken("b"):
                raise AssertionError("there was no place")
        gone = [asyncio.ensure_future(order(turns, key)) for key in "bc"]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gone[0].cancel()
    # One is stopped at the moment in which its turn comes.
    await asyncio.sleep(0)
    gone[1].cancel()
    for one in gone:
        with suppress(asyncio.CancelledError):
            await one
    assert await order(turns, "abab") == "abab"


def test_who_gives_up_keeps_no_place() -> None:
    asyncio.run(given_up())
