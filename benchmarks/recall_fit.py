"""Fits the weights of recall, and says how well weights do on what they have not seen.

Usage::

    python benchmarks/recall_fit.py [--cache DIR] [--words-only] [--z-scores] [--questions FILE ...]

A listwise softmax over all records of a project, chat and transcripts counting the same. Each
chat is judged by weights fitted without it, each sixth of the coding questions by weights
fitted without those. ``--z-scores`` normalises every feature by its mean and deviation for the
question instead of using it as it is, to show what absolute scores cost.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recall_corpora import Asked, Corpus, data_folder, locomo, transcripts
from recall_index import MODEL, CachedEmbedder, fill, load_embedder
from recall_offline import NOW, hit_scores, means, turn_scores

from memory_core.clock import to_datetime
from memory_core.local_index import LocalIndex
from memory_core.recall.features import Features, compute_features
from memory_core.recall.query import parse_question
from memory_core.recall.weights import BASE, WITH_VECTORS, WORDS_ONLY

# What only patterns, several projects or years would teach is set by hand.
BY_HAND = {"pattern", "pattern_quality", "project_distance", "recent", BASE}
NOT_NEGATIVE = {
    "words_chunk", "words_window", "words_session", "exact_names", "meaning_chunk",
    "meaning_window", "meaning_session", "substance", "checkpoint", "time", "author", "at_end",
    "at_start",
}  # fmt: skip
FOLDS = 6
Array = NDArray[np.float32]


@dataclass
class Task:
    """A project's questions: features (questions, chunks, features) and what answers each."""

    corpus: Corpus
    features: Array
    wanted: Array
    first: NDArray[np.int32]
    unit: NDArray[np.int32]
    closed: Array
    sources: list[str]
    asked: list[Asked]

    def units(self, weights: NDArray[np.float64], rows: Sequence[int]) -> tuple[Array, Array]:
        """Returns the totals of chunks and of records."""
        chunks = self.features[rows] @ weights.astype(np.float32)
        return chunks, np.maximum.reduceat(chunks, self.first, axis=1) + self.closed


def columns(features: Features, names: Sequence[str], unit: NDArray[np.int32]) -> Array:
    nothing = np.zeros(unit.size, dtype=np.float32)
    spread = {
        name: column[unit] for name, column in {**features.records, **features.units}.items()
    } | dict(features.chunks)
    return np.stack([spread.get(name, nothing) for name in names], axis=1)


def task(
    index: LocalIndex,
    corpus: Corpus,
    embedder: CachedEmbedder | None,
    names: Sequence[str],
    *,
    z_scores: bool,
) -> Task:
    view = index.view(corpus.project_id)
    sources = [str(corpus.documents[ref].get("source_id")) for ref in view.units.refs]
    closed = np.array(
        [0.0 if ref.kind.value in corpus.kinds else -1e9 for ref in view.units.refs], np.float32
    )
    asked = [question for question in corpus.asked if question.gold & set(sources)]
    rows, wanted = [], []
    for question in asked:
        parsed = parse_question(question.text, to_datetime(NOW), UTC)
        similar = None
        if embedder is not None:
            vector = embedder.embed_query(question.text)
            similar = index.similarities(view, embedder.model, vector)
        found = columns(compute_features(view, parsed, similar), names, view.chunks.unit)
        if z_scores:
            found = (found - found.mean(0)) / (found.std(0) + 1e-6)
        rows.append(found)
        gold = np.array([source in question.gold for source in sources], np.float32)
        gold[closed < 0] = 0.0
        wanted.append(gold / max(gold.sum(), 1.0))
    return Task(corpus, np.stack(rows), np.stack(wanted), view.units.first, view.chunks.unit,
                closed, sources, asked)  # fmt: skip


Part = tuple[Task, list[int], float]


def fit(parts: Sequence[Part], names: Sequence[str], steps: int = 250) -> NDArray[np.float64]:
    """Returns the weights that a regularised softmax and Adam find."""
    spread = np.mean([part.features.reshape(-1, len(names)).var(0) for part, _, _ in parts], axis=0)
    scale = np.sqrt(spread) + 1e-6
    bounded = np.array([name in NOT_NEGATIVE for name in names])
    total = sum(share for _, _, share in parts)
    weights = np.zeros(len(names))
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        slope = 2e-3 * weights
        for part, rows, share in parts:
            slope = slope + share / total * _slope(part, rows, weights / scale) / scale
        first = 0.9 * first + 0.1 * slope
        second = 0.99 * second + 0.01 * slope**2
        change = first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        weights = weights - 0.08 * change
        weights[bounded] = np.maximum(weights[bounded], 0.0)
    return weights / scale


