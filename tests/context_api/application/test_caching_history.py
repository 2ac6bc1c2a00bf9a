"""Over any history of writes and reads, answers with a cache equal answers without."""

from __future__ import annotations

import asyncio
import re
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from context_api.adapters.cache.memory import MemoryCache
from context_api.application import context_pack, projects, searching
from context_api.application.caching import Caches
from context_api.domain.caller import Caller
from memory_core.errors import ContextError, ModelMissing
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
    UpdateProject,
    UpdateSession,
)
from memory_core.records import Document, Kind, PatternType, Privacy, Role
from memory_core.requests import ContextRequest, SearchRequest
from tests.support.services import caller, do, services_in

WORDS = ["tokenizer", "parser", "cache", "deploy", "apostrophe"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
LEVELS = st.sampled_from([Privacy.PUBLIC, Privacy.TEAM, Privacy.PRIVATE])
SLUGS = st.sampled_from(["acme/api", "acme/web", "_team"])
TAGS = st.lists(st.sampled_from(["red", "green"]), max_size=2)
MOMENTS = st.sampled_from(["2026-11-21T12:00:00.000000Z", "2027-03-01T00:00:01.000000Z"])
PER_CALL = ("took_ms", "recall_id", "text")


def missing_model() -> Any:
    raise ModelMissing


class CacheMachine(RuleBasedStateMachine):
    """Asks one hub through a cache and past it, after each write."""

    sessions = Bundle("sessions")
    patterns = Bundle("patterns")

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        services = self.run(self.stack.enter_async_context(services_in(Path(self.folder.name))))
        services.indexes.load_embedder = missing_model
        services.indexes.embedder = None
        self.at = "2026-11-21T12:00:00.000000Z"
        self.store = MemoryCache(1024 * 1024)
        clock = lambda: self.at  # noqa: E731
        self.with_cache = replace(services, caches=Caches(store=self.store, clock=clock))
        self.without = replace(services, caches=Caches(clock=clock))
        self.ids = {
            slug: self.run(
                projects.ensure(services, caller("ada"), CreateProject(slug=slug))
            ).document["id"]
            for slug in ("acme/api", "acme/web", "_team")
        }
        self.callers = {
            "ada": caller("ada"),
            "bob": caller("bob", "write"),
            "api only": caller("bob", "read", projects=frozenset({self.ids["acme/api"]})),
            "web only": caller("ada", "write", projects=frozenset({self.ids["acme/web"]})),
        }

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    def do(self, who: str, kind: Kind, body: Any, **more: Any) -> None:
        try:
            self.run(do(self.with_cache, self.callers[who], kind, body, **more))
        except ContextError as error:
            if error.status not in {403, 404, 409, 410, 422}:
                raise

    WHO = st.sampled_from(["ada", "bob", "api only", "web only"])

    @rule(target=sessions, who=WHO, slug=SLUGS, text=TEXTS, level=LEVELS, tags=TAGS)
    def create_session(self, who: str, slug: str, text: str, level: Privacy, tags: Any) -> str:
        body = CreateSession(
            id=uuid7(),
            title=text,
            tags=tags,
            privacy_level=level,
            messages=[NewMessage(id=uuid7(), role=Role.USER, text=f"{text} again")],
        )
        self.do(who, Kind.SESSION, body, project=slug)
        return str(body.id)

    @rule(who=WHO, session=sessions, text=TEXTS)
    def append(self, who: str, session: str, text: str) -> None:
        body = AppendMessages(messages=[NewMessage(id=uuid7(), role=Role.TOOL, text=text)])
        self.do(who, Kind.SESSION, body, record_id=session)

    @rule(who=WHO, session=sessions, level=LEVELS, title=TEXTS)
    def change_session(self, who: str, session: str, level: Privacy, title: str) -> None:
        body = UpdateSession(privacy_level=level, title=title)
        self.do(who, Kind.SESSION, body, record_id=session)

    @rule(who=WHO, session=consumes(sessions), erase=st.booleans())
    def remove_session(self, who: str, session: str, erase: bool) -> None:
        self.do(who, Kind.SESSION, Erase() if erase else Delete(), record_id=session)

    @rule(who=WHO, slug=SLUGS, text=TEXTS)
    def checkpoint(self, who: str, slug: str, text: str) -> None:
        body = CreateCheckpoint(id=uuid7(), description=text)
        self.do(who, Kind.CHECKPOINT, body, project=slug)

    @rule(target=patterns, who=WHO, slug=SLUGS, name=TEXTS, level=LEVELS)
    def create_pattern(self, who: str, slug: str, name: str, level: Privacy) -> str:
        body = CreatePattern(
            id=uuid7(), name=name, pattern_type=PatternType.DECISION, privacy_level=level
        )
        self.do(who, Kind.PATTERN, body, project=slug)
        return str(body.id)

    @rule(who=WHO, pattern=patterns, success=st.booleans(), deprecated=st.booleans())
    def change_pattern(self, who: str, pattern: str, success: bool, deprecated: bool) -> None:
        self.do(who, Kind.PATTERN, RecordOutcome(success=success), record_id=pattern)
        self.do(who, Kind.PATTERN, UpdatePattern(deprecated=deprecated), record_id=pattern)

    @rule(slug=SLUGS, name=st.sampled_from(["acme/api", "acme/new", "acme/api2"]))
    def rename_project(self, slug: str, name: str) -> None:
        try:
            body = UpdateProject(slug=name)
            self.run(projects.update(self.with_cache, self.callers["ada"], self.ids[slug], body))
        except ContextError as error:
            if error.code != "slug_taken":
                raise

    @rule(moment=MOMENTS)
    def pass_time(self, moment: str) -> None:
        self.at = moment

    @rule(
        asked=st.builds(
            SearchRequest,
            query=st.sampled_from([*WORDS, "tokenizer yesterday", "in the end"]),
            projects=st.lists(SLUGS, max_size=2),
            kinds=st.lists(st.sampled_from(["session", "message", "pattern"]), max_size=1),
            tags=TAGS,
            limit=st.sampled_from([1, 10]),
            min_score=st.none() | st.just(0.0),
        )
    )
    def search(self, asked: SearchRequest) -> None:
        for name, who in self.callers.items():
            found = [
                self.answer(searching.search, services, who, asked)
                for services in (self.with_cache, self.without, self.with_cache)
            ]
            assert found[0] == found[1] == found[2], name

    @rule(
        asked=st.builds(
            ContextRequest,
            project=SLUGS,
            query=st.sampled_from(["", *WORDS]),
            budget_tokens=st.sampled_from([200, 2_000]),
            kinds=st.lists(st.sampled_from(["session", "checkpoint", "pattern"]), max_size=1),
        )
    )
    def context(self, asked: ContextRequest) -> None:
        for name, who in self.callers.items():
            found = [
                self.answer(context_pack.build, services, who, asked)
                for services in (self.with_cache, self.without, self.with_cache)
            ]
            assert found[0] == found[1] == found[2], name

    def answer(self, use_case: Any, services: Any, who: Caller, asked: Any) -> Document:
        """Returns what lasts of an answer, or the code of the refusal."""
        try:
            document = self.run(use_case(services, who, asked))
        except ContextError as error:
            return {"refused": error.code}
        text = re.sub('nonce="[^"]*"', "", str(document.get("text")))
        return {"text": text, **{k: v for k, v in document.items() if k not in PER_CALL}}

    def teardown(self) -> None:
        if not hasattr(self, "stack"):
            return
        self.run(self.stack.aclose())
        self.runner.close()
        self.folder.cleanup()


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(
    max_examples=10,
    stateful_step_count=20,
    deadline=None,
    # Each try takes seconds, so a failing history is shown as it was found.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
