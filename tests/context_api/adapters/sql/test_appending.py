"""What an append rests on, what it answers, and how often a server is asked for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from context_api.adapters.sql.dialects.postgresql import PostgresDatabase
from context_api.adapters.sql.unit_of_work import SqlUnitOfWork
from context_api.application import events, projects, reading
from context_api.application.ports import Moved, Viewer, WriteTx
from context_api.application.services import Services
from memory_core.clock import now
from memory_core.decide import Known, complete, decide, refs
from memory_core.events import genesis, verify_event
from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    Body,
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    NewMessage,
    Operation,
    RecordOutcome,
)
from memory_core.records import Kind, PatternType, Role
from tests.support.databases import HubDatabase, OnServer
from tests.support.services import caller, do, services_in

ME = caller()
FIRST = "0001-01-01T00:00:00.000000Z"
LAST = "9999-12-31T23:59:59.999999Z"
ODD: Any = {"a": 1e16, "b": [1.0, -2, 1e-9, None, True], "ü\"'\\": "\n\u2028🙂 $1 {}", "c": {}}


def turns(*texts: str) -> list[NewMessage]:
    return [NewMessage(role=Role.USER, text=text, metadata=ODD) for text in texts]


BODIES: list[tuple[Kind, Body]] = [
    (Kind.SESSION, CreateSession(title="t", tags=["b", "a"], metadata=ODD, started_at=FIRST)),
    (Kind.SESSION, CreateSession(title="'; \\x00 --", ended_at=LAST, messages=turns("a", "b"))),
    (Kind.CHECKPOINT, CreateCheckpoint(description="d", files_changed=["a.py"], created_at=LAST)),
    (
        Kind.PATTERN,
        CreatePattern(
            name="n", pattern_type=PatternType.CODE, confidence=0.1, metadata=ODD, tags=["x"],
            body="password = 'hunter2-Zq81-long'",
        ),
    ),
]  # fmt: skip


async def answered(folder: Path, database: HubDatabase) -> None:
    async with services_in(folder, database) as services:
        project, *_ = await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        for kind, body in BODIES:
            written = await do(services, ME, kind, body, project="acme/api")
            assert written.created
            assert written.document is not None
            found = await reading.get(services, ME, kind, str(written.document["id"]))
            assert written.document == found
            assert written.seq == written.head
            if isinstance(body, CreateSession):
                assert list(written.document) == list(found)
        previous = genesis(str(project["id"]))
        async with services.uow.read(Viewer(tenant_id=ME.tenant_id, actor=ME.actor)) as tx:
            log = await tx.log.page(str(project["id"]), 0, 100)
        assert [event.seq for event in log] == list(range(1, 8))
        for event in log:
            verify_event(previous, event)
            previous = event.digest


def test_what_is_answered_is_what_is_stored(tmp_path: Path, on_server: OnServer) -> None:
    asyncio.run(answered(tmp_path, on_server))


async def decided(tx: WriteTx, asked: Operation) -> list[Any]:
    """Returns the drafts of an operation, decided upon what is read without a lock."""
    viewer = Viewer(tenant_id=ME.tenant_id, actor=ME.actor)
    found = await tx.standing(viewer, "acme/api", asked.op_id, refs(asked), hold=False)
    known = Known(project_id=found.project_id, actor=ME.actor, now=now(), documents=found.documents)
    return [found.project_id, decide(asked, known).drafts]


async def late(services: Services, asked: Operation, between: Operation) -> None:
    """Lets an operation come in between another one's decision and its append."""
    asked = complete(asked, now())
    async with services.uow.write(ME.tenant_id) as tx:
        project_id, drafts = await decided(tx, asked)
        await do(
            services, ME, between.kind, between.body, record_id=between.record_id,
            project="acme/api", op_id=between.op_id,
        )  # fmt: skip
        await tx.append(
            project_id, drafts, op_id=asked.op_id, op_hash=None, actor=ME.actor, recorded_at=now()
        )
        await tx.commit()


async def moving(folder: Path, database: HubDatabase) -> None:
    async with services_in(folder, database) as services:
        await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        session, pattern, twin = uuid7(), uuid7(), uuid7()
        made = CreateSession(id=session, title="t")
        await do(services, ME, Kind.SESSION, made, project="acme/api")
        lesson = CreatePattern(id=pattern, name="n", pattern_type=PatternType.CODE)
        await do(services, ME, Kind.PATTERN, lesson, project="acme/api")

        def of(kind: Kind, identity: str, body: Body, op_id: str | None = None) -> Operation:
            return Operation(op_id=op_id or uuid7(), kind=kind, record_id=identity, body=body)

        more, outcome = AppendMessages(messages=turns("one")), RecordOutcome(success=True)
        again = CreateSession(id=twin, title="twin", messages=turns("x"))
        repeated = uuid7()
        for asked, between in (
            (of(Kind.SESSION, session, more), of(Kind.SESSION, session, more)),
            (of(Kind.PATTERN, pattern, outcome), of(Kind.PATTERN, pattern, outcome)),
            (of(Kind.SESSION, twin, again), of(Kind.SESSION, twin, again)),
            (
                of(Kind.PATTERN, uuid7(), lesson.model_copy(update={"id": None}), repeated),
                of(Kind.PATTERN, uuid7(), lesson.model_copy(update={"id": None}), repeated),
            ),
        ):
            before = await events.page(services, ME, "acme/api", 0, 1_000)
            with pytest.raises(Moved):
                await late(services, asked, between)
            after = await events.page(services, ME, "acme/api", 0, 1_000)
            added = [one["op_id"] for one in after.items[len(before.items) :]]
            assert set(added) == {between.op_id}, "the late one wrote nothing"
        stored = await reading.messages(services, ME, session, -1, 10)
        assert [one["text"] for one in stored] == ["one"]


def test_a_decision_that_came_too_late_is_not_written(tmp_path: Path, on_server: OnServer) -> None:
    asyncio.run(moving(tmp_path, on_server))


async def counted(folder: Path, database: HubDatabase) -> list[list[str]]:
    """Returns what a server is told to store a session, and to add a message to it."""
    told: list[str] = []
    async with services_in(folder, database, role="api") as services:
        await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        body = CreateSession(title="t", messages=turns(*map(str, range(20))))
        written = await do(services, ME, Kind.SESSION, body, project="acme/api")
        session = str((written.document or {})["id"])
        more = AppendMessages(messages=turns("one more"))
        # The driver asks once on each connection what types there are.
        await do(services, ME, Kind.SESSION, more, record_id=session)
        assert isinstance(services.uow, SqlUnitOfWork)
        used = services.uow._database
        assert isinstance(used, PostgresDatabase)
        async with used.writing(ME.tenant_id) as connection:
            raw: Any = await connection.get_raw_connection()
            driver = raw.driver_connection
        with driver.query_logger(lambda record: told.append(record.query.split()[0])):
            await do(services, ME, Kind.SESSION, body, project="acme/api")
            of_session = [*told]
            await do(services, ME, Kind.SESSION, more, record_id=session)
    return [of_session, told[len(of_session) :]]


def test_a_write_is_a_few_round_trips(tmp_path: Path, on_server: OnServer) -> None:
    assert asyncio.run(counted(tmp_path, on_server)) == [
        ["BEGIN;", "SELECT", "WITH", "COMMIT"],
        ["BEGIN;", "SELECT", "SELECT", "WITH", "COMMIT"],
    ]
