"""What the columns compute equals the definitions, at chunk, window and session."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.recall.dense import score_densely
from memory_core.recall.lexical import score_lexically
from memory_core.recall.ports import IndexRecord
from memory_core.recall.view import ProjectView
from memory_core.records import Kind
from memory_core.text.tokens import Term, tokenize
from tests.memory_core.recall.oracle import Oracle
from tests.memory_core.recall.records import PROJECT, opened, record

WORDS = ["parser", "lexer", "cache", "stale", "broken", "fixed", "lib/parser.py", "the"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.lists(
    st.sampled_from(WORDS), min_size=180, max_size=400
).map(" ".join)
RECORDS = st.lists(
    st.tuples(
        TEXTS,
        st.sampled_from(["one", "two", None]),
        st.integers(min_value=0, max_value=3),
        st.sampled_from([Kind.MESSAGE, Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN]),
    ),
    min_size=1,
    max_size=14,
)
Given = list[tuple[str, str | None, int, Kind]]


def made(given_records: Given) -> list[IndexRecord]:
    return [
        record(f"r{number}", text, session=session, position=position, kind=kind)
        for number, (text, session, position, kind) in enumerate(given_records)
    ]


def viewed(records: Sequence[IndexRecord]) -> ProjectView:
    with opened() as index:
        index.apply(PROJECT, 1, records, [])
        return index.view(PROJECT)


def in_oracle_order(view: ProjectView, oracle: Oracle) -> list[int]:
    """Returns for each passage of the oracle the chunk of the view."""
    by_record: dict[str, list[int]] = {}
    for chunk, unit in enumerate(view.chunks.unit.tolist()):
        by_record.setdefault(view.units.refs[unit].id, []).append(chunk)
    return [by_record[passage.record_id].pop(0) for passage in oracle.passages]


@given(RECORDS, st.lists(st.sampled_from([*WORDS, "unheard"]), min_size=1, unique=True))
@settings(max_examples=60, deadline=None)
def test_bm25_equals_its_definition(given_records: Given, words: list[str]) -> None:
    records = made(given_records)
    terms = list(dict.fromkeys(term for word in words for term in tokenize(word)))
    view, oracle = viewed(records), Oracle(records)
    order = in_oracle_order(view, oracle)
    scores = score_lexically(view, [Term(term, exact=False) for term in terms])
    assert scores.chunk[order] == pytest.approx(oracle.chunk_scores(terms), abs=1e-5)
    assert scores.window[order] == pytest.approx(oracle.window_scores(terms), abs=1e-5)
    expected = oracle.session_scores(terms)
    found = scores.session[view.chunk_session[order]]
    assert found == pytest.approx([expected[p.session] for p in oracle.passages], abs=1e-5)
    assert 0.0 <= float(scores.window.min()) <= float(scores.window.max()) <= 1.0


@given(RECORDS, st.data())
@settings(max_examples=60, deadline=None)
def test_similarities_equal_their_definition(given_records: Given, data: st.DataObject) -> None:
    records = made(given_records)
    view, oracle = viewed(records), Oracle(records)
    order = in_oracle_order(view, oracle)
    cosines = st.integers(min_value=-8, max_value=8).map(lambda eighths: eighths / 8)
    values = data.draw(st.lists(cosines, min_size=view.size, max_size=view.size))
    similar = np.array(values, dtype=np.float32)
    scores = score_densely(view, similar, np.zeros(view.size, dtype=np.float32))
    assert scores.chunk == pytest.approx(similar)
    aligned = similar[order]
    assert scores.window[order] == pytest.approx(oracle.spread_mean(aligned.tolist()), abs=1e-5)
    best = oracle.best_of_session(aligned)
    found = scores.session[view.chunk_session[order]]
    assert found == pytest.approx([best[p.session] for p in oracle.passages], abs=1e-5)


def test_a_chunk_without_a_vector_is_judged_by_its_words() -> None:
    view = viewed([record("a", "parser"), record("b", "cache", position=1)])
    unknown = np.full(2, np.nan, dtype=np.float32)
    scores = score_densely(view, unknown, np.array([1.0, 0.0], dtype=np.float32))
    assert scores.chunk[0] > scores.chunk[1] > 0
    assert np.isfinite(scores.window).all()


def test_an_exact_name_counts_by_how_rare_it_is() -> None:
    view = viewed([record("a", "see lib/parser.py"), record("b", "see the parser", position=1)])
    terms = [Term("lib/parser.py", exact=True), Term("parser", exact=False)]
    assert score_lexically(view, terms).exact.tolist() == [1.0, 0.0]


def test_words_that_nobody_said_lower_every_score() -> None:
    view = viewed([record("a", "parser")])
    known = score_lexically(view, [Term("parser", exact=False)])
    half = score_lexically(view, [Term("parser", exact=False), Term("whale", exact=False)])
    assert half.chunk[0] < known.chunk[0]
    assert half.known < known.known == 1.0


def test_an_empty_project_has_no_scores() -> None:
    with opened() as index:
        view = index.view(PROJECT)
    scores = score_lexically(view, [Term("parser", exact=False)])
    assert (scores.chunk.size, scores.session.size, scores.known) == (0, 0, 0.0)
