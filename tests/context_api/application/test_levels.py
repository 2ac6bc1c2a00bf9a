"""New messages are redacted as their session's privacy level asks, also after it was changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from context_api.application import projects, reading
from memory_core.errors import NotFound
from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    CreateProject,
    CreateSession,
    NewMessage,
    UpdateSession,
)
from memory_core.records import Kind, Privacy, Role
from tests.support.databases import HubDatabase
from tests.support.services import caller, do, services_in

ME = caller()
SAID = "number 536-90-4399, mail ada@acme-corp.io, password=hunter2-Zq81-long"
KEPT = {
    Privacy.PUBLIC: (),
    Privacy.TEAM: ("ada@acme-corp.io",),
    Privacy.PRIVATE: ("536-90-4399", "ada@acme-corp.io"),
}


async def said(folder: Path, database: HubDatabase) -> None:
    async with services_in(folder, database) as services:
        await projects.ensure(services, ME, CreateProject(slug="acme/api"))
        session = uuid7()
        made = CreateSession(id=session, title="t", privacy_level=Privacy.PUBLIC)
        await do(services, ME, Kind.SESSION, made, project="acme/api")
        for position, (level, kept) in enumerate(KEPT.items()):
            change = UpdateSession(privacy_level=level)  # type: ignore[arg-type]
            await do(services, ME, Kind.SESSION, change, record_id=session)
            body = AppendMessages(messages=[NewMessage(role=Role.USER, text=SAID)])
            written = await do(services, ME, Kind.SESSION, body, record_id=session)
            assert written.redactions
            (found,) = await reading.messages(services, ME, session, position - 1, 10)
            for secret in ("536-90-4399", "ada@acme-corp.io", "hunter2"):
                assert (secret in str(found["text"])) == (secret in kept), (level, secret)
        other = caller("eve", "write", projects=frozenset({uuid7()}))
        for record_id, who in ((uuid7(), ME), (session, other)):
            with pytest.raises(NotFound):
                await do(services, who, Kind.SESSION, body, record_id=record_id)


def test_messages_are_redacted_for_their_session(tmp_path: Path, hub_database: HubDatabase) -> None:
    asyncio.run(said(tmp_path, hub_database))
