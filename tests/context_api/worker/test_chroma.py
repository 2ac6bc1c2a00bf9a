"""Chroma killed and wiped in the middle of writes: nothing waits for it, and it is filled again."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from context_api.adapters.vector.chroma import ChromaVectors
from context_api.application.searching import search
from memory_core.requests import SearchRequest
from tests.context_api.adapters.index.support import IndexDatabase
from tests.context_api.worker.hub import ME, TENANT, Hub, hub, in_loop
from tests.support.servers.chroma import ChromaServer, running_chroma
from tests.support.servers.finding import Unstartable, missing

PROJECT = "acme/api"
PATIENCE_S = 90.0


@pytest.fixture
def server() -> Iterator[ChromaServer]:
    """A server that the test may kill."""
    try:
        with running_chroma() as found:
            if found.process is None:
                pytest.skip("the server was not started here, so it cannot be killed")
            yield found
    except Unstartable as error:
        missing("Chroma", error)


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not await holds():
        assert time.monotonic() < end, f"never: {what}"
        await asyncio.sleep(0.2)


async def degraded(one: Hub, query: str) -> object:
    answer = await search(one.services, ME, SearchRequest(query=query, limit=3))
    assert answer["hits"]
    return answer["degraded"]


@pytest.mark.slow
@in_loop
async def test_chroma_is_killed_and_wiped_and_ends_equal_to_sql(
    url: str, database: IndexDatabase, server: ChromaServer
) -> None:
    vectors = ChromaVectors(server.url)
    async with hub(url, vectors=vectors, exact_chunks=3) as one:

        async def is_equal() -> bool:
            await one.drain()
            stored = {
                (str(number), str(hashed))
                for number, hashed in database.run("SELECT number, encode(hash, 'hex') FROM chunks")
            }
            ids = [str(row[0]) for row in database.run("SELECT id::text FROM projects")]

            def held() -> set[tuple[str, str]]:
                spaces = [space for id_ in ids for space in vectors.spaces(TENANT, id_)]
                return {pair for space in spaces for pair in vectors.hashes(space)}

            try:
                return await asyncio.to_thread(held) == stored
            except Exception:  # noqa: BLE001 - it is away: not equal
                return False

        async def write(mark: str) -> str:
            texts = [f"{mark}: the parser broke on tabs in module_{n}.ex" for n in range(8)]
            return await one.save(PROJECT, texts)

        first = await write("first")
        await until(is_equal, "filled")
        assert await degraded(one, "module_3.ex") == []

        server.stop(signal.SIGKILL)
        await write("second")
        await one.erase(first)
        await one.drain()
        progress = await one.services.indexes.progress(
            TENANT, str(database.run("SELECT id::text FROM projects")[0][0])
        )
        assert progress.pending == 0
        assert await degraded(one, "module_3.ex") == ["vector"]
        server.start()
        await until(is_equal, "equal after it was killed")
        assert await degraded(one, "module_3.ex") == []

        server.stop(signal.SIGKILL)
        await write("third")
        await one.drain()
        shutil.rmtree(server.data)
        server.start()
        await until(is_equal, "equal after it was wiped")
        assert await degraded(one, "module_3.ex") == []
    vectors.close()
