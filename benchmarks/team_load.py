"""What the benchmark of a team's hub asks of it: many clients at once, and the floors beside."""

from __future__ import annotations

import asyncio
import itertools
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import redis.asyncio
from corpus import Corpus, Message
from harness import API, spread

from tests.support.hub import Hub
from tests.support.stack import KEY, Stack

PROJECTS = ("bench/api", "bench/web")
HEADERS = {"Authorization": f"Bearer {KEY}"}
ANSWER_BYTES = 4_000
"""The size of a search's answer, which Redis gives back in the floor."""


@dataclass(frozen=True)
class Request:
    """One request of a client. ``kind`` is what its time counts for."""

    kind: str
    method: str
    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Stock:
    """What clients ask for and write."""

    questions: Sequence[str]
    sessions: Sequence[Sequence[Message]]
    session_ids: Sequence[str]
    checkpoint_ids: Sequence[str]

    def search(self, rng: random.Random) -> Request:
        """Returns a search of one project."""
        body = {"query": rng.choice(self.questions), "projects": [rng.choice(PROJECTS)]}
        return Request("search", "POST", "/search", body)

    def context(self, rng: random.Random) -> Request:
        """Returns what an agent asks before it starts."""
        body = {"query": rng.choice(self.questions), "project": rng.choice(PROJECTS)}
        return Request("context", "POST", "/context", body)

    def read(self, rng: random.Random) -> Request:
        """Returns a read by key: a session, a checkpoint, or a page of sessions."""
        session, checkpoint = rng.choice(self.session_ids), rng.choice(self.checkpoint_ids)
        path = rng.choice(
            [
                f"/sessions/{session}",
                f"/checkpoints/{checkpoint}",
                f"/sessions?project={rng.choice(PROJECTS)}&limit=20",
            ]
        )
        return Request("read", "GET", path)

    def write(self, rng: random.Random) -> Request:
        """Returns a new session of 20 messages."""
        body = session(rng.choice(PROJECTS), rng.choice(self.sessions))
        return Request("write", "POST", "/sessions", body)


def searching(stock: Stock, rng: random.Random) -> Request:
    """Four of five requests search, the fifth writes."""
    return stock.search(rng) if rng.random() < 0.8 else stock.write(rng)


def agents(stock: Stock, rng: random.Random) -> Request:
    """Four of five requests read, half of them by a question (three searches to one context)."""
    chance = rng.random()
    if chance < 0.3:
        return stock.search(rng)
    if chance < 0.4:
        return stock.context(rng)
    return stock.read(rng) if chance < 0.8 else stock.write(rng)


Mix = Callable[[Stock, random.Random], Request]
PAUSE_S = 5.0


@dataclass(frozen=True)
class Load:
    """What a client asks, and how long it does other things in between, on the average."""

    mix: Mix
    pause_s: float = 0.0


LOADS = {
    "searching": Load(searching),
    "agents": Load(agents),
    "agents at work": Load(agents, PAUSE_S),
}


def session(project: str, messages: Sequence[Message]) -> dict[str, Any]:
    """Returns the body that creates a session."""
    said = [
        {"role": "assistant" if place % 2 else "user", "text": message.text}
        for place, message in enumerate(messages)
    ]
    return {"project": project, "title": "Work", "messages": said}


def some_sessions(seed: int, count: int) -> list[list[Message]]:
    """Returns the messages of sessions to write, 20 each."""
    return [list(found[:20]) for found in itertools.islice(Corpus(seed).sessions(), count)]


async def many(
    hubs: Sequence[Hub], load: Load, stock: Stock, *, clients: int, seconds: float
) -> dict[str, Any]:
    """Lets many clients ask at once, spread over the hubs."""
    took: dict[str, list[float]] = {}
    failures: list[str] = []

    async def client(number: int, base: str, end: float) -> None:
        rng = random.Random(number)
        options: dict[str, Any] = {"headers": HEADERS, "timeout": 60, "verify": context}
        async with httpx.AsyncClient(base_url=f"{base}{API}", **options) as connection:
            while time.perf_counter() < end:
                if load.pause_s:
                    await asyncio.sleep(rng.expovariate(1 / load.pause_s))
                asked = load.mix(stock, rng)
                started = time.perf_counter()
                try:
                    answer = await connection.request(asked.method, asked.path, json=asked.body)
                    answer.raise_for_status()
                except httpx.HTTPError as error:
                    failures.append(repr(error)[:200])
                    continue
                took.setdefault(asked.kind, []).append(time.perf_counter() - started)

    # Made once: a context of its own for each client would take the processor from the hub.
    context = ssl.create_default_context()
    begun = time.perf_counter()
    bases = itertools.islice(itertools.cycle(hub.url for hub in hubs), clients)
    await asyncio.gather(
        *(client(number, base, begun + seconds) for number, base in enumerate(bases))
    )
    lasted = time.perf_counter() - begun
    everything = [taken for values in took.values() for taken in values]
    return {
        "clients": clients,
        "requests_per_s": round(len(everything) / lasted, 1),
        "all": spread(everything),
        **{name: spread(took[name]) for name in sorted(took)},
        "failures": len(failures),
        "first_failures": failures[:3],
    }


async def floors(stack: Stack, session_ids: Sequence[str], count: int = 500) -> dict[str, Any]:
    """Measures what no answer can do without: a row by its key, a value by its name.

    One connection each, as a superuser of the servers, so that neither roles nor policies count.
    """
    database = stack.environ["MEMCTX_DATABASE_URL"].rpartition("/")[2]
    postgres = await asyncpg.connect(stack.servers.postgres.address(database))
    cache = redis.asyncio.Redis.from_url(stack.servers.redis.url)
    try:
        tenant = await postgres.fetchval("SELECT id FROM tenants LIMIT 1")
        by_key = "SELECT * FROM sessions WHERE tenant_id = $1 AND id = $2"
        await cache.set("floor", b"x" * ANSWER_BYTES, ex=600)

        async def row(number: int) -> None:
            wanted = session_ids[number % len(session_ids)]
            assert await postgres.fetchrow(by_key, tenant, wanted) is not None

        async def value(_number: int) -> None:
            assert await cache.get("floor") is not None

        return {
            "select_by_key": await _spread(row, count),
            "redis_get": await _spread(value, count),
        }
    finally:
        await cache.aclose()
        await postgres.close()


async def _spread(ask: Callable[[int], Awaitable[None]], count: int) -> dict[str, float]:
    taken = []
    for number in range(count + 20):
        started = time.perf_counter()
        await ask(number)
        taken.append(time.perf_counter() - started)
    return spread(taken[20:])
