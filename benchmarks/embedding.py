"""Measures the embedding model as the hub uses it: load, one question, throughput, memory.

Usage::

    python benchmarks/embedding.py [--model-dir DIR] [--threads N] [--seconds S]

Prints one JSON object. Each figure of throughput is the best of three rounds, each question
and each text is a new one, and the words are common ones, one token each. ``load_s`` includes
importing the runtime.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from pathlib import Path

import psutil

SENTENCE = (
    "why did we change the parser when build fails on main branch after test run and server "
    "error table column index file path data code type key user list time work with from"
)
WORDS = SENTENCE.split()
ROUNDS = 3
QUESTIONS = 300


def megabytes() -> int:
    return round(psutil.Process().memory_info().rss / 1e6)


def texts(count: int, tokens: int, seed: itertools.count[int]) -> list[str]:
    """Returns different texts of about ``tokens`` tokens, two of them the model's own marks."""
    made = []
    for _ in range(count):
        start = next(seed)
        words = [WORDS[(start * 7 + n * (1 + start % 5)) % len(WORDS)] for n in range(tokens - 2)]
        made.append(" ".join(words))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).parents[1] / ".memctx-data/models/all-MiniLM-L6-v2"
    parser.add_argument("--model-dir", type=Path, default=default)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round")
    arguments = parser.parse_args()

    before = megabytes()
    started = time.perf_counter()
    from memory_core.embedding.factory import build  # noqa: PLC0415 - part of what is measured

    embedder = build("onnx", model_dir=arguments.model_dir, threads=arguments.threads)
    load = time.perf_counter() - started
    loaded = megabytes()

    seed = itertools.count()
    throughput: dict[str, float] = {}
    for tokens in (20, 100, 250):
        batch = max(16, 6_400 // tokens)
        best = 0.0
        for _ in range(ROUNDS):
            done, started = 0, time.perf_counter()
            while time.perf_counter() - started < arguments.seconds:
                embedder.embed(texts(batch, tokens, seed))
                done += batch
            best = max(best, done / (time.perf_counter() - started))
        throughput[str(tokens)] = round(best, 1)

    took = []
    for question in texts(QUESTIONS, 12, seed):
        started = time.perf_counter()
        embedder.embed_query(question)
        took.append((time.perf_counter() - started) * 1e3)
    report = {
        "model": embedder.model,
        "load_s": round(load, 2),
        "texts_per_s": throughput,
        "query_ms": {
            "p50": round(statistics.median(took), 2),
            "p95": round(statistics.quantiles(took, n=20)[-1], 2),
        },
        "rss_mb": {"before": before, "loaded": loaded, "after": megabytes()},
        "load_average": round(os.getloadavg()[0], 2),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
