"""What a worker's audit finds of a vector server that holds vectors and does not find them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from context_api.adapters.vector.memory import MemoryVectors
from context_api.application.index_care import LOOK
from context_api.application.vectors import Space, VectorItem
from tests.context_api.adapters.index.support import IndexDatabase
from tests.context_api.worker.hub import Hub, hub, in_loop

PROJECT = "acme/api"
TEXTS = [f"module_{number}.ex broke on {number * 7} tabs" for number in range(LOOK - 5)]
"""With the session's own, a few chunks less than are asked for: all of them are."""


class Forgetful(MemoryVectors):
    """Holds vectors that it does not find, as Chroma does now and then.

    ``heals`` says that what is put again is found.
    """

    def __init__(self, *, heals: bool) -> None:
        super().__init__()
        self.lost: set[tuple[int, str]] = set()
        self.heals = heals
        self.everything = False

    def upsert(self, space: Space, items: Sequence[VectorItem]) -> None:
        if self.heals:
            self.lost -= {(space.generation, item.id) for item in items}
        super().upsert(space, items)

    def nearest(
        self, space: Space, query: NDArray[np.float32], limit: int
    ) -> list[tuple[str, float]]:
        near = super().nearest(space, query, limit + len(self.lost))
        return [
            one for one in near if (space.generation, one[0]) not in self.lost
            and not self.everything
        ][:limit]  # fmt: skip


async def audited(one: Hub, database: IndexDatabase) -> int:
    """Lets the next audit be due and works; returns the number of the generation in use."""
    database.run("UPDATE index_generations SET audited_at = now() - interval '1 hour'")
    await one.drain()
    assert database.count("index_generations", "audited_at < now() - interval '1 minute'") == 0
    return int(str(database.run("SELECT generation FROM index_generations")[0][0]))


@pytest.mark.parametrize(("share", "heals", "generation"), [(0.01, True, 1), (0.5, False, 2)])
@in_loop
async def test_what_is_held_and_not_found_is_mended(
    url: str, database: IndexDatabase, share: float, heals: bool, generation: int
) -> None:
    vectors = Forgetful(heals=heals)
    async with hub(url, vectors=vectors) as one:
        await one.save(PROJECT, TEXTS)
        await one.drain()
        held = {item for space in vectors._spaces.values() for item in space}
        lost = sorted(held)[: max(1, int(share * len(held)))]
        vectors.lost = {(1, item) for item in lost}
        assert await audited(one, database) == generation
        assert not any((space.generation, item) in vectors.lost for space in vectors._spaces
                       for item in vectors._spaces[space])  # fmt: skip
        assert {item for space in vectors._spaces.values() for item in space} == held


@in_loop
async def test_a_server_that_finds_nothing_is_left_until_the_next_audit(
    url: str, database: IndexDatabase
) -> None:
    vectors = Forgetful(heals=False)
    async with hub(url, vectors=vectors) as one:
        await one.save(PROJECT, TEXTS)
        await one.drain()
        vectors.everything = True
        began = time.monotonic()
        assert await audited(one, database) == 1
        assert await one.drain() == 0, "it is not built anew again and again"
        assert time.monotonic() - began < 30
        assert {space.generation for space in vectors._spaces} == {1}
