"""Compares SQLite's FTS5 with the postings of the local index: time at size, and recall.

Usage::

    python benchmarks/recall_fts5.py [--chunks 50000]

Both answer the same questions over the same texts with stop words left out: FTS5 by an OR of
the words, ``bm25()`` and the porter tokenizer, the index by its own BM25. Time is the smallest
and median of many questions, so that other work on the machine shows; recall is at turn level
on LoCoMo, words only, no other feature.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path

import numpy as np
from recall_corpora import Corpus, data_folder, locomo
from recall_index import fill
from recall_offline import NOW, InventedRecords

from memory_core.clock import to_datetime
from memory_core.local_index import LocalIndex
from memory_core.recall.lexical import score_lexically
from memory_core.recall.query import parse_question
from memory_core.text.tokens import is_stop_word, raw_tokens

QUESTIONS = 200
TOP = 10

Rank = Callable[[str], list[str]]


def words(question: str) -> list[str]:
    found = [word.lower() for word in raw_tokens(question)]
    return [word for word in found if not is_stop_word(word.replace("'", ""))] or found


class Fts5:
    """A project's messages in an FTS5 table."""

    def __init__(self, path: Path, corpus: Corpus) -> None:
        self._connection = sqlite3.connect(path)
        run = self._connection.execute
        run("CREATE VIRTUAL TABLE texts USING fts5(source UNINDEXED, text, tokenize='porter')")
        started = time.perf_counter()
        rows = [
            (str(d.get("source_id")), f"{d.get('author') or ''}: {d['text']}")
            for ref, d in corpus.documents.items()
            if ref.kind.value == "message"
        ]
        self._connection.executemany("INSERT INTO texts VALUES (?, ?)", rows)
        run("INSERT INTO texts (texts) VALUES ('optimize')")
        self._connection.commit()
        self.filled = time.perf_counter() - started

    def rank(self, question: str) -> list[str]:
        """Returns the sources of the best messages."""
        any_of = " OR ".join('"' + word.replace('"', "") + '"' for word in words(question))
        found = self._connection.execute(
            "SELECT source FROM texts WHERE texts MATCH ? ORDER BY bm25(texts) LIMIT ?",
            (any_of, TOP),
        )
        return [source for (source,) in found]

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()


def by_postings(index: LocalIndex, corpus: Corpus, width: str) -> Rank:
    def rank(question: str) -> list[str]:
        view = index.view(corpus.project_id)
        parsed = parse_question(question, to_datetime(NOW), UTC)
        scores = score_lexically(view, parsed.terms)
        totals = scores.chunk if width == "chunk" else scores.window
        if width == "three widths":
            totals = 0.1 * scores.chunk + scores.window + scores.session[view.chunk_session] / 3
        message = view.units.kind[view.chunks.unit] == 1
        best = np.argsort(np.where(message, -totals, np.inf), kind="stable")[: 2 * TOP]
        units = dict.fromkeys(view.chunks.unit[best].tolist())
        return [str(corpus.documents[view.units.refs[u]].get("source_id")) for u in units][:TOP]

    return rank


def timed(rank: Rank, questions: Sequence[str]) -> dict[str, float]:
    took = []
    for question in questions:
        started = time.perf_counter()
        rank(question)
        took.append(1e3 * (time.perf_counter() - started))
    return {
        "min_ms": round(min(took), 2),
        "p50_ms": round(statistics.median(took), 2),
        "p95_ms": round(sorted(took)[int(0.95 * len(took))], 2),
    }


def speed(count: int) -> dict[str, object]:
    corpus = InventedRecords(count)
    questions = [corpus.question() for _ in range(QUESTIONS)]
    with tempfile.TemporaryDirectory() as folder:
        table = Fts5(Path(folder) / "fts.db", corpus)
        index = LocalIndex.open(Path(folder) / "index.db")
        fill(index, corpus, None)
        result: dict[str, object] = {"chunks": count}
        for name, rank in (
            ("fts5", table.rank),
            ("own, chunk", by_postings(index, corpus, "chunk")),
            ("own, three widths", by_postings(index, corpus, "three widths")),
        ):
            timed(rank, questions[:20])
            result[name] = timed(rank, questions)
        table.close()
        index.close()
    return result


def recall() -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for corpus in locomo(data_folder() / "locomo-dev.json"):
        with tempfile.TemporaryDirectory() as folder:
            table = Fts5(Path(folder) / "fts.db", corpus)
            index = LocalIndex.open(Path(folder) / "index.db")
            fill(index, corpus, None)
            ranks = {"fts5": table.rank} | {
                f"own, {width}": by_postings(index, corpus, width)
                for width in ("chunk", "window", "three widths")
            }
            for asked in corpus.asked:
                for name, rank in ranks.items():
                    gold = asked.gold
                    share = len(gold & set(rank(asked.text))) / len(gold)
                    found.setdefault(name, []).append(share)
            table.close()
            index.close()
    return {name: round(100 * statistics.fmean(shares), 1) for name, shares in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=50_000)
    arguments = parser.parse_args()
    print(json.dumps({"LoCoMo R@10, words only": recall()}, indent=1))
    print(json.dumps(speed(arguments.chunks), indent=1))


if __name__ == "__main__":
    main()
