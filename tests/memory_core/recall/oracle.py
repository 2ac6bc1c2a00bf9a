"""BM25 and similarities at three widths, straight from their definitions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.chunking import chunk_text
from memory_core.recall.ports import IndexRecord
from memory_core.text.tokens import tokenize

KERNEL = {0: 1.0, 1: 2 / 3, 2: 1 / 3}


@dataclass(frozen=True)
class Passage:
    """A chunk: whose it is, its session, its chain of neighbours and its terms."""

    record_id: str
    session: str
    chain: tuple[str, int]
    counts: Counter[str]

    @property
    def length(self) -> int:
        return self.counts.total()


def passages(records: Sequence[IndexRecord]) -> list[Passage]:
    """Returns the chunks in the order in which they follow each other in their chains."""
    ordered = sorted(records, key=lambda r: (r.session_id or r.id, r.position, r.id))
    found = []
    for record in ordered:
        session = record.session_id or record.id
        alone = record.kind != "message" or record.session_id is None
        for _, start, end in chunk_text(record.text):
            counts = Counter(tokenize(record.text[start:end]))
            chain = (record.id if alone else session, int(alone))
            found.append(Passage(record.id, session, chain, counts))
    # A chain is together: what stands alone does not come between messages.
    return sorted(found, key=lambda passage: passage.chain)


class Oracle:
    """Scores of every chunk for a query."""

    def __init__(self, records: Sequence[IndexRecord]) -> None:
        self.passages = passages(records)

    def window(self, place: int) -> list[tuple[float, Passage]]:
        here = self.passages[place]
        return [
            (KERNEL[abs(offset)], self.passages[place + offset])
            for offset in range(-2, 3)
            if 0 <= place + offset < len(self.passages)
            and self.passages[place + offset].chain == here.chain
        ]

    def chunk_scores(self, terms: Sequence[str]) -> list[float]:
        lengths = [float(p.length) for p in self.passages]
        counts = [[float(p.counts[term]) for p in self.passages] for term in terms]
        return self._bm25(counts, lengths, 0.9, 0.4, terms)

    def window_scores(self, terms: Sequence[str]) -> list[float]:
        windows = [self.window(place) for place in range(len(self.passages))]
        lengths = [sum(w * p.length for w, p in window) for window in windows]
        counts = [
            [sum(w * p.counts[term] for w, p in window) for window in windows] for term in terms
        ]
        return self._bm25(counts, lengths, 0.9, 0.4, terms)

    def session_scores(self, terms: Sequence[str]) -> dict[str, float]:
        whole: dict[str, Counter[str]] = {}
        for passage in self.passages:
            whole.setdefault(passage.session, Counter()).update(passage.counts)
        mean = sum(c.total() for c in whole.values()) / len(whole)
        scores = dict.fromkeys(whole, 0.0)
        most = 0.0
        for term in terms:
            weight = idf(len(whole), sum(1 for c in whole.values() if c[term]))
            most += weight * 2.2
            for session, counts in whole.items():
                length = counts.total() / mean if mean else 0.0
                often = counts[term]
                if often:
                    norm = 1.2 * (1 - 0.75 + 0.75 * length)
                    scores[session] += weight * often * 2.2 / (often + norm)
        return {session: score / most for session, score in scores.items()}

    def _bm25(
        self,
        counts: Sequence[Sequence[float]],
        lengths: Sequence[float],
        k1: float,
        b: float,
        terms: Sequence[str],
    ) -> list[float]:
        mean = sum(lengths) / len(lengths)
        scores = [0.0] * len(lengths)
        most = 0.0
        for row, term in zip(counts, terms, strict=True):
            weight = idf(len(lengths), sum(1 for p in self.passages if p.counts[term]))
            most += weight * (k1 + 1)
            for place, often in enumerate(row):
                if often:
                    norm = k1 * (1 - b + b * lengths[place] / mean)
                    scores[place] += weight * often * (k1 + 1) / (often + norm)
        return [score / most for score in scores]

    def spread_mean(self, values: Sequence[float]) -> list[float]:
        """Returns the mean over each chunk and those beside it."""
        means = []
        for place in range(len(self.passages)):
            beside = [
                values[place + offset]
                for offset in (-1, 0, 1)
                if 0 <= place + offset < len(values)
                and self.passages[place + offset].chain == self.passages[place].chain
            ]
            means.append(sum(beside) / len(beside))
        return means

    def best_of_session(self, values: NDArray[np.float32]) -> dict[str, float]:
        """Returns the mean of the three best distinct values of each session."""
        found: dict[str, set[float]] = {}
        for passage, value in zip(self.passages, values.tolist(), strict=True):
            found.setdefault(passage.session, set()).add(value)
        best = {session: sorted(held, reverse=True)[:3] for session, held in found.items()}
        return {session: sum(held) / len(held) for session, held in best.items()}


def idf(documents: int, holding: int) -> float:
    return math.log(1 + (documents - holding + 0.5) / (holding + 0.5))
