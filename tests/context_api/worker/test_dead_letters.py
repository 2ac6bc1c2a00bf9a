"""What could not be embedded is tried again by command, when the embedder is mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from context_api.adapters.index.care import SqlIndexSource
from context_api.adapters.vector.memory import MemoryVectors
from context_api.application.index_care_source import IndexSource
from context_api.application.vector_care import care
from context_api.application.vectors import VectorIndex
from memory_core.embedding.port import Vectors
from tests.context_api.worker.hub import ME, hub, in_loop
from tests.context_api.worker.test_leased import Counting, progress

PROJECT = "acme/api"


class Mended(Counting):
    """Embeds everything, once it is mended."""

    broken = True

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.broken:
            return super().embed(texts)
        return super().embed([text.replace("poison", "water") for text in texts])


@in_loop
async def test_index_repair_tries_dead_letters_again(url: str) -> None:
    vectors, embedder = MemoryVectors(), Mended()
    async with hub(url, vectors=vectors, embedder=embedder) as one:

        def cared_for(tenant_id: str, project_id: str) -> tuple[VectorIndex, IndexSource]:
            model = one.indexes.model.current
            return vectors, SqlIndexSource(one.indexes.database, tenant_id, project_id, model=model)

        services = replace(one.services, vectors=cared_for)
        await one.save(PROJECT, ["the parser", "poison in the well"])
        await one.drain()
        assert (await progress(one)).dead == 1
        embedder.broken = False
        assert await one.drain() == 0, "until it is asked for, or a day has passed"
        done = await care(services, ME, "repair", None)
        assert done["projects"][0]["changed"]["retried"] == 1  # type: ignore[index,call-overload]
        await one.drain()
        assert (await progress(one)).dead == 0
        again = await care(services, ME, "repair", None)
        assert again["projects"][0]["changed"]["retried"] == 0  # type: ignore[index,call-overload]
        assert again["ok"]
