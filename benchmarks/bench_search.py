"""Measures ``POST /search`` over HTTP while one project grows to 50,000 chunks.

Messages are written over HTTP into a hub without a model, which indexes their words. Embedding
all of them would take many minutes, so their vectors are put into the index file directly: real
ones for the first texts, normalised mixtures of two real ones with noise for the rest. The hub
is then started with the real model and asked questions it has not seen, one after the other over
one connection. Each stage ends with the floors, in the same run: ``/health/live`` over the same
connection, the embedding of a question in this process, and an exact search by numpy over as
many vectors.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from corpus import Corpus, Message
from harness import (
    API,
    Client,
    Hub,
    Meter,
    benchmark,
    model_dir,
    parser,
    spread,
    with_one_blas_thread,
)

from memory_core.chunking import chunk_text
from memory_core.embedding.onnx import OnnxEmbedder
from memory_core.embedding.port import Vectors, normalised
from memory_core.local_index import LocalIndex

SLUG = "bench/search"
STARTED = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC)
INDEX_FILE = "index.db"
WARM_UP = 30
NOISE = 0.4
TARGETS = {"chunks": 50_000, "p50_ms": 15.0, "p95_ms": 40.0}


class Writer:
    """Writes sessions of the corpus until the project has so many chunks."""

    def __init__(self, corpus: Corpus) -> None:
        """Starts before the first session."""
        self._sessions = enumerate(corpus.sessions())
        self.messages: list[Message] = []
        self.chunks = 0
        self.project_id = ""

    def grow(self, hub: Hub, chunks: int) -> float:
        """Writes until there are at least ``chunks`` and returns messages a second."""
        client = Client(hub)
        self.project_id = client.call("POST", "/projects", {"slug": SLUG})["id"]
        started, first = time.perf_counter(), len(self.messages)
        while self.chunks < chunks:
            number, session = next(self._sessions)
            client.call("POST", "/sessions", self._session(number, session))
            self.messages += session
            self.chunks += 1 + sum(len(chunk_text(message.text)) for message in session)
        rate = (len(self.messages) - first) / (time.perf_counter() - started)
        client.wait_indexed(self.project_id, words_only=True)
        client.close()
        return rate

    def _session(self, number: int, session: Sequence[Message]) -> dict[str, Any]:
        at = STARTED + dt.timedelta(hours=7 * number)
        return {
            "project": self.project_id,
            "title": f"Work on {session[0].rare[0]}, part {number}",
            "started_at": at.isoformat(),
            "messages": [
                {
                    "role": "assistant" if place % 2 else "user",
                    "text": message.text,
                    "created_at": (at + dt.timedelta(minutes=place)).isoformat(),
                }
                for place, message in enumerate(session)
            ],
        }


class Mixer:
    """Vectors for any number of texts: real ones first, then mixtures of them."""

    def __init__(self, embedder: OnnxEmbedder, real: int) -> None:
        """Embeds the first ``real`` texts it is asked for."""
        self._embedder = embedder
        self._wanted = real
        self._real: Vectors = np.empty((0, embedder.dimension), dtype=np.float32)
        self._rng = np.random.default_rng(3)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Returns one vector of length 1 for each text, (texts, dimension)."""
        missing = min(self._wanted - len(self._real), len(texts))
        fresh = self._embedder.embed(texts[:missing])
        self._real = np.concatenate([self._real, fresh])
        count = len(texts) - missing
        pairs = self._rng.integers(0, len(self._real), (2, count))
        share = self._rng.uniform(0.5, 1.0, (count, 1))
        noise = self._rng.normal(0.0, NOISE / np.sqrt(self._real.shape[1]), (count, 1))
        noise = noise * self._rng.normal(0.0, 1.0, (count, self._real.shape[1]))
        mixed = share * self._real[pairs[0]] + (1 - share) * self._real[pairs[1]] + noise
        return np.concatenate([fresh, normalised(mixed)])


def put_vectors(path: Path, embedder: OnnxEmbedder, mixer: Mixer) -> int:
    """Gives every chunk of the index file a vector and returns how many were missing one."""
    index = LocalIndex.open(path, memory_bytes=256 * 1024 * 1024)
    count = 0
    try:
        index.use_model(embedder.model, embedder.dimension)
        while pending := index.pending_texts(2048):
            vectors = mixer.vectors([text for _, text in pending])
            hashes = [content_hash for content_hash, _ in pending]
            index.put_vectors(embedder.model, list(zip(hashes, vectors, strict=True)))
            count += len(pending)
    finally:
        index.close()
    return count


