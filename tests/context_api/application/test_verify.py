"""`log verify` finds whatever was changed behind the hub's back."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from context_api.application import admin, projects
from memory_core.ids import uuid7
from memory_core.operations import (
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    NewMessage,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Role
from tests.support.services import caller, do, services_in

ME = caller()
EVENT_COLUMNS = (
    "type", "kind", "record_id", "parent_id", "op_id", "op_index", "actor", "occurred_at",
    "recorded_at", "redactions", "content", "salt", "content_digest", "digest",
)  # fmt: skip
OTHER: dict[str, Any] = {
    "type": "session.deleted",
    "kind": "pattern",
    "op_index": 7,
    "redactions": '{"jwt":1}',
    "content": '{"title":"changed"}',
    "salt": b"0" * 16,
    "content_digest": b"0" * 32,
    "digest": b"0" * 32,
    "occurred_at": "2020-01-01T00:00:00.000000Z",
    "recorded_at": "2020-01-01T00:00:00.000000Z",
    "actor": "mallory",
}
VIEW_COLUMNS = (
    ("sessions", "title", "changed"),
    ("sessions", "message_count", 99),
    ("messages", "text", "changed"),
    ("messages", "role", "tool"),
    ("checkpoints", "description", "changed"),
    ("patterns", "quality_score", 0.9),
    ("projects", "slug", "changed"),
)


async def fill(folder: Path) -> None:
    async with services_in(folder) as services:
        await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        session = CreateSession(
            id=uuid7(),
            title="one",
            messages=[NewMessage(role=Role.USER, text=text) for text in "abc"],
        )
        await do(services, ME, Kind.SESSION, session, project="acme/api")
        await do(services, ME, Kind.SESSION, UpdateSession(title="two"), record_id=session.id)
        checkpoint = CreateCheckpoint(description="state", session_id=session.id)
        await do(services, ME, Kind.CHECKPOINT, checkpoint, project="acme/api")
        pattern = CreatePattern(name="lesson", pattern_type=PatternType.ERROR)
        await do(services, ME, Kind.PATTERN, pattern, project="acme/api")


async def verified(folder: Path) -> dict[str, Any]:
    async with services_in(folder) as services:
        return await admin.verify(services, ME)


def edit(folder: Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(folder / "hub.db")
    with connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    folder = tmp_path / "hub"
    asyncio.run(fill(folder))
    return folder


def test_an_untouched_log_is_whole(hub: Path) -> None:
    report = asyncio.run(verified(hub))
    assert report["ok"]
    assert report["events"] == 8


@pytest.mark.parametrize("column", EVENT_COLUMNS)
def test_every_column_of_an_event_is_covered(hub: Path, column: str) -> None:
    value = OTHER.get(column, uuid7())
    edit(hub, f"UPDATE events SET {column} = ? WHERE seq = 4", value)
    report = asyncio.run(verified(hub))
    assert not report["ok"]
    assert "event 4" in report["projects"][0]["problem"]


@pytest.mark.parametrize("statement", ["content = NULL", "salt = NULL"])
def test_content_and_salt_go_only_together(hub: Path, statement: str) -> None:
    edit(hub, f"UPDATE events SET {statement} WHERE seq = 5")
    assert not asyncio.run(verified(hub))["ok"]


@pytest.mark.parametrize("seq", [1, 4, 8])
def test_a_missing_event_is_found(hub: Path, seq: int) -> None:
    edit(hub, "DELETE FROM events WHERE seq = ?", seq)
    assert not asyncio.run(verified(hub))["ok"]


def test_a_head_moved_back_is_found(hub: Path) -> None:
    edit(hub, "UPDATE projects SET head = 7")
    assert not asyncio.run(verified(hub))["ok"]


@pytest.mark.parametrize(("table", "column", "value"), VIEW_COLUMNS)
def test_an_edited_view_is_found(hub: Path, table: str, column: str, value: Any) -> None:
    edit(
        hub,
        f"UPDATE {table} SET {column} = ? WHERE id = (SELECT max(id) FROM {table})",
        value,
    )
    report = asyncio.run(verified(hub))
    assert not report["ok"]
    assert report["projects"][0]["differing_views"] == [table.removesuffix("s")]


def test_a_rebuild_mends_an_edited_view(hub: Path) -> None:
    edit(hub, "UPDATE sessions SET title = 'changed'")

    async def rebuilt() -> dict[str, Any]:
        async with services_in(hub) as services:
            return await admin.rebuild(services, ME)

    assert not asyncio.run(rebuilt())["equal"]
    assert asyncio.run(verified(hub))["ok"]
