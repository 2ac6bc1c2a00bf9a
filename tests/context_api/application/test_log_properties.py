"""Any sequence of operations: state equals a plain model, a rebuild, a copy by export."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    rule,
    run_state_machine_as_test,
)

from context_api.application import admin, projects, reading, transfer
from context_api.application.requests import Page
from context_api.application.services import Services
from memory_core.errors import ContextError
from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    CreateCheckpoint,
    CreatePattern,
    CreateProject,
    CreateSession,
    Delete,
    Erase,
    NewMessage,
    RecordOutcome,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Kind, PatternType, Role, quality_score
from memory_core.requests import CheckpointFilter, PatternFilter, SessionFilter
from tests.support.databases import Files, HubDatabase
from tests.support.services import caller, do, services_in

WORDS = st.text(alphabet="abc xyzäöü🙂", min_size=1, max_size=20)
TAGS = st.lists(st.sampled_from(["red", "green", "blue"]), max_size=3)
ME = caller()


async def exported(services: Services) -> list[bytes]:
    """Returns the export without its first line, which tells the time."""
    lines = [line async for part in transfer.export(services, ME) for line in part.splitlines()]
    return lines[1:]


async def one_by_one(lines: list[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


class LogMachine(RuleBasedStateMachine):
    """Drives a hub and a dictionary side by side."""

    def __init__(self, database: HubDatabase) -> None:
        super().__init__()
        self.database = database

    sessions = Bundle("sessions")
    messages = Bundle("messages")
    patterns = Bundle("patterns")

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.services = self.run(
            self.stack.enter_async_context(services_in(Path(self.folder.name) / "a", self.database))
        )
        self.run(projects.ensure(self.services, ME, CreateProject(slug="acme/api")))
        self.live: dict[str, dict[str, Any]] = {}
        self.lessons: dict[str, dict[str, Any]] = {}
        self.saved: dict[str, str | None] = {}

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def do(self, kind: Kind, body: Any, **more: Any) -> Any:
        return self.run(do(self.services, ME, kind, body, **more))

    @rule(target=sessions, title=WORDS, tags=TAGS, texts=st.lists(WORDS, max_size=3))
    def create_session(self, title: str, tags: list[str], texts: list[str]) -> str:
        messages = [NewMessage(id=uuid7(), role=Role.USER, text=text) for text in texts]
        body = CreateSession(id=uuid7(), title=title, tags=tags, messages=messages)
        written = self.do(Kind.SESSION, body, project="acme/api")
        assert written.created
        assert written.added == len(texts)
        kept = {str(m.id): m.text for m in messages}
        self.live[str(body.id)] = {
            "title": title,
            "tags": set(tags),
            "messages": kept,
            "n": len(kept),
        }
        return str(body.id)

    @rule(target=messages, session=sessions, texts=st.lists(WORDS, min_size=1, max_size=3))
    def append(self, session: str, texts: list[str]) -> tuple[str, str]:
        messages = [NewMessage(id=uuid7(), role=Role.TOOL, text=text) for text in texts]
        body = AppendMessages(messages=[*messages, messages[0]])
        if session not in self.live:
            self.refused(Kind.SESSION, body, session)
            return session, str(messages[0].id)
        written = self.do(Kind.SESSION, body, record_id=session)
        assert written.added == len(texts)
        assert written.duplicates == [messages[0].id]
        self.live[session]["messages"].update({str(m.id): m.text for m in messages})
        self.live[session]["n"] += len(texts)
        return session, str(messages[0].id)

    @rule(message=messages)
    def append_again(self, message: tuple[str, str]) -> None:
        session, identity = message
        held = self.live.get(session, {}).get("messages", {})
        if identity in held:
            again = NewMessage(id=identity, role=Role.TOOL, text=held[identity])
            written = self.do(Kind.SESSION, AppendMessages(messages=[again]), record_id=session)
            assert (written.added, written.duplicates) == (0, [identity])
            assert written.differing == []

    @rule(session=sessions, title=WORDS, add=TAGS, remove=TAGS)
    def update(self, session: str, title: str, add: list[str], remove: list[str]) -> None:
        body = UpdateSession(title=title, tags_add=add, tags_remove=remove)
        if session not in self.live:
            self.refused(Kind.SESSION, body, session)
            return
        self.do(Kind.SESSION, body, record_id=session)
        held = self.live[session]
        held["title"] = title
        held["tags"] = (held["tags"] - set(remove)) | set(add)

    @rule(session=consumes(sessions), erase=st.booleans())
    def remove_session(self, session: str, erase: bool) -> None:
        if session in self.live:
            self.do(Kind.SESSION, Erase() if erase else Delete(), record_id=session)
            del self.live[session]
            gone = [k for k, of in self.saved.items() if of == session]
            for checkpoint in gone:
                del self.saved[checkpoint]

    @rule(message=consumes(messages), erase=st.booleans())
    def remove_message(self, message: tuple[str, str], erase: bool) -> None:
        session, identity = message
        if identity in self.live.get(session, {}).get("messages", {}):
            self.do(Kind.MESSAGE, Erase() if erase else Delete(), record_id=identity)
            del self.live[session]["messages"][identity]

    @rule(session=st.none() | sessions, text=WORDS)
    def checkpoint(self, session: str | None, text: str) -> None:
        if session is None or session in self.live:
            body = CreateCheckpoint(id=uuid7(), session_id=session, description=text)
            self.do(Kind.CHECKPOINT, body, project="acme/api")
            self.saved[str(body.id)] = session

    @rule(target=patterns, name=WORDS, kind=st.sampled_from(PatternType))
    def create_pattern(self, name: str, kind: PatternType) -> str:
        body = CreatePattern(id=uuid7(), name=name, pattern_type=kind)
        self.do(Kind.PATTERN, body, project="acme/api")
        self.lessons[str(body.id)] = {"name": name, "good": 0, "bad": 0}
        return str(body.id)

    @rule(pattern=patterns, success=st.booleans())
    def outcome(self, pattern: str, success: bool) -> None:
        if pattern in self.lessons:
            self.do(Kind.PATTERN, RecordOutcome(success=success), record_id=pattern)
            self.lessons[pattern]["good" if success else "bad"] += 1

    @rule(pattern=patterns, name=WORDS)
    def rename_pattern(self, pattern: str, name: str) -> None:
        if pattern in self.lessons:
            self.do(Kind.PATTERN, UpdatePattern(name=name), record_id=pattern)
            self.lessons[pattern]["name"] = name

    @rule(pattern=consumes(patterns), erase=st.booleans())
    def remove_pattern(self, pattern: str, erase: bool) -> None:
        if pattern in self.lessons:
            self.do(Kind.PATTERN, Erase() if erase else Delete(), record_id=pattern)
            del self.lessons[pattern]

    def refused(self, kind: Kind, body: Any, record_id: str) -> None:
        with pytest.raises(ContextError) as refusal:
            self.do(kind, body, record_id=record_id)
        assert refusal.value.code in {"deleted", "not_found"}

    def teardown(self) -> None:
        if not hasattr(self, "services"):
            return
        try:
            self.check_model()
            self.run(self.check_views())
            self.run(self.check_copy())
        finally:
            self.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    def check_model(self) -> None:
        page = Page(limit=1000)
        stored = self.run(reading.sessions(self.services, ME, SessionFilter(), page)).items
        assert {s["id"]: (s["title"], set(s["tags"]), s["message_count"]) for s in stored} == {
            key: (held["title"], held["tags"], held["n"]) for key, held in self.live.items()
        }
        for session, held in self.live.items():
            found = self.run(reading.messages(self.services, ME, session, -1, 1000))
            assert [(m["id"], m["text"]) for m in found] == list(held["messages"].items())
            assert [m["position"] for m in found] == sorted({m["position"] for m in found})
        lessons = self.run(reading.patterns(self.services, ME, PatternFilter(), page)).items
        assert {p["id"]: (p["name"], p["quality_score"]) for p in lessons} == {
            key: (held["name"], self.quality(held)) for key, held in self.lessons.items()
        }
        saved = self.run(reading.checkpoints(self.services, ME, CheckpointFilter(), page)).items
        assert {c["id"] for c in saved} == set(self.saved)

    def quality(self, held: dict[str, Any]) -> float:
        return quality_score(held["good"], held["bad"], 1, held["good"] + held["bad"])

    async def check_views(self) -> None:
        report = await admin.verify(self.services, ME)
        assert report["ok"], report
        rebuilt = await admin.rebuild(self.services, ME)
        assert rebuilt["equal"], rebuilt

    async def check_copy(self) -> None:
        lines = [
            line async for part in transfer.export(self.services, ME) for line in part.splitlines()
        ]
        async with services_in(Path(self.folder.name) / "b", self.database) as copy:
            first = await transfer.import_(copy, ME, one_by_one(lines))
            assert first["skipped"] == 0
            again = await transfer.import_(copy, ME, one_by_one(lines))
            assert again["events"] == 0
            assert await exported(copy) == await exported(self.services)
            report = await admin.verify(copy, ME)
            assert report["ok"], report


def test_any_sequence_of_operations(hub_database: HubDatabase) -> None:
    # A server's examples take longer: each makes two databases.
    examples = 25 if isinstance(hub_database, Files) else 8
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: LogMachine(hub_database),
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