def timed(action: Callable[[], object]) -> float:
    """Returns the seconds that an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def floors(
    client: Client, embedder: OnnxEmbedder, questions: Sequence[str], chunks: int
) -> dict[str, Any]:
    """Measures what a search cannot be faster than."""
    matrix = normalised(np.random.default_rng(5).normal(size=(chunks, embedder.dimension)))
    queries = [embedder.embed_query(question) for question in questions]

    def nearest(query: Vectors) -> object:
        scores = matrix @ query
        best = np.argpartition(scores, -10)[-10:]
        return best[np.argsort(-scores[best])]

    return {
        "health": spread([timed(partial(client.send, "GET", "/health/live")) for _ in questions]),
        "embed": spread([timed(partial(embedder.embed_query, q)) for q in questions]),
        "exact_top10": spread([timed(partial(nearest, q)) for q in queries]),
    }


def ask(
    hub: Hub, client: Client, questions: Iterator[str], count: int, **options: object
) -> dict[str, Any]:
    """Asks ``count`` questions and returns the client's times beside the hub's own."""
    client_s, hub_s, hits = [], [], 0
    cpu_s = hub.cpu_s()
    timings: dict[str, list[float]] = {}
    for _ in range(count):
        body = json.dumps({"query": next(questions), "projects": [SLUG], **options}).encode()
        started = time.perf_counter()
        content = client.send("POST", f"{API}/search", body)
        client_s.append(time.perf_counter() - started)
        answer = json.loads(content)
        if answer["degraded"]:
            raise RuntimeError(f"the answer is degraded: {answer['degraded']}")
        hub_s.append(answer["took_ms"] / 1e3)
        hits += len(answer["hits"])
        for part, taken in answer.get("timings_ms", {}).items():
            timings.setdefault(part, []).append(taken)
    found: dict[str, Any] = {
        "client": spread(client_s),
        "hub": spread(hub_s),
        "hub_cpu_ms": round(1e3 * (hub.cpu_s() - cpu_s) / count, 2),
        "hits_mean": round(hits / count, 1),
    }
    if timings:
        found["parts_p50_ms"] = {p: round(float(np.median(t)), 2) for p, t in timings.items()}
    return found


def questions_about(corpus: Corpus, messages: Sequence[Message]) -> Iterator[str]:
    """Yields questions about messages all over the project."""
    rng = np.random.default_rng(7)
    while True:
        yield corpus.question(messages[int(rng.integers(len(messages)))])


def stage(
    hub: Hub, writer: Writer, embedder: OnnxEmbedder, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Measures a hub with the model over what was written so far."""
    ready = hub.start()
    client = Client(hub)
    try:
        questions = questions_about(Corpus(9), writer.messages)
        cold = ask(hub, client, questions, 1)
        ask(hub, client, questions, WARM_UP)
        meter = Meter(hub)
        found = {
            "chunks": writer.chunks,
            "messages": len(writer.messages),
            "ready_s": round(ready, 2),
            "first_search_ms": cold["client"]["p50_ms"],
            "search": ask(hub, client, questions, arguments.questions),
            "floors": floors(
                client, embedder, [next(questions) for _ in range(200)], writer.chunks
            ),
            "search_again": ask(hub, client, questions, arguments.questions),
            "explained": ask(hub, client, questions, 100, explain=True),
            "rss_mb": round(hub.rss_mb()),
        }
        found |= meter.stop().disturbance
        if arguments.profile and writer.chunks >= max(arguments.chunks):
            profile(hub, client, questions, arguments.profile)
    finally:
        client.close()
    return found


def profile(hub: Hub, client: Client, questions: Iterator[str], out: Path) -> None:
    """Samples the hub with py-spy while it answers."""
    assert hub.process is not None
    command = ["py-spy", "record", "--pid", str(hub.process.pid), "--duration", "15"]
    command += ["--rate", "100", "--threads", "--format", "raw", "--output", str(out)]
    with subprocess.Popen(command) as sampler:
        while sampler.poll() is None:
            ask(hub, client, questions, 10)


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Grows one project through the stages and measures each."""
    embedder = OnnxEmbedder.load(model_dir())
    mixer = Mixer(embedder, arguments.real)
    writer = Writer(Corpus(1))
    stages = []
    for chunks in arguments.chunks:
        bare, full = Hub(folder, with_model=False), Hub(folder)
        try:
            bare.start()
            rate = writer.grow(bare, chunks)
            bare.stop()
            vectors = put_vectors(bare.data_dir / INDEX_FILE, embedder, mixer)
            found = stage(full, writer, embedder, arguments)
        finally:
            bare.stop()
            full.stop()
        stages.append(found | {"vectors_put": vectors, "written_per_s": round(rate)})
        print(json.dumps(stages[-1]), flush=True)
    return {"targets": TARGETS, "real_vectors": arguments.real, "stages": stages}


def main() -> None:
    with_one_blas_thread()
    made = parser(__doc__, "search")
    made.add_argument("--chunks", type=int, nargs="+", default=[5_000, 20_000, 50_000])
    made.add_argument("--questions", type=int, default=300, help="of each of the two rounds")
    made.add_argument("--real", type=int, default=2_000, help="texts that are really embedded")
    made.add_argument("--profile", type=Path, metavar="FILE", help="py-spy's samples, last stage")
    benchmark(made.parse_args(), "search", measure)


if __name__ == "__main__":
    main()
