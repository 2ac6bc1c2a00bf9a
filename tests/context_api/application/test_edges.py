"""Where two rules meet: repeated keys, odd imports, an index that is ahead of its log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from context_api.application import admin, events, projects, reading, transfer, writing
from context_api.application.indexing import catch_up, indexer_of
from context_api.application.requests import Page
from context_api.application.services import Services
from memory_core.errors import (
    Conflict,
    ContextError,
    CursorExpired,
    IdempotencyMismatch,
    InvalidInput,
    InvalidSlug,
    SlugTaken,
)
from memory_core.fields import check_slug
from memory_core.ids import uuid7
from memory_core.operations import (
    CreateProject,
    CreateSession,
    NewMessage,
    Operation,
    UpdateProject,
)
from memory_core.records import Kind, Role
from memory_core.requests import SessionFilter
from tests.support.databases import HubDatabase
from tests.support.services import caller, do, services_in

ME = caller()
PROJECT = "acme/api"


Inside = Callable[[Path, Callable[[Services], Awaitable[None]]], None]


@pytest.fixture
def inside(hub_database: HubDatabase) -> Inside:
    """Runs a test inside a hub of its own."""

    def inside(folder: Path, test: Callable[[Services], Awaitable[None]]) -> None:
        async def run() -> None:
            async with services_in(folder, hub_database) as services:
                await test(services)

        asyncio.run(run())

    return inside


def session_of(*texts: str, **more: Any) -> CreateSession:
    messages = [NewMessage(role=Role.USER, text=text) for text in texts]
    return CreateSession(title="a", messages=messages, **more)


async def keyed(services: Services, body: CreateSession, key: str) -> writing.Written:
    asked = Operation(op_id=uuid7(), kind=Kind.SESSION, record_id=uuid7(), body=body)
    return await writing.execute(services, ME, PROJECT, asked, idempotency_key=key)


def test_projects_never_lie_below_themselves(inside: Inside, tmp_path: Path) -> None:
    async def run(services: Services) -> None:
        ids = []
        for slug in ("acme/a", "acme/b", "acme/c"):
            made = await projects.ensure(services, ME, CreateProject(slug=slug))
            ids.append(str(made.document["id"]))
        a, b, c = ids
        for child, parent in ((b, a), (c, b)):
            await projects.update(services, ME, child, UpdateProject(parent=parent))
        for parent in (a, b, c):
            with pytest.raises(InvalidInput):
                await projects.update(services, ME, a, UpdateProject(parent=parent))
        await projects.update(services, ME, c, UpdateProject(parent=a))
        assert (await projects.get(services, ME, c))["parent_id"] == a

    inside(tmp_path, run)


def test_idempotency_key_of_a_project(inside: Inside, tmp_path: Path) -> None:
    """It means the same as on every other route: once, and never for another request."""

    async def run(services: Services) -> None:
        body = CreateProject(slug=PROJECT)
        made, created, _ = await projects.ensure(services, ME, body, idempotency_key="k")
        again, created_again, replayed = await projects.ensure(
            services, ME, body, idempotency_key="k"
        )
        assert replayed
        assert created
        assert created_again
        assert again["id"] == made["id"]
        other = CreateProject(slug="acme/other")
        with pytest.raises(IdempotencyMismatch):
            await projects.ensure(services, ME, other, idempotency_key="k")
        with pytest.raises(IdempotencyMismatch):
            await keyed(services, session_of("x"), "k")
        await keyed(services, session_of("x"), "s")
        with pytest.raises(IdempotencyMismatch):
            await projects.ensure(services, ME, CreateProject(slug="acme/s"), idempotency_key="s")

    inside(tmp_path, run)


def test_idempotency_key_used_by_many_at_once(inside: Inside, tmp_path: Path) -> None:
    async def run(services: Services) -> None:
        await projects.ensure(services, ME, CreateProject(slug=PROJECT))
        body = session_of("one", "two")
        answers = await asyncio.gather(*(keyed(services, body, "k") for _ in range(8)))
        assert len({str((one.document or {})["id"]) for one in answers}) == 1
        assert sum(not one.replayed for one in answers) == 1
        assert all(one.created for one in answers)
        assert all((one.document or {})["message_count"] == 2 for one in answers)
        with pytest.raises(IdempotencyMismatch):
            await keyed(services, session_of("one", "three"), "k")

    inside(tmp_path, run)


def test_pages_over_equal_times(inside: Inside, tmp_path: Path) -> None:
    async def run(services: Services) -> None:
        await projects.ensure(services, ME, CreateProject(slug=PROJECT))
        at = "0001-01-01T00:00:00.000000Z"
        expected = set()
        for _ in range(7):
            written = await do(
                services, ME, Kind.SESSION, session_of(started_at=at), project=PROJECT
            )
            expected.add(str((written.document or {})["id"]))
        found: list[str] = []
        cursor = None
        while True:
            page = Page(limit=2, cursor=cursor)
            listed = await reading.sessions(services, ME, SessionFilter(project=PROJECT), page)
            found += [str(item["id"]) for item in listed.items]
            cursor = listed.next_cursor
            if cursor is None:
                break
        assert len(found) == 7
        assert set(found) == expected

    inside(tmp_path, run)


def test_index_that_is_ahead_of_its_log(inside: Inside, tmp_path: Path) -> None:
    """After a power cut or a restored backup the index may know positions the log has not."""

    async def run(services: Services) -> None:
        made, *_ = await projects.ensure(services, ME, CreateProject(slug=PROJECT))
        project = str(made["id"])
        viewer = indexer_of(ME.tenant_id)
        while await catch_up(services, viewer, project):
            pass
        store = services.indexes.of(ME.tenant_id)
        store.apply(project, 1_000, [], [], after_seq=0)
        await do(services, ME, Kind.SESSION, session_of("zeppelin"), project=PROJECT)
        while await catch_up(services, viewer, project):
            pass
        head = (await projects.get(services, ME, project))["head"]
        assert store.progress(project).lexical_seq == head
        assert store.view(project).size > 0

    inside(tmp_path, run)


def test_cursor_beyond_the_head(inside: Inside, tmp_path: Path) -> None:
    async def run(services: Services) -> None:
        made, *_ = await projects.ensure(services, ME, CreateProject(slug=PROJECT))
        head = int(str(made["head"]))
        assert (await events.page(services, ME, str(made["id"]), head, 10)).items == []
        with pytest.raises(CursorExpired):
            await events.page(services, ME, str(made["id"]), head + 1, 10)

    inside(tmp_path, run)


def test_slug_in_the_form_of_an_id() -> None:
    """A name that reads as an id would never be looked up as a name."""
    with pytest.raises(InvalidSlug):
        check_slug(uuid7())


Lines = list[dict[str, Any]]


async def _lines(lines: Lines) -> AsyncIterator[bytes]:
    for line in lines:
        yield json.dumps(line).encode()


async def exported(services: Services) -> Lines:
    return [
        json.loads(line)
        async for chunk in transfer.export(services, ME)
        for line in chunk.splitlines()
    ]


async def source(folder: Path, database: HubDatabase) -> Lines:
    async with services_in(folder, database) as services:
        await projects.ensure(services, ME, CreateProject(slug=PROJECT))
        await do(services, ME, Kind.SESSION, session_of("one", "two"), project=PROJECT)
        return await exported(services)


def without_content_check(lines: Lines) -> Lines:
    """Edits a text that the digest covers."""
    lines[3]["event"]["content"]["title"] = "edited"
    return lines


def repeated_event(lines: Lines) -> Lines:
    return [*lines[:4], lines[3], *lines[4:]]


def missing_event(lines: Lines) -> Lines:
    return [*lines[:3], *lines[4:]]


def negative_seq(lines: Lines) -> Lines:
    lines[2]["event"]["seq"] = -1
    return lines


def huge_seq(lines: Lines) -> Lines:
    lines[2]["event"]["seq"] = 2**70
    return lines


def text_seq(lines: Lines) -> Lines:
    lines[2]["event"]["seq"] = "1"
    return lines


def odd_epoch(lines: Lines) -> Lines:
    lines[1]["project"]["epoch"] = "never"
    return lines


def odd_project(lines: Lines) -> Lines:
    lines[1]["project"]["id"] = "../../etc/passwd"
    return lines


def odd_load(lines: Lines) -> Lines:
    return [*lines[:-1], {"context_load": {"recall_id": 5, "position": "x"}}, lines[-1]]


def load_of_wrong_types(lines: Lines) -> Lines:
    load = {
        "recall_id": ["a"], "position": {}, "project_id": 7, "kind": "session", "record_id": "x",
        "reason": None, "score": "high", "tokens": 2**80, "actor": "a\x00", "loaded_at": "now",
    }  # fmt: skip
    return [*lines[:-1], {"context_load": load}, lines[-1]]


def unknown_type(lines: Lines) -> Lines:
    lines[2]["event"]["type"] = "project.exploded"
    return lines


def unknown_field(lines: Lines) -> Lines:
    lines[2]["event"]["tenant_id"] = "x"
    return lines


def surrogate(lines: Lines) -> Lines:
    lines[3]["event"]["content"]["title"] = "\ud800"
    return lines


def cut(lines: Lines) -> Lines:
    return lines[:-1]


EDITS = [
    without_content_check, repeated_event, missing_event, negative_seq, huge_seq, text_seq,
    odd_epoch, odd_project, odd_load, load_of_wrong_types, unknown_type, unknown_field,
    surrogate, cut,
]  # fmt: skip


def test_edited_exports(tmp_path: Path, hub_database: HubDatabase) -> None:
    """Each is the sender's mistake, says so, and leaves a true prefix or nothing."""

    async def run() -> None:
        whole = await source(tmp_path / "source", hub_database)
        failed: list[str] = []
        for edit in EDITS:
            async with services_in(tmp_path / edit.__name__, hub_database) as services:
                lines = edit(json.loads(json.dumps(whole)))
                try:
                    await transfer.import_(services, ME, _lines(lines))
                    failed.append(f"{edit.__name__}: taken")
                except ContextError as error:
                    if not 400 <= error.status < 500:
                        failed.append(f"{edit.__name__}: {error.status} {error.detail}")
                except Exception as error:  # noqa: BLE001
                    failed.append(f"{edit.__name__}: {error!r}")
                if not (await admin.verify(services, ME))["ok"]:
                    failed.append(f"{edit.__name__}: not verified")
                await transfer.import_(services, ME, _lines(whole))
                if (await exported(services))[1:] != whole[1:]:
                    failed.append(f"{edit.__name__}: a good import after it is not equal")
        assert failed == []

    asyncio.run(run())


