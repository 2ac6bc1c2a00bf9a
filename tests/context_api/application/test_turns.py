"""Those who ask recall wait in the order in which they came; others do not wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from context_api.application import asking, projects, reading
from context_api.application.searching import search
from context_api.application.services import RECALLS, Services
from memory_core.errors import Busy
from memory_core.ids import uuid7
from memory_core.operations import CreateProject, CreateSession
from memory_core.records import Document, Kind
from memory_core.requests import SearchRequest
from tests.support.services import caller, do, services_in

ME = caller()
LATER = 6


@asynccontextmanager
async def all_busy(services: Services) -> AsyncIterator[None]:
    for _ in range(RECALLS):
        await services.recalls.acquire()
    try:
        yield
    finally:
        for _ in range(RECALLS):
            services.recalls.release()


async def asked(services: Services, number: int, answered: list[int]) -> Document:
    found = await search(services, ME, SearchRequest(query=f"pool {number}", min_score=0))
    answered.append(number)
    return found


async def scenario(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with services_in(folder) as services:
        await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        session, answered = uuid7(), list[int]()
        made = CreateSession(id=session, title="pool")
        await do(services, ME, Kind.SESSION, made, project="acme/api")
        async with all_busy(services):
            waiting = [
                asyncio.ensure_future(asked(services, number, answered)) for number in range(LATER)
            ]
            stored = await reading.get(services, ME, Kind.SESSION, session)
            assert (stored["id"], answered) == (session, [])
        found = await asyncio.gather(*waiting)
        assert all(one["hits"] for one in found)
        # When one is answered, all but those who had a turn beside it were answered before.
        assert all(answered.index(number) > number - RECALLS for number in range(LATER))
        monkeypatch.setattr(asking, "TURN_S", 0.05)
        async with all_busy(services):
            with pytest.raises(Busy):
                await asked(services, LATER, answered)
        assert (await asked(services, LATER, answered))["hits"]


def test_questions_are_answered_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(scenario(tmp_path, monkeypatch))
