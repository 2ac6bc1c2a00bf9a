"""Answers that are kept for the state they were computed from.

A key names everything that an answer depends on: who asks and what, how far the logs and the
indexes are, the model, the recall code, a stretch of time. Nothing is ever invalidated: a write
makes another key, and what is kept under the old one is never asked for again. So a reader that
stalls between computing and keeping does no harm.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, cast

from memory_core.canonical import canonical_json
from memory_core.clock import now
from memory_core.recall.moment import BUCKET_S, moment_of
from memory_core.records import Document

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CacheKey:
    """Names a value: the cache it belongs to, whose it is, and a digest of the rest.

    ``owner`` is ``tenant:project``; what has one owner lies on one node of a cluster. Both
    names hold no braces.
    """

    cache: str
    owner: str
    digest: str

    @property
    def text(self) -> str:
        """The key as one text, with the owner as Redis Cluster's hash tag."""
        return f"{self.cache}:{{{self.owner}}}:{self.digest}"


@dataclass(slots=True)
class CacheCounts:
    """What became of the questions to one cache.

    ``errors`` are calls that failed or were not tried because others had failed; ``foreign``
    are values that this hub did not write. Both count as misses too.
    """

    hits: int = 0
    misses: int = 0
    stores: int = 0
    errors: int = 0
    foreign: int = 0


class Counted(dict[str, CacheCounts]):
    """Counts by the name of the cache."""

    def __missing__(self, name: str) -> CacheCounts:
        counts = self[name] = CacheCounts()
        return counts


@dataclass(frozen=True, slots=True)
class Kept:
    """A value to keep for at most ``ttl_s`` seconds."""

    key: CacheKey
    value: bytes
    ttl_s: float


class Cache(Protocol):
    """Keeps bytes for a while, or not: it may forget at any time, and never fails.

    A value comes out only under the key under which it was set.
    """

    @property
    def counts(self) -> Mapping[str, CacheCounts]:
        """What happened so far, by the name of the cache."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes see what this one keeps."""
        ...

    async def get(self, key: CacheKey) -> bytes | None:
        """Returns the value of ``key``, None if it is not there or cannot be read in time."""
        ...

    async def find(self, key: CacheKey, beside: CacheKey) -> tuple[bytes | None, bytes | None]:
        """Returns the value of ``key`` and, only where that is not there, the one ``beside``."""
        ...

    async def set(self, key: CacheKey, value: bytes, ttl_s: float) -> None:
        """Keeps a value for at most ``ttl_s`` seconds."""
        ...

    async def keep(self, values: Sequence[Kept]) -> None:
        """Keeps several values."""
        ...

    async def close(self) -> None:
        """Gives up its connections."""
        ...


class Flights(Generic[T]):
    """Computes once what several ask for at the same time."""

    def __init__(self) -> None:
        self._flying: dict[CacheKey, _Flight[T]] = {}

    async def run(self, key: CacheKey, compute: Callable[[], Awaitable[T]]) -> T:
        """Returns what ``compute`` gives, or what an equal call that is under way gives.

        Those who wait share its error; those who come later compute anew. Who stops waiting
        stops nobody else, and the computation ends with the last who waits.
        """
        flight = self._flying.get(key)
        if flight is None:
            flight = self._flying[key] = _Flight(asyncio.ensure_future(_awaited(compute)))
            flight.task.add_done_callback(lambda _: self._land(key, flight))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                # Nobody may join what is being stopped.
                self._land(key, flight)
                flight.task.cancel()

    def _land(self, key: CacheKey, flight: _Flight[T]) -> None:
        if self._flying.get(key) is flight:
            del self._flying[key]
        if flight.task.done() and not flight.task.cancelled():
            # Marks an error as seen where everybody who waited for it has gone.
            flight.task.exception()


@dataclass(slots=True)
class _Flight(Generic[T]):
    task: asyncio.Future[T]
    waiting: int = 0


async def _awaited(compute: Callable[[], Awaitable[T]]) -> T:
    return await compute()


@dataclass(frozen=True, slots=True)
class Computed:
    """An answer; ``lasting`` says that it is the only right one for its key."""

    document: Document
    lasting: bool


class Beside(Protocol):
    """Something that helps to compute an answer, and is worth keeping beside it."""

    @property
    def key(self) -> CacheKey | None:
        """What it is kept under, None where it need not be asked for."""
        ...

    def take(self, value: bytes | None) -> None:
        """Takes what was found, before the answer is computed."""
        ...

    def give(self) -> Kept | None:
        """Returns what to keep once the answer is computed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Caches:
    """The answers that are kept, if there is a store for them, and those being computed."""

    store: Cache | None = None
    clock: Callable[[], str] = now
    flights: Flights[Document] = field(default_factory=Flights)

    def moment(self) -> str:
        """Returns the beginning of the present stretch of time, as a canonical time."""
        return moment_of(self.clock())

    async def answer(
        self,
        key: CacheKey | None,
        compute: Callable[[], Awaitable[Computed]],
        beside: Beside | None = None,
    ) -> Document:
        """Returns the answer kept under ``key``, else computes it, once for all who ask now.

        What is ``beside`` it is asked for and kept with it, on the same way. Without a key it
        is computed for this caller alone. The document is shared: do not change it.
        """
        if key is None:
            return (await compute()).document
        return await self.flights.run(key, lambda: self._kept_or_made(key, compute, beside))

    async def _kept_or_made(
        self, key: CacheKey, compute: Callable[[], Awaitable[Computed]], beside: Beside | None
    ) -> Document:
        if self.store is None:
            return (await compute()).document
        if not self.store.shared:
            # What helps this process is with it in any case.
            beside = None
        if beside is not None and beside.key is not None:
            kept, found = await self.store.find(key, beside.key)
        else:
            kept, found = await self.store.get(key), None
        if kept is not None:
            return cast("Document", json.loads(kept))
        if beside is not None:
            beside.take(found)
        made = await compute()
        values = []
        if made.lasting:
            values.append(Kept(key, json.dumps(made.document).encode(), BUCKET_S))
        if beside is not None and (given := beside.give()) is not None:
            values.append(given)
        if values:
            await self.store.keep(values)
        return made.document


def cache_key(cache: str, owner: str, content: Document) -> CacheKey:
    """Returns the key of a value that depends on ``content``."""
    return CacheKey(cache, owner, hashlib.sha256(canonical_json(content)).hexdigest())
