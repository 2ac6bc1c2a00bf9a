"""What tests of kept answers have in common: who asks, what is said, and when all is indexed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

from context_api.application import searching
from context_api.application.services import Services
from context_api.application.viewing import viewer_of
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.port import Vectors
from memory_core.errors import EmbeddingFailed
from memory_core.ids import uuid7
from memory_core.operations import CreateSession, NewMessage
from memory_core.records import Document, Kind, Role
from memory_core.requests import SearchRequest
from tests.support.services import caller, do

ADA = caller("ada")
NOON = "2026-11-21T12:03:07.250000Z"
SETTLE_S = 30


class Counting:
    """An embedder that counts what it is asked, and fails when told to."""

    def __init__(self) -> None:
        self._embedder = HashingEmbedder()
        self.model, self.dimension = self._embedder.model, self._embedder.dimension
        self.queries = 0
        self.fails = False
        self.fails_to_index = False
        self.waits_for = ""
        self.waiting, self.go_on = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.fails_to_index:
            raise EmbeddingFailed
        return self._embedder.embed(texts)

    def embed_query(self, text: str) -> Vectors:
        self.queries += 1
        if text == self.waits_for:
            self.waiting.set()
            self.go_on.wait(30)
        if self.fails:
            raise EmbeddingFailed
        return self._embedder.embed_query(text)


async def say(services: Services, text: str, project: str = "acme/api", **more: Any) -> str:
    """Stores a session of one message and returns its id."""
    message = NewMessage(id=uuid7(), role=Role.USER, text=text)
    body = CreateSession(id=uuid7(), title=text, messages=[message], **more)
    await do(services, ADA, Kind.SESSION, body, project=project)
    return str(body.id)


async def search(services: Services, query: str = "tokenizer", **more: Any) -> Document:
    """Searches, as Ada unless told."""
    who = more.pop("who", ADA)
    return await searching.search(services, who, SearchRequest(query=query, **more))


def lasting(document: Document) -> Document:
    """Returns an answer without what differs from one time to the next."""
    return {name: value for name, value in document.items() if name != "took_ms"}


async def settled(services: Services) -> None:
    """Waits until every vector is there."""
    async with services.uow.read(viewer_of(ADA)) as tx:
        ids = await tx.all_project_ids()
    async with asyncio.timeout(SETTLE_S):
        while True:
            reached = [await services.indexes.progress(ADA.tenant_id, i) for i in ids]
            if not any(progress.pending for progress in reached):
                return
            await asyncio.sleep(0.02)
