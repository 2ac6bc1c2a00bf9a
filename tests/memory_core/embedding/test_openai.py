from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
import pytest

from memory_core.embedding.openai import OpenAIEmbedder
from memory_core.errors import EmbeddingFailed
from tests.support.web import respond, serving

Answer = Callable[[dict[str, Any]], tuple[int, Any]]


def vector_of(text: str) -> list[float]:
    return [float(len(text)), 1.0, float(text.count("a")), 2.0]


def embeddings(request: dict[str, Any]) -> tuple[int, Any]:
    rows = [
        {"object": "embedding", "index": index, "embedding": vector_of(text)}
        for index, text in enumerate(request["input"])
    ]
    return 200, {"object": "list", "model": request["model"], "data": rows[::-1]}


class Service:
    """An embedding service on loopback: a list of answers, then the right one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.headers: dict[str, str] = {}

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        request = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.requests.append(request)
        self.keys.append(handler.headers["Authorization"])
        self.paths.append(handler.path)
        status, body = (self.answers.pop(0) if self.answers else embeddings)(request)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        respond(handler, status, content, **self.headers)


@contextmanager
def embedder_for(
    service: Service, pauses: list[float] | None = None, dimension: int = 4, **settings: Any
) -> Iterator[OpenAIEmbedder]:
    waited = [] if pauses is None else pauses
    with serving(service) as url:
        embedder = OpenAIEmbedder(
            f"{url}/v1", "text-x", dimension=dimension, pause=waited.append, **settings
        )
        try:
            yield embedder
        finally:
            embedder.close()


def unit(text: str) -> np.ndarray[Any, Any]:
    values = np.array(vector_of(text))
    return values / np.linalg.norm(values)


def failing(status: int) -> Answer:
    return lambda request: (status, {"error": {"message": "no"}})


def test_vectors_come_back_in_order_and_scaled_to_one() -> None:
    service = Service()
    texts = ["a" * n for n in range(300)]
    with embedder_for(service, api_key="sk-test") as embedder:
        vectors = embedder.embed(texts)
        question = embedder.embed_query("aaa")
    assert vectors.dtype == np.float32
    for text, vector in zip(texts[1:], vectors[1:], strict=True):
        np.testing.assert_allclose(vector, unit(text), atol=1e-6)
    np.testing.assert_array_equal(question, vectors[3])
    assert [len(request["input"]) for request in service.requests] == [128, 128, 44, 1]
    assert set(service.paths) == {"/v1/embeddings"}
    assert set(service.keys) == {"Bearer sk-test"}
    assert {request["model"] for request in service.requests} == {"text-x"}


def test_long_texts_are_cut_into_requests_by_size() -> None:
    service = Service()
    with embedder_for(service) as embedder:
        embedder.embed(["x" * 150_000, "y" * 150_000, "z" * 300_000, "w"])
    assert [len(request["input"]) for request in service.requests] == [1, 1, 1, 1]


def test_odd_texts_arrive_as_text_that_json_and_the_service_accept() -> None:
    service = Service()
    with embedder_for(service) as embedder:
        assert embedder.embed(["", "\0", "a\ud800b"]).shape == (3, 4)
    assert service.requests[0]["input"] == [" ", " ", "ab"]


def test_no_texts_ask_for_nothing() -> None:
    service = Service()
    with embedder_for(service) as embedder:
        assert embedder.embed([]).shape == (0, 4)
    assert service.requests == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(status: int) -> None:
    pauses: list[float] = []
    service = Service(failing(status), failing(status))
    with embedder_for(service, pauses) as embedder:
        np.testing.assert_allclose(embedder.embed(["aa"])[0], unit("aa"), atol=1e-6)
    assert len(service.requests) == 3
    assert all(0 < pause <= 20 for pause in pauses)
    assert len(pauses) == 2


def test_retries_are_bounded_and_fewer_for_a_question() -> None:
    for ask, attempts in (("embed", 5), ("embed_query", 2)):
        pauses: list[float] = []
        service = Service(*[failing(503)] * 20)
        with (
            embedder_for(service, pauses) as embedder,
            pytest.raises(EmbeddingFailed, match="503"),
        ):
            getattr(embedder, ask)(["a"] if ask == "embed" else "a")
        assert len(service.requests) == attempts
        assert len(pauses) == attempts - 1
        assert sum(pauses) < 60


def test_the_service_says_how_long_to_wait_up_to_a_limit() -> None:
    for said, waited in (("3", 3.0), ("86400", 20.0)):
        pauses: list[float] = []
        service = Service(failing(429))
        service.headers = {"Retry_After": said}
        with embedder_for(service, pauses) as embedder:
            embedder.embed(["a"])
        assert pauses == [waited]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_refusal_is_not_repeated_and_does_not_show_the_key(status: int) -> None:
    service = Service(*[failing(status)] * 3)
    with (
        embedder_for(service, api_key="sk-secret") as embedder,
        pytest.raises(EmbeddingFailed, match=str(status)) as caught,
    ):
        embedder.embed(["a"])
    assert len(service.requests) == 1
    assert "sk-secret" not in str(caught.value)


def test_the_key_does_not_follow_a_redirect() -> None:
    other = Service()
    with serving(other) as elsewhere:
        service = Service(lambda request: (307, b""))
        service.headers = {"Location": f"{elsewhere}/v1/embeddings"}
        with (
            embedder_for(service, api_key="sk-secret") as embedder,
            pytest.raises(EmbeddingFailed, match="307"),
        ):
            embedder.embed(["a"])
    assert other.requests == []


def rows(*vectors: Any) -> dict[str, Any]:
    return {"data": [{"index": index, "embedding": v} for index, v in enumerate(vectors)]}


@pytest.mark.parametrize(
    "body",
    [
        rows([1.0, 2.0, 3.0]),
        rows([1.0] * 5),
        rows([float("nan"), 1.0, 1.0, 1.0]),
        rows([float("inf"), 1.0, 1.0, 1.0]),
        rows([1e308, 1e308, 1e308, 1e308]),
        rows([10**400, 1.0, 1.0, 1.0]),
        rows([0.0] * 4),
        rows([1.0] * 4, [1.0] * 4),
        rows(),
        rows("AAAAAAAA"),
        rows([[1.0] * 4]),
        rows(None),
        rows({"a": 1}),
        {"data": [{"index": 1, "embedding": [1.0] * 4}]},
        {"data": [{"embedding": [1.0] * 4}]},
        {"data": {"index": 0}},
        {"error": "x"},
        [],
        None,
        b"",
        b"<html>",
        b"\xff\xfe",
    ],
    ids=lambda body: str(body)[:40],
)
def test_an_answer_that_is_not_what_was_asked_is_refused(body: Any) -> None:
    service = Service(lambda request: (200, body))
    with embedder_for(service) as embedder, pytest.raises(EmbeddingFailed):
        embedder.embed(["a"])


def test_another_dimension_is_named_in_the_error() -> None:
    with embedder_for(Service(), dimension=1536) as embedder:
        with pytest.raises(EmbeddingFailed, match="4 numbers, the setting says 1536") as caught:
            embedder.embed_query("a")
        assert caught.value.extra == {"dimension": 4}


def test_a_dimension_that_changes_later_is_noticed() -> None:
    service = Service(embeddings, lambda request: (200, rows([1.0] * 8)))
    with embedder_for(service) as embedder:
        embedder.embed_query("a")
        with pytest.raises(EmbeddingFailed, match="8 numbers"):
            embedder.embed_query("a")


def test_nobody_listening_is_an_error_with_a_code() -> None:
    with serving(Service()) as url:
        pass
    embedder = OpenAIEmbedder(url, "m", dimension=4, pause=lambda seconds: None)
    with pytest.raises(EmbeddingFailed) as caught:
        embedder.embed(["a"])
    assert (caught.value.code, caught.value.status) == ("embedding_failed", 503)


def test_a_service_that_hangs_is_given_up() -> None:
    import threading

    release = threading.Event()

    def hang(request: dict[str, Any]) -> tuple[int, Any]:
        release.wait(30)
        return embeddings(request)

    with embedder_for(Service(hang, hang), timeout_seconds=0.2) as embedder:
        try:
            with pytest.raises(EmbeddingFailed, match="timed out"):
                embedder.embed_query("a")
        finally:
            release.set()


def test_threads_get_their_own_answers() -> None:
    with embedder_for(Service()) as embedder, ThreadPoolExecutor(8) as pool:
        texts = ["a" * n for n in range(1, 60)]
        for text, vector in zip(texts, pool.map(embedder.embed_query, texts), strict=True):
            np.testing.assert_allclose(vector, unit(text), atol=1e-6)


def test_the_name_is_fit_for_an_index() -> None:
    embedder = OpenAIEmbedder("http://x/v1", "nomic-embed-text:latest", dimension=4)
    assert embedder.model.startswith("nomic-embed-text-latest-")
