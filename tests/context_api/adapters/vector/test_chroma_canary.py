"""The vector that must be found again, and a collection of it that was lost or ruined."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from context_api.adapters.vector.chroma import ChromaVectors
from context_api.adapters.vector.chroma_canary import CANARY, sings
from memory_core.errors import Corrupt
from tests.support.servers.chroma import ChromaServer

COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"
Vector = NDArray[np.float32]


class Perches:
    """Holds what is put; ``moves`` says for how many puts the vector moves along."""

    def __init__(self, moves: int) -> None:
        self.moves = moves
        self.at: dict[str, Vector] = {}

    def put(self, id_: str, vector: Vector) -> None:
        self.moves -= 1
        if self.moves >= 0 or id_ not in self.at:
            self.at[id_] = vector if self.moves >= 0 else -vector

    def ask(self, vector: Vector) -> list[tuple[str, float]]:
        scores = [(id_, float(held @ vector)) for id_, held in self.at.items()]
        return sorted(scores, key=lambda one: -one[1])[:1]


def test_it_sings_while_vectors_are_found_where_they_were_put() -> None:
    perches = Perches(1000)
    assert all(sings(perches.put, perches.ask) for _ in range(200))
    assert len(perches.at) <= 64


def test_it_is_silent_over_vectors_that_stand_still() -> None:
    perches = Perches(0)
    assert not any(sings(perches.put, perches.ask) for _ in range(50))


def test_it_is_silent_over_an_index_that_finds_nothing() -> None:
    assert not sings(lambda _id, _vector: None, lambda _vector: [])


def test_another_that_took_the_same_perch_is_no_damage() -> None:
    perches, first = Perches(1000), [True]

    def ask(vector: Vector) -> list[tuple[str, float]]:
        if first.pop() if first else False:
            return [("perch-1", 0.2)]
        return perches.ask(vector)

    assert sings(perches.put, ask)


def test_a_canary_that_was_deleted_comes_back(
    chroma: ChromaVectors, chroma_server: ChromaServer
) -> None:
    chroma.check()
    assert chroma.losses == 0
    httpx.delete(f"{chroma_server.url}{COLLECTIONS}/{CANARY}").raise_for_status()
    chroma.check()
    assert chroma.losses == 1


def test_a_canary_that_is_not_as_it_should_be_is_told_once_and_made_anew(
    chroma_server: ChromaServer,
) -> None:
    index = ChromaVectors(chroma_server.url)
    httpx.delete(f"{chroma_server.url}{COLLECTIONS}/{CANARY}")
    made = httpx.post(chroma_server.url + COLLECTIONS, json={"name": CANARY}).json()
    path = f"{chroma_server.url}{COLLECTIONS}/{made['id']}/upsert"
    httpx.post(path, json={"ids": ["1"], "embeddings": [[1.0, 2.0]]}).raise_for_status()
    with pytest.raises(Corrupt):
        index.check()
    index.check()
    index.close()
