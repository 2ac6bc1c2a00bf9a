"""An answer without vectors says why by what it advises: a model, patience, or a look around."""

from __future__ import annotations

from context_api.adapters.vector.chroma import ChromaVectors
from context_api.application.context_pack import build
from context_api.application.indexes import ASK_DOCTOR, INSTALL_MODEL, WAIT
from context_api.application.searching import search
from memory_core.requests import ContextRequest, SearchRequest
from tests.context_api.worker.hub import ME, Hub, hub, in_loop
from tests.support.servers.finding import free_port

PROJECT = "acme/api"


async def hints(one: Hub) -> set[object]:
    """Returns what a search and a context pack advise."""
    found = await search(one.services, ME, SearchRequest(query="the parser"))
    pack = await build(one.services, ME, ContextRequest(project=PROJECT, query="the parser"))
    assert found["degraded"] == pack["degraded"] == ["vector"]
    return {found["mend"], pack["mend"]}


@in_loop
async def test_each_reason_has_its_advice(url: str) -> None:
    vectors = ChromaVectors(f"http://127.0.0.1:{free_port()}")
    try:
        async with hub(url, vectors=vectors, exact_chunks=0) as one:
            await one.save(PROJECT, ["the parser was rewritten"])
            assert await hints(one) == {INSTALL_MODEL}
            one.services.indexes.try_embedder()
            assert await hints(one) == {WAIT}
            await one.drain()
            assert await hints(one) == {ASK_DOCTOR}
    finally:
        vectors.close()


@in_loop
async def test_an_answer_with_vectors_advises_nothing(url: str) -> None:
    async with hub(url) as one:
        await one.save(PROJECT, ["the parser was rewritten"])
        await one.drain()
        found = await search(one.services, ME, SearchRequest(query="the parser"))
        assert found["degraded"] == []
        assert "mend" not in found
