"""What recall reads by the fastest way is what every other read shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from context_api.application import projects
from context_api.application.ports import Viewer, Window
from context_api.application.services import Services
from context_api.application.viewing import viewer_of
from memory_core.ids import uuid7
from memory_core.operations import (
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    Delete,
    NewMessage,
)
from memory_core.recall.ports import RecordFilter
from memory_core.records import Kind, PatternType, Ref, Role
from tests.support.databases import HubDatabase
from tests.support.services import caller, do, services_in

ADA, BOB = caller("ada"), caller("bob")
EARLY, LATE = "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"


async def filled(services: Services) -> list[Ref]:
    """Writes one of everything in two projects and returns what is there."""
    refs = []
    for number, slug in enumerate(("a/one", "a/two")):
        await projects.ensure(services, ADA, CreateProject(slug=slug))
        session = CreateSession(
            title="Größe",
            tags=["red", "blue"],
            privacy_level=("TEAM", "PRIVATE")[number],
            started_at=(EARLY, "2026-01-02T03:04:05.000060Z")[number],
            metadata={"n": 1, "f": 1e16, "deep": [None, {"ü": "\u2028"}]},
            messages=[
                NewMessage(role=Role.USER, text="why?", created_at=LATE),
                NewMessage(role=Role.TOOL, text="because", tool_name="Read"),
            ],
        )
        made = (await do(services, ADA, Kind.SESSION, session, project=slug)).document
        assert made is not None
        refs.append(Ref(Kind.SESSION, str(made["id"])))
        async with services.uow.glance(viewer_of(ADA)) as records:
            said = await records.messages(str(made["id"]), -1, 10)
        refs += [Ref(Kind.MESSAGE, str(message["id"])) for message in said]
        for kind, body in (
            (Kind.CHECKPOINT, CreateCheckpoint(description="c", metadata={"a": 0.1})),
            (
                Kind.PATTERN,
                CreatePattern(name="p", pattern_type=PatternType.ERROR, body="never"),
            ),
        ):
            document = (await do(services, ADA, kind, body, project=slug)).document
            assert document is not None
            refs.append(Ref(kind, str(document["id"])))
    await do(services, ADA, Kind.PATTERN, Delete(), record_id=refs[-1].id)
    return refs


async def same(services: Services, viewer: Viewer, refs: list[Ref], chosen: RecordFilter) -> int:
    """Compares both ways of reading; returns how many records were seen."""
    recalled = services.uow.recalled(viewer)
    loaded = await asyncio.to_thread(recalled.load, refs, chosen)
    async with services.uow.glance(viewer) as records:
        assert loaded == await records.many(refs, chosen)
        listed = await records.projects(slug=None, remote=None, window=Window(limit=9))
        names = ["a/one", "a/two", "a/none", uuid7(), *(str(found["id"]) for found in listed)]
        single = [await records.project(name) for name in names]
    assert await asyncio.to_thread(recalled.projects, names) == single
    beside = await asyncio.to_thread(recalled.load_beside, refs, chosen, names)
    assert beside == (loaded, single)
    assert await recalled.look(names) == single
    assert await recalled.look_around(9) == listed
    assert await recalled.look_around(1) == listed[:1]
    assert await recalled.look([]) == []
    return len(loaded)


async def _both_ways_agree(folder: Path, database: HubDatabase) -> None:
    async with services_in(folder, database) as services:
        refs = await filled(services)
        everything = RecordFilter()
        ada, bob = viewer_of(ADA), viewer_of(BOB)
        absent = Ref(Kind.SESSION, uuid7())
        assert await same(services, ada, [*refs, absent], everything) == len(refs) - 1
        # Without the PRIVATE session and its messages.
        assert await same(services, bob, refs, everything) == len(refs) - 4
        stranger = Viewer(tenant_id=uuid7(), actor="ada")
        assert await same(services, stranger, refs, everything) == 0
        (one,) = await services.uow.recalled(ada).look(["a/one"])
        assert one is not None
        granted = Viewer(
            tenant_id=ada.tenant_id, actor="ada", project_ids=frozenset({str(one["id"])})
        )
        assert await same(services, granted, refs, everything) == 5
        for chosen, count in (
            (RecordFilter(kinds=frozenset({"message", "pattern"})), 5),
            (RecordFilter(tags=frozenset({"red", "green"})), 6),
            (RecordFilter(tags=frozenset({"red", "blue"}), all_tags=True), 6),
            (RecordFilter(tags=frozenset({"red", "green"}), all_tags=True), 0),
            (RecordFilter(since="9999-01-01T00:00:00.000000Z"), 2),
            (RecordFilter(until="0002-01-01T00:00:00.000000Z"), 2),
            (RecordFilter(as_of=2), 2),
            (RecordFilter(without_session=refs[0].id), len(refs) - 4),
        ):
            found = await same(services, ada, refs, chosen)
            assert found == count, chosen


def test_both_ways_of_reading_agree(tmp_path: Path, hub_database: HubDatabase) -> None:
    asyncio.run(_both_ways_agree(tmp_path, hub_database))
