"""A worker's own figures: what it did is in them, and who may ask for them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from context_api.application.embedding_counts import CountedEmbedder, EmbeddingCounts
from context_api.http.metrics import Metrics
from context_api.http.worker_figures import worker_figures
from context_api.settings import SettingsError, load
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.port import Embedder, Vectors
from memory_core.errors import EmbeddingFailed
from tests.context_api.http.asgi import Answered, call
from tests.support.services import KEY, services_in

METRICS_KEY = "mctx_5f3e9a01b2c4_Wm8rQ2xVn6tLc0yZk4Jd7sHfPb1gEa9uOiT3NXwRqMv"
HERE = ("Host", "127.0.0.1:9464")


class Failing(HashingEmbedder):
    def embed(self, texts: Any) -> Vectors:
        raise EmbeddingFailed("no")


def ask(
    folder: Path,
    *headers: tuple[str, str],
    counts: EmbeddingCounts | None = None,
    method: str = "GET",
    path: str = "/metrics",
    **given: Any,
) -> Answered:
    async def asked() -> Answered:
        async with services_in(folder, **given) as services:
            app = worker_figures(lambda: services, Metrics(), counts or EmbeddingCounts())
            return await call(app, method, path, headers=headers)

    return asyncio.run(asked())


def test_what_a_worker_did_is_in_its_figures(tmp_path: Path) -> None:
    counts = EmbeddingCounts()
    embedder: Embedder = CountedEmbedder(HashingEmbedder(8), counts)
    assert embedder.embed(["one", "two", "three"]).shape == (3, embedder.dimension)
    assert np.array_equal(embedder.embed_query("one"), HashingEmbedder(8).embed_query("one"))
    with pytest.raises(EmbeddingFailed):
        CountedEmbedder(Failing(8), counts).embed(["one"])
    answered = ask(tmp_path, HERE, counts=counts)
    assert answered.status == 200
    families = [one for one in parse(answered.body.decode()) if one.samples]
    found = {one.name: one.samples[0].value for one in families}
    assert found["memctx_worker_embedded_texts"] == 3
    assert found["memctx_worker_embedding_failures"] == 1
    assert found["memctx_worker_embedding_seconds"] > 0
    assert found["memctx_worker_failing"] == 0
    assert found["memctx_database_up"] == 1
    assert found["memctx_index_dead"] == 0
    assert found["process_resident_memory_bytes"] > 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/health/live", 404), ("GET", "/metrics/", 404),
     ("POST", "/metrics", 405), ("HEAD", "/metrics", 200)],
)  # fmt: skip
def test_it_answers_nothing_else(tmp_path: Path, method: str, path: str, status: int) -> None:
    assert ask(tmp_path, HERE, method=method, path=path).status == status


def test_a_web_page_cannot_ask_under_a_name_of_its_own(tmp_path: Path) -> None:
    answered = ask(tmp_path, ("Host", "rebound.example.org:9464"))
    assert (answered.status, answered.json["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("key", "status"), [(None, 401), (METRICS_KEY, 200), (KEY, 200), (METRICS_KEY + "x", 401)]
)
def test_where_there_is_a_key_it_is_needed(tmp_path: Path, key: str | None, status: int) -> None:
    headers = [("Host", "worker.example.org"), *([("X-API-Key", key)] if key else [])]
    answered = ask(tmp_path, *headers, metrics_key=METRICS_KEY)
    assert answered.status == status
    assert (b"memctx_worker" in answered.body) is (status == 200)


def test_others_reach_it_only_with_a_key(tmp_path: Path) -> None:
    given = {"metrics_port": 9464, "metrics_host": "0.0.0.0", "data_dir": tmp_path}
    with pytest.raises(SettingsError, match=r"MEMCTX_METRICS_HOST=0.0.0.0 .* MEMCTX_METRICS_KEY"):
        load(**given)
    assert load(**given, metrics_key=METRICS_KEY).metrics_port == 9464
