"""A collection that ends the server is not asked again and again."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest

from context_api.adapters.vector.breaker import CircuitBreaker
from context_api.adapters.vector.chroma import ChromaVectors
from context_api.adapters.vector.chroma_deaths import Deaths
from context_api.adapters.vector.chroma_http import Broken
from context_api.adapters.vector.naming import collection_name, space_metadata
from context_api.application.vectors import Space
from memory_core.errors import Corrupt, Unavailable
from tests.context_api.adapters.vector.material import space, vector
from tests.context_api.adapters.vector.test_chroma_http import say, speaking


def die(deaths: Deaths, here: Space) -> None:
    with pytest.raises(Broken), deaths.watching(here):
        raise Broken("it died")


def test_after_two_deaths_in_a_row_a_space_is_spared_for_a_while() -> None:
    now = [0.0]
    deaths, here, other = Deaths(lambda: now[0]), space(), space()
    die(deaths, here)
    with deaths.watching(here):
        pass
    die(deaths, here)
    die(deaths, here)
    with pytest.raises(Corrupt, match="rebuild"), deaths.watching(here):
        pass
    with deaths.watching(other):
        pass
    now[0] += 601
    die(deaths, here)
    with pytest.raises(Corrupt), deaths.watching(here):
        pass
    deaths.forget(here)
    with deaths.watching(here):
        pass


def test_a_server_that_breaks_off_is_not_asked_a_third_time() -> None:
    here = space()
    described = {
        "id": "0",
        "name": collection_name(here),
        "metadata": space_metadata(here),
        "configuration_json": {"hnsw": {"space": "cosine"}},
    }
    asked: list[str] = []

    def answer(to: BaseHTTPRequestHandler) -> None:
        if to.path.endswith("/query"):
            asked.append(to.path)
            to.close_connection = True
        else:
            say(200, json.dumps(described).encode())(to)

    with speaking(answer) as url:
        index = ChromaVectors(url, breaker=CircuitBreaker("Chroma", failures=100))
        for _ in range(2):
            with pytest.raises(Unavailable):
                index.nearest(here, vector("a"), 1)
        before = len(asked)
        with pytest.raises(Corrupt, match="breaks down"):
            index.nearest(here, vector("a"), 1)
        assert len(asked) == before
        index.drop(here)
        with pytest.raises(Unavailable):
            index.nearest(here, vector("a"), 1)
        index.close()