def _slope(part: Task, rows: list[int], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    chunks, units = part.units(weights, rows)
    odds = np.exp(units - units.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    best = chunks >= (units - part.closed)[:, part.unit]
    missed = (odds - part.wanted[rows])[:, part.unit] * best
    found: NDArray[np.float64] = np.einsum("qc,qcf->f", missed, part.features[rows], optimize=True)
    return found / len(rows)


def ranked(part: Task, weights: NDArray[np.float64], rows: list[int]) -> Iterator[list[str]]:
    _, units = part.units(weights, rows)
    for scores in units:
        yield [part.sources[unit] for unit in np.argsort(-scores, kind="stable")[:50].tolist()]


def held_out(chats: list[Task], code: Task, names: Sequence[str]) -> dict[str, object]:
    order = list(range(len(code.asked)))
    random.Random(3).shuffle(order)
    folds = [sorted(order[number::FOLDS]) for number in range(FOLDS)]
    turns, hits = [], []
    for number, fold in enumerate(folds):
        out = chats[number % len(chats)]
        rest = [row for row in order if row not in fold]
        parts: list[Part] = [
            (chat, list(range(len(chat.asked))), 1.0 / (len(chats) - 1))
            for chat in chats
            if chat is not out
        ]
        weights = fit([*parts, (code, rest, 1.0)], names)
        if number < len(chats):
            every = list(range(len(out.asked)))
            pairs = zip(out.asked, ranked(out, weights, every), strict=True)
            turns += [turn_scores(asked.gold, found) for asked, found in pairs]
        asked_here = [code.asked[row] for row in fold]
        pairs = zip(asked_here, ranked(code, weights, fold), strict=True)
        hits += [hit_scores(asked.gold, found) for asked, found in pairs]
    return {
        "chat, each unseen": {**means(turns), "n": len(turns)},
        "transcripts, sixths unseen": {**means(hits), "n": len(hits)},
    }


def calibrated(
    parts: Sequence[Part], weights: NDArray[np.float64], others: Sequence[tuple[Task, Array]]
) -> tuple[float, float]:
    """Returns slope and base that make the best total the log-odds that something answers."""
    good = np.concatenate([part.units(weights, rows)[1].max(1) for part, rows, _ in parts])
    poor = np.concatenate(
        [
            (
                np.maximum.reduceat(rows @ weights.astype(np.float32), part.first, axis=1)
                + part.closed
            ).max(1)
            for part, rows in others
        ]
    )
    totals = np.concatenate([good, poor])
    target = np.r_[np.ones(good.size), np.zeros(poor.size)]
    share = np.r_[np.full(good.size, 0.5 / good.size), np.full(poor.size, 0.5 / poor.size)]
    mean, deviation = totals.mean(), totals.std()
    slope = base = 0.0
    for _ in range(4_000):
        wrong = (1 / (1 + np.exp(-(slope * (totals - mean) / deviation + base))) - target) * share
        slope -= 0.3 * (float(wrong @ ((totals - mean) / deviation)) + 1e-3 * slope)
        base -= 0.3 * float(wrong.sum())
    return slope / deviation, base - slope * mean / deviation


def misplaced(
    index: LocalIndex, tasks: Sequence[Task], embedder: CachedEmbedder | None, names: Sequence[str]
) -> list[tuple[Task, Array]]:
    """Questions asked of a project that they are not about: chats and code, crosswise."""
    choose = random.Random(1)
    *chats, code = tasks
    crossed = []
    for home, strangers in ((code, chats), *((chat, [code]) for chat in chats)):
        texts = [asked.text for part in strangers for asked in part.asked]
        view = index.view(home.corpus.project_id)
        rows = []
        for text in choose.sample(texts, min(100, len(texts))):
            parsed = parse_question(text, to_datetime(NOW), UTC)
            similar = None
            if embedder is not None:
                similar = index.similarities(view, embedder.model, embedder.embed_query(text))
            rows.append(columns(compute_features(view, parsed, similar), names, view.chunks.unit))
        crossed.append((home, np.stack(rows)))
    return crossed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=MODEL)
    parser.add_argument("--cache", type=Path, help="folder where vectors are kept between runs")
    parser.add_argument("--words-only", action="store_true", help="the weights without vectors")
    parser.add_argument("--z-scores", action="store_true", help="to compare with")
    parser.add_argument("--questions", type=Path, nargs="*", default=[], help="more, same form")
    arguments = parser.parse_args()
    data = data_folder()
    chats = locomo(data / "locomo-dev.json")
    code = transcripts(data / "transcripts", data / "coding-golden-dev.json")
    for path in arguments.questions:
        code.asked += [
            Asked(row["question"], row["kind"], frozenset(row["gold"]))
            for row in json.loads(path.read_text())
        ]
    embedder = None if arguments.words_only else load_embedder(arguments.model_dir, arguments.cache)
    named = WORDS_ONLY if arguments.words_only else WITH_VECTORS
    names = [name for name in named if name not in BY_HAND]
    with tempfile.TemporaryDirectory() as folder:
        index = LocalIndex.open(Path(folder) / "index.db")
        for corpus in (*chats, code):
            fill(index, corpus, embedder)
        tasks = [
            task(index, corpus, embedder, names, z_scores=arguments.z_scores)
            for corpus in (*chats, code)
        ]
        result = held_out(tasks[:-1], tasks[-1], names)
        parts: list[Part] = [
            (part, list(range(len(part.asked))), 1.0 if part is tasks[-1] else 1.0 / len(chats))
            for part in tasks
        ]
        weights = fit(parts, names)
        if not arguments.z_scores:
            others = misplaced(index, tasks, embedder, names)
            slope, base = calibrated(parts, weights, others)
            result["weights"] = {
                BASE: round(float(base), 2),
                **{n: round(float(slope * w), 2) for n, w in zip(names, weights, strict=True)},
            }
        index.close()
    if embedder is not None:
        embedder.save()
    assert all(math.isfinite(weight) for weight in weights)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
