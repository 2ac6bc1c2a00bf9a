"""What speaks for a chunk or its record, as numbers that mean the same in every project.

No feature depends on what a filter leaves over, so a filter never changes the order of the
rest. Each is about 0..1, except where its name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from memory_core.recall.building import MESSAGE_CODE, ROLES
from memory_core.recall.dense import score_densely
from memory_core.recall.lexical import score_lexically
from memory_core.recall.prepare import is_person
from memory_core.recall.query import Question
from memory_core.recall.times import Period, periods
from memory_core.recall.view import Floats, ProjectView
from memory_core.records import RECALLED_KINDS, Kind
from memory_core.text.tokens import tokenize

SUBSTANTIAL_CHARS, LONG_CHARS = 200, 1_500
_LONGEST_CHARS = 150_000
_RECENT_DAYS = 30.0
_DAY_S = 86_400.0
_SPILL_DAYS = 2.0
_TOOL_CODE = ROLES.index("tool")
_KIND = {kind: code for code, kind in enumerate(RECALLED_KINDS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Named columns, in the order in which they are summed.

    ``chunks`` are (chunks,), ``records`` and ``units`` are (units,): ``records`` do not depend
    on the question. ``known`` is the share of the query's words
    that the project has; ``dense`` tells whether vectors took part.
    """

    chunks: Mapping[str, Floats]
    records: Mapping[str, Floats]
    units: Mapping[str, Floats]
    known: float
    dense: bool


def compute_features(
    view: ProjectView,
    question: Question,
    similarities: NDArray[np.float32] | None,
    distance: int = 0,
) -> Features:
    """Returns the features of every chunk and record of a project.

    ``similarities`` is what a dense index gave for the view, None without one. ``distance``
    counts the steps from the asker's project to this one.
    """
    lexical = score_lexically(view, question.terms)
    session = view.chunk_session
    chunks: dict[str, Floats] = {
        "words_chunk": lexical.chunk,
        "words_window": lexical.window,
        "words_session": lexical.session.take(session),
        "exact_names": lexical.exact,
    }
    if similarities is not None:
        dense = score_densely(view, similarities, lexical.chunk)
        chunks["meaning_chunk"] = dense.chunk
        chunks["meaning_window"] = dense.window
        chunks["meaning_session"] = dense.session.take(session)
    units = _of_question(view, question)
    if distance:
        units["project_distance"] = np.full(len(view.units.alive), distance, dtype=np.float32)
    return Features(
        chunks=chunks,
        records=_of_record(view),
        units=units,
        known=lexical.known,
        dense=similarities is not None,
    )


def _of_record(view: ProjectView) -> dict[str, Floats]:
    """Features that every question finds the same; computed once for a view."""
    cached: dict[str, Floats] | None = view.derived.get("record_features")
    if cached is None:
        cached = view.derived["record_features"] = _record_features(view)
    return cached


def _record_features(view: ProjectView) -> dict[str, Floats]:
    units = view.units
    size = np.log1p(np.minimum(units.size, _LONGEST_CHARS)).astype(np.float32)
    message = units.kind == MESSAGE_CODE
    result = message & (units.role == _TOOL_CODE)
    return {
        # Short turns ("ok, done") rarely answer; beyond a paragraph length says nothing more.
        "substance": np.minimum(size / np.float32(np.log1p(SUBSTANTIAL_CHARS)), 1.0),
        # A long dump matches much by chance.
        "long": np.maximum(size - np.float32(np.log1p(LONG_CHARS)), 0.0) / 5.0,
        "question": units.question.astype(np.float32),
        "tool_call": (message & units.tool & ~result).astype(np.float32),
        "tool_result": result.astype(np.float32),
        "checkpoint": (units.kind == _KIND[Kind.CHECKPOINT]).astype(np.float32),
        "pattern": (units.kind == _KIND[Kind.PATTERN]).astype(np.float32),
        "pattern_quality": np.where(units.kind == _KIND[Kind.PATTERN], units.quality, 0.0).astype(
            np.float32
        ),
    }


def _of_question(view: ProjectView, question: Question) -> dict[str, Floats]:
    units = view.units
    message = units.kind == MESSAGE_CODE
    asked = periods(question.text, question.now, question.zone, _years(units.created))
    age = np.maximum(question.now.timestamp() - units.created, 0.0) / _DAY_S
    features = {"recent": (1.0 / (1.0 + age / _RECENT_DAYS)).astype(np.float32)}
    if asked:
        features["time"] = _within(units.created, asked)
    if (named := _named(view, question)) is not None:
        features["author"] = named
    if question.at_end:
        features["at_end"] = np.where(message, units.place, 0.0).astype(np.float32)
    if question.at_start:
        features["at_start"] = np.where(message, 1.0 - units.place, 0.0).astype(np.float32)
    return features


def _years(created: NDArray[np.float64]) -> range:
    if not created.size:
        return range(0)
    first, last = float(created.min()), float(created.max())
    years = [datetime.fromtimestamp(moment, UTC).year for moment in (first, last)]
    return range(years[0], years[1] + 1)


def _within(created: NDArray[np.float64], asked: tuple[Period, ...]) -> Floats:
    """Returns how well each time fits the spans asked for.

    What happened is also spoken of on the days after, so the fit fades instead of ending.
    """
    best = np.zeros(created.size, dtype=np.float32)
    for period in asked:
        late = np.maximum(created - period.end, 0.0) / (_SPILL_DAYS * _DAY_S)
        fit = np.where(created < period.start, 0.0, np.exp(-late) * np.where(late > 0, 0.5, 1.0))
        np.maximum(best, (fit * period.precision).astype(np.float32), out=best)
    return best


def _named(view: ProjectView, question: Question) -> Floats | None:
    """Returns 1 for what was said by somebody whom the question names, None if it names nobody."""
    named = [
        is_person(author) and not question.words.isdisjoint(tokenize(author))
        for author in view.authors
    ]
    return np.array(named, dtype=np.float32)[view.units.author] if any(named) else None