def test_import_where_the_slug_is_taken(tmp_path: Path, hub_database: HubDatabase) -> None:
    async def run() -> None:
        whole = await source(tmp_path / "source", hub_database)
        async with services_in(tmp_path / "target", hub_database) as services:
            await projects.ensure(services, ME, CreateProject(slug=PROJECT))
            before = (await exported(services))[1:]
            with pytest.raises(SlugTaken, match=PROJECT):
                await transfer.import_(services, ME, _lines(whole))
            assert (await exported(services))[1:] == before

    asyncio.run(run())


def test_import_of_a_shorter_log_that_took_another_course(
    tmp_path: Path, hub_database: HubDatabase
) -> None:
    """The log here may be longer; what it shares with the export must still be the same."""

    async def run() -> None:
        async with services_in(tmp_path / "source", hub_database) as services:
            await projects.ensure(services, ME, CreateProject(slug=PROJECT))
            start = await exported(services)
            await do(services, ME, Kind.SESSION, session_of("one"), project=PROJECT)
            one = await exported(services)
        async with services_in(tmp_path / "target", hub_database) as services:
            await transfer.import_(services, ME, _lines(start))
            for _ in range(3):
                await do(services, ME, Kind.SESSION, session_of("two"), project=PROJECT)
            with pytest.raises(Conflict, match="another course"):
                await transfer.import_(services, ME, _lines(one))

    asyncio.run(run())


def test_import_needs_its_first_line(inside: Inside, tmp_path: Path) -> None:
    async def run(services: Services) -> None:
        with pytest.raises(InvalidInput):
            await transfer.import_(services, ME, _lines([{"end": {}}]))
        with pytest.raises(InvalidInput):
            await transfer.import_(services, ME, _lines([]))

    inside(tmp_path, run)
