"""Reading in the thread that asks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from context_api.adapters.sql.at_once import at_once
from context_api.application import projects
from context_api.application.viewing import viewer_of
from memory_core.errors import Forbidden
from memory_core.operations import CreateProject, CreateSession
from memory_core.recall.ports import RecordFilter
from memory_core.records import Kind, Ref
from tests.support.services import caller, do, services_in


async def _answer() -> int:
    return 42


async def _refusal() -> int:
    raise Forbidden("no")


def test_a_coroutine_that_never_waits_gives_its_result_or_its_error() -> None:
    assert at_once(_answer()) == 42
    with pytest.raises(Forbidden):
        at_once(_refusal())


def test_a_coroutine_that_waits_is_refused() -> None:
    with pytest.raises(RuntimeError):
        at_once(asyncio.sleep(0))


async def _recall_sees_what_was_just_written_and_only_what_its_viewer_may(
    tmp_path: Path,
) -> None:
    async with services_in(tmp_path) as services:
        ada, bob = caller("ada"), caller("bob")
        await projects.ensure(services, ada, CreateProject(slug="a/b"))
        body = CreateSession(title="t", privacy_level="PRIVATE")
        session = (await do(services, ada, Kind.SESSION, body, project="a/b")).document
        assert session is not None
        ref = Ref(Kind.SESSION, str(session["id"]))
        found = {}
        for who in (ada, bob):
            records = services.uow.recalled(viewer_of(who))
            found[who.actor] = await asyncio.to_thread(records.load, [ref], RecordFilter())
    assert set(found["ada"]) == {ref}
    assert found["bob"] == {}


def test_recall_sees_what_was_just_written_and_only_what_its_viewer_may(tmp_path: Path) -> None:
    asyncio.run(_recall_sees_what_was_just_written_and_only_what_its_viewer_may(tmp_path))
