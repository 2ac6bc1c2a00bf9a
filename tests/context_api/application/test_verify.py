"""`log verify` finds whatever was changed behind the hub's back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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
from tests.support.databases import HubDatabase
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


async def fill(folder: Path, database: HubDatabase) -> None:
    async with services_in(folder, database) as services:
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


@dataclass(frozen=True)
class Stored:
    """A hub that is filled and stopped."""

    folder: Path
    database: HubDatabase

    def verified(self) -> dict[str, Any]:
        async def run() -> dict[str, Any]:
            async with services_in(self.folder, self.database) as services:
                return await admin.verify(services, ME)

        return asyncio.run(run())

    def edit(self, statement: str, *values: Any) -> None:
        self.database.edit(self.folder, statement, *values)


@pytest.fixture
def hub(tmp_path: Path, hub_database: HubDatabase) -> Stored:
    folder = tmp_path / "hub"
    asyncio.run(fill(folder, hub_database))
    return Stored(folder, hub_database)


def test_an_untouched_log_is_whole(hub: Stored) -> None:
    report = hub.verified()
    assert report["ok"]
    assert report["events"] == 8


@pytest.mark.parametrize("column", EVENT_COLUMNS)
def test_every_column_of_an_event_is_covered(hub: Stored, column: str) -> None:
    value = OTHER.get(column, uuid7())
    hub.edit(f"UPDATE events SET {column} = ? WHERE seq = 4", value)
    report = hub.verified()
    assert not report["ok"]
    assert "event 4" in report["projects"][0]["problem"]


@pytest.mark.parametrize("statement", ["content = NULL", "salt = NULL"])
def test_content_and_salt_go_only_together(hub: Stored, statement: str) -> None:
    hub.edit(f"UPDATE events SET {statement} WHERE seq = 5")
    assert not hub.verified()["ok"]


@pytest.mark.parametrize("seq", [1, 4, 8])
def test_a_missing_event_is_found(hub: Stored, seq: int) -> None:
    hub.edit("DELETE FROM events WHERE seq = ?", seq)
    assert not hub.verified()["ok"]


def test_a_head_moved_back_is_found(hub: Stored) -> None:
    hub.edit("UPDATE projects SET head = 7")
    assert not hub.verified()["ok"]


@pytest.mark.parametrize(("table", "column", "value"), VIEW_COLUMNS)
def test_an_edited_view_is_found(hub: Stored, table: str, column: str, value: Any) -> None:
    last = f"SELECT id FROM {table} ORDER BY id DESC LIMIT 1"
    hub.edit(f"UPDATE {table} SET {column} = ? WHERE id = ({last})", value)
    report = hub.verified()
    assert not report["ok"]
    assert report["projects"][0]["differing_views"] == [table.removesuffix("s")]


def test_a_rebuild_mends_an_edited_view(hub: Stored) -> None:
    hub.edit("UPDATE sessions SET title = 'changed'")

    async def rebuilt() -> dict[str, Any]:
        async with services_in(hub.folder, hub.database) as services:
            return await admin.rebuild(services, ME)

    assert not asyncio.run(rebuilt())["equal"]
    assert hub.verified()["ok"]
