"""From features to an order: weighted sums, the best chunk of each record, and their reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_core.recall.features import Features
from memory_core.recall.view import Bools, ProjectView
from memory_core.recall.weights import BASE, WITH_VECTORS, WORDS_ONLY
from memory_core.records import Document, Ref


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that may be answered: its log-odds and where it came from."""

    log_odds: float
    ref: Ref
    project: int
    unit: int

    @property
    def score(self) -> float:
        """The score in 0..1."""
        return _logistic(self.log_odds)

    @property
    def rank(self) -> tuple[float, str]:
        """Sorts the best first, equals by id."""
        return (-self.log_odds, self.ref.id)


class Ranking:
    """The records of one project in the order of their scores."""

    def __init__(self, view: ProjectView, features: Features, allowed: Bools, project: int) -> None:
        """Scores every record; those not ``allowed`` (units,) can never become candidates."""
        self.view = view
        self._features = features
        self._weights = WITH_VECTORS if features.dense else WORDS_ONLY
        self._project = project
        self._chunk_totals = _weighted(features.chunks, self._weights, view.size)
        totals = _best_of_unit(view, self._chunk_totals)
        totals += _of_records(view, features)
        totals += _weighted(features.units, self._weights, totals.size)
        self._totals = np.where(allowed & view.units.alive, totals, -np.inf)

    def best(self, count: int, least: float) -> list[Candidate]:
        """Returns at least the ``count`` best candidates with a score of ``least`` or more.

        All that score as much as the last of them are included, so that ties are decided by
        id and never by chance.
        """
        totals = self._totals
        passing = np.isfinite(totals) & (totals >= _log_odds(least))
        if np.count_nonzero(passing) > count:
            passing &= totals >= np.partition(totals, totals.size - count)[totals.size - count]
        found = [
            Candidate(float(totals[unit]), self.view.units.refs[unit], self._project, unit)
            for unit in np.flatnonzero(passing).tolist()
        ]
        found.sort(key=lambda candidate: candidate.rank)
        return found

    def best_chunk(self, unit: int) -> int:
        """Returns the chunk for which the record was found."""
        chunks = self._chunks_of(unit)
        return int(chunks.start) + int(np.argmax(self._chunk_totals[chunks]))

    def span(self, unit: int) -> tuple[int, int]:
        """Returns where the best chunk lies in the record's text."""
        chunk = self.best_chunk(unit)
        return int(self.view.chunks.start[chunk]), int(self.view.chunks.end[chunk])

    def explain(self, unit: int) -> Document:
        """Returns what the score is made of.

        The contributions add up to ``log_odds``; its logistic is the score.
        """
        chunk = self.best_chunk(unit)
        values = {name: float(column[chunk]) for name, column in self._features.chunks.items()}
        of_unit = {**self._features.records, **self._features.units}
        values |= {name: float(column[unit]) for name, column in of_unit.items()}
        parts: list[Document] = [
            {
                "feature": name,
                "value": value,
                "weight": self._weights[name],
                "contribution": self._weights[name] * value,
            }
            for name, value in values.items()
        ]
        base = self._weights[BASE]
        parts.append({"feature": BASE, "value": 1.0, "weight": base, "contribution": base})
        start, end = self.span(unit)
        return {
            "log_odds": float(self._totals[unit]),
            "parts": list(parts),
            "span": [start, end],
            "words_known": self._features.known,
        }

    def _chunks_of(self, unit: int) -> slice:
        first = self.view.units.first
        last = first[unit + 1] if unit + 1 < first.size else self.view.size
        return slice(int(first[unit]), int(last))


def _of_records(view: ProjectView, features: Features) -> NDArray[np.float64]:
    """Returns the base and what every question adds alike, computed once for a view."""
    kept = view.derived.setdefault("record_totals", {})
    name, weights = ("dense", WITH_VECTORS) if features.dense else ("words", WORDS_ONLY)
    if name not in kept:
        kept[name] = weights[BASE] + _weighted(features.records, weights, view.units.alive.size)
    return kept[name]


def _weighted(
    columns: Mapping[str, NDArray[np.float32]], weights: Mapping[str, float], rows: int
) -> NDArray[np.float64]:
    total = np.zeros(rows, dtype=np.float64)
    for name, values in columns.items():
        total += np.multiply(values, weights[name], dtype=np.float64)
    return total


def _best_of_unit(view: ProjectView, chunk_totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the best chunk total of each unit; every unit has at least one chunk."""
    first = view.units.first
    if not first.size:
        return np.zeros(0, dtype=np.float64)
    best: NDArray[np.float64] = np.maximum.reduceat(chunk_totals, first)
    return best


def _logistic(log_odds: float) -> float:
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    shrunk = math.exp(log_odds)
    return shrunk / (1.0 + shrunk)


def _log_odds(score: float) -> float:
    if score <= 0.0:
        return -math.inf
    return math.inf if score >= 1.0 else math.log(score / (1.0 - score))
