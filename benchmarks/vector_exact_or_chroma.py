"""Compares exact search in memory with Chroma's HNSW graph: latency and recall at size.

Usage::

    python benchmarks/vector_exact_or_chroma.py [--sizes 1000 10000 50000] [--vectors FILE]
        [--hnsw ef_construction ef_search max_neighbors] [--sync N] [--url URL]

Vectors are mixtures of two real ones with a little noise, questions are mixtures of the same kind
that are not stored. The real ones come from the file that ``recall_offline.py --cache DIR`` leaves
(``DIR/vectors-all-MiniLM-L6-v2.npz``); without it random centres take their place. Both sides are
asked one question at a time for the ten nearest; recall is against exact search. Chroma runs as
its own process over loopback, asked by the hub's adapter. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import psutil
from harness import free_port, machine, spread, with_one_blas_thread
from numpy.typing import NDArray

from context_api.adapters.vector import chroma as adapter
from context_api.application.vectors import Space, VectorItem
from memory_core.errors import Unavailable
from memory_core.ids import uuid7

DIMENSION = 384
QUESTIONS = 300
TOP = 10
WIDE = 300

Vectors: TypeAlias = NDArray[np.float32]


def seeds(file: Path | None) -> tuple[str, Vectors]:
    """Returns where base vectors come from, and them."""
    if file is None:
        centres = np.random.default_rng(1).standard_normal((400, DIMENSION))
        return "random centres", centres.astype(np.float32)
    with np.load(file) as stored:
        return f"{len(stored['vectors'])} texts by {file.stem}", stored["vectors"]


def mixtures(base: Vectors, count: int, seed: int) -> Vectors:
    """Returns unit vectors, (count, 384) float32, between two of the base vectors each."""
    chance = np.random.default_rng(seed)
    weight = chance.uniform(0.5, 0.9, (count, 1)).astype(np.float32)
    one, other = (base[chance.integers(0, len(base), count)] for _ in range(2))
    noise = chance.standard_normal((count, DIMENSION)).astype(np.float32) * np.float32(0.01)
    found = weight * one + (1 - weight) * other + noise
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found.astype(np.float32)


@contextmanager
def chroma(url: str | None) -> Iterator[tuple[str, psutil.Process | None, Path | None]]:
    """Yields a server's URL, with its process and data if it was started here."""
    if url:
        yield url, None, None
        return
    beside = Path(sys.executable).with_name("chroma")
    binary = str(beside) if beside.exists() else shutil.which("chroma")
    if binary is None:
        raise SystemExit("there is no `chroma` here: pip install chromadb")
    folder, port = Path(tempfile.mkdtemp(prefix="chroma-bench-")), free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "run", "--host", "127.0.0.1", "--port", str(port), "--path", folder / "data"],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**os.environ, "ANONYMIZED_TELEMETRY": "False"},
            process_group=0,
        )
    try:
        yield f"http://127.0.0.1:{port}", psutil.Process(process.pid), folder / "data"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def resident_mb(process: psutil.Process | None) -> float | None:
    if process is None:
        return None
    total: int = sum(p.memory_info().rss for p in [process, *process.children(recursive=True)])
    return round(total / 1e6, 1)


def measure(
    index: adapter.ChromaVectors,
    vectors: Vectors,
    questions: Vectors,
    process: psutil.Process | None,
) -> dict[str, Any]:
    """Returns the figures of one size."""
    space = Space(uuid7(), uuid7(), "session", "bench", DIMENSION, 1)
    items = [VectorItem(str(n), "r", f"{n:064d}", v) for n, v in enumerate(vectors)]
    slowest, began = 0.0, time.perf_counter()
    for start in range(0, len(items), 256):
        started = time.perf_counter()
        index.upsert(space, items[start : start + 256])
        slowest = max(slowest, time.perf_counter() - started)
    built = time.perf_counter() - began

    exact_took, exact = [], []
    for question in questions:
        started = time.perf_counter()
        scores = vectors @ question
        best = np.argpartition(-scores, TOP)[:TOP]
        best = best[np.argsort(-scores[best])]
        exact_took.append(time.perf_counter() - started)
        exact.append({str(row) for row in best})

    began = time.perf_counter()
    index.nearest(space, questions[0], TOP)
    first = time.perf_counter() - began
    took, found = [], []
    for question in questions:
        started = time.perf_counter()
        near = index.nearest(space, question, TOP)
        took.append(time.perf_counter() - started)
        found.append({id_ for id_, _ in near})
    wide = []
    for question in questions[:100]:
        started = time.perf_counter()
        index.nearest(space, question, WIDE)
        wide.append(time.perf_counter() - started)
    began = time.perf_counter()
    held = sum(1 for _ in index.hashes(space))
    listed = time.perf_counter() - began
    assert held == len(items)
    right = sum(len(a & b) for a, b in zip(exact, found, strict=True))
    figures = {
        "exact": spread(exact_took),
        "chroma": spread(took),
        f"chroma_nearest_{WIDE}": spread(wide),
        "chroma_recall_at_10": round(right / (TOP * len(questions)), 4),
        "chroma_first_query_ms": round(first * 1e3, 1),
        "chroma_upserts_per_s": round(len(items) / built),
        "chroma_slowest_batch_of_256_ms": round(slowest * 1e3, 1),
        "chroma_hashes_s": round(listed, 2),
        "chroma_resident_mb": resident_mb(process),
    }
    index.drop(space)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 50_000])
    parser.add_argument("--vectors", type=Path, help="real ones, as recall_offline.py keeps them")
    parser.add_argument("--hnsw", type=int, nargs=3, metavar=("BUILD", "SEARCH", "NEIGHBORS"))
    parser.add_argument("--sync", type=int, help="sync_threshold of the collection")
    parser.add_argument("--url", help="of a Chroma server; else one is started")
    arguments = parser.parse_args()
    with_one_blas_thread()

    hnsw: dict[str, Any] = dict(adapter.HNSW)
    if arguments.hnsw:
        names = ("ef_construction", "ef_search", "max_neighbors")
        hnsw |= dict(zip(names, arguments.hnsw, strict=True))
    if arguments.sync:
        hnsw["sync_threshold"] = arguments.sync
    adapter.HNSW.update(hnsw)

    origin, base = seeds(arguments.vectors)
    figures: dict[str, Any] = {"vectors": origin, "hnsw": hnsw, "machine": machine(), "sizes": {}}
    questions = mixtures(base, QUESTIONS, 7)
    with chroma(arguments.url) as (url, process, _):
        index = adapter.ChromaVectors(url)
        for _ in range(200):
            try:
                index.check()
                break
            except Unavailable:
                time.sleep(0.1)
        for size in arguments.sizes:
            vectors = mixtures(base, size, size)
            figures["sizes"][str(size)] = measure(index, vectors, questions, process)
        index.close()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
