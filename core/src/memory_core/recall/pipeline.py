"""Recall: from a question to hits, over indexes that suggest and a store that decides."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

import numpy as np
from numpy.typing import NDArray

from memory_core.clock import now as current_time
from memory_core.clock import to_datetime
from memory_core.embedding.port import Embedder
from memory_core.errors import ContextError
from memory_core.recall.documents import text_of
from memory_core.recall.duplicates import Repeats
from memory_core.recall.features import compute_features
from memory_core.recall.ports import DenseIndex, LexicalIndex, RecordFilter, RecordSource
from memory_core.recall.query import MAX_EMBEDDED_CHARS, Question, parse_question
from memory_core.recall.ranking import Candidate, Ranking
from memory_core.recall.snippets import snippet
from memory_core.recall.view import Bools, ProjectView
from memory_core.recall.weights import FLOOR, RELEVANT
from memory_core.records import RECALLED_KINDS, Document, Ref

_SURPLUS = 1.5
_GROWTH = 4


@dataclass(frozen=True, slots=True)
class Scope:
    """A project to search, and how many steps it is from the asker's own."""

    project_id: str
    distance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRequest:
    """A question and what may answer it.

    ``min_score`` is the least score of a hit; None means that hits are left out only if not
    even the best of them is relevant. ``asker`` lets PRIVATE records of others be left out
    early; the store decides about them in any case. ``now`` is a canonical time.
    """

    query: str
    scopes: Sequence[Scope]
    chosen: RecordFilter = field(default_factory=RecordFilter)
    limit: int = 10
    min_score: float | None = None
    explain: bool = False
    asker: str | None = None
    now: str | None = None
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A record that answers.

    ``span`` is the part of ``text`` for which it was found. ``repeats`` are records left out
    for saying the same.
    """

    ref: Ref
    project_id: str
    score: float
    document: Document
    text: str
    span: tuple[int, int]
    snippet: str
    repeats: tuple[Ref, ...] = ()
    explain: Document | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Hits, best first; what was missing (``degraded``); milliseconds by stage."""

    hits: tuple[Hit, ...]
    degraded: tuple[str, ...]
    nothing_relevant: bool
    timings: Mapping[str, float]


class _Stages:
    """Measures what each stage took."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}
        self._last = time.perf_counter()

    def done(self, name: str) -> None:
        at = time.perf_counter()
        self.taken[name] = self.taken.get(name, 0.0) + 1e3 * (at - self._last)
        self._last = at


def search(
    request: SearchRequest,
    *,
    lexical: LexicalIndex,
    dense: DenseIndex,
    records: RecordSource,
    embedder: Embedder | None,
) -> Answer:
    """Returns what answers the question, best first.

    Filters act before the limit: candidates are asked of the store until ``limit`` of them
    pass or none is left. The order is by score, then by id, and the same for the same indexes.
    """
    stages = _Stages()
    moment = to_datetime(request.now or current_time())
    question = parse_question(request.query, moment, request.zone)
    if not request.query.strip() or request.limit < 1:
        return Answer(hits=(), degraded=(), nothing_relevant=True, timings=stages.taken)
    vector = _embed(embedder, request.query)
    stages.done("embed")
    rankings = []
    blind = False
    for number, scope in enumerate(request.scopes):
        view = lexical.view(scope.project_id)
        stages.done("view")
        similar = None
        if embedder is not None and vector is not None and view.live:
            similar = dense.similarities(view, embedder.model, vector)
        blind |= similar is None and view.live > 0
        stages.done("dense")
        features = compute_features(view, question, similar, scope.distance)
        rankings.append(Ranking(view, features, _allowed(view, request), number))
        stages.done("score")
    found = _Selection(request, question, rankings, records).run()
    stages.done("select")
    return Answer(
        hits=found,
        degraded=("vector",) if blind or vector is None else (),
        nothing_relevant=not found,
        timings=stages.taken,
    )


def _embed(embedder: Embedder | None, query: str) -> NDArray[np.float32] | None:
    if embedder is None:
        return None
    try:
        vector = embedder.embed_query(query[:MAX_EMBEDDED_CHARS])
    except ContextError:
        # The answer says that vectors are missing; an answer by words is better than none.
        return None
    return vector if np.isfinite(vector).all() else None


def _allowed(view: ProjectView, request: SearchRequest) -> Bools:
    """Returns which records may pass, as far as the view can tell; the store has the last word."""
    units, chosen = view.units, request.chosen
    allowed = np.ones(units.alive.size, dtype=np.bool_)
    if chosen.kinds:
        wanted = np.array([kind.value in chosen.kinds for kind in RECALLED_KINDS])
        allowed &= wanted[units.kind]
    if chosen.since:
        allowed &= units.created >= _seconds(chosen.since)
    if chosen.until:
        allowed &= units.created <= _seconds(chosen.until)
    if chosen.without_session is not None and chosen.without_session in view.sessions:
        allowed &= units.session != view.sessions.index(chosen.without_session)
    if request.asker is not None:
        mine = [code for code, owner in enumerate(view.owners) if owner == request.asker]
        allowed &= (units.owner < 0) | np.isin(units.owner, mine)
    return allowed


def _seconds(moment: str) -> float:
    at: datetime = to_datetime(moment)
    return at.timestamp()


class _Selection:
    """Takes candidates from the rankings, best first, until enough of them pass."""

    def __init__(
        self,
        request: SearchRequest,
        question: Question,
        rankings: Sequence[Ranking],
        records: RecordSource,
    ) -> None:
        self._request = request
        self._words = question.words
        self._rankings = rankings
        self._records = records
        self._repeats = Repeats()
        self._taken: list[tuple[Candidate, Document, str]] = []

    def run(self) -> tuple[Hit, ...]:
        """Returns the hits."""
        limit, least = self._request.limit, self._request.min_score
        floor = FLOOR if least is None else least
        wanted, asked = int(limit * _SURPLUS) + 4, 0
        while True:
            candidates = self._best(wanted, floor)
            self._take(candidates[asked:])
            if least is None and self._taken and self._taken[0][0].score < RELEVANT:
                return ()
            if len(self._taken) >= limit or len(candidates) < wanted:
                return tuple(self._hit(*taken) for taken in self._taken[:limit])
            asked, wanted = len(candidates), len(candidates) * _GROWTH

    def _best(self, wanted: int, floor: float) -> list[Candidate]:
        candidates = [
            candidate for ranking in self._rankings for candidate in ranking.best(wanted, floor)
        ]
        candidates.sort(key=lambda candidate: candidate.rank)
        return candidates[:wanted]

    def _take(self, candidates: Sequence[Candidate]) -> None:
        if not candidates:
            return
        refs = [candidate.ref for candidate in candidates]
        visible = self._records.load(refs, self._request.chosen)
        for candidate in candidates:
            document = visible.get(candidate.ref)
            if document is None:
                continue
            text = text_of(candidate.ref.kind, document)
            units = self._rankings[candidate.project].view.units
            if self._repeats.add(
                candidate.ref,
                candidate.project,
                int(units.session[candidate.unit]),
                int(units.fingerprint[candidate.unit]),
                text,
            ):
                self._taken.append((candidate, document, text))

    def _hit(self, candidate: Candidate, document: Document, text: str) -> Hit:
        ranking = self._rankings[candidate.project]
        span = ranking.span(candidate.unit)
        return Hit(
            ref=candidate.ref,
            project_id=self._request.scopes[candidate.project].project_id,
            score=candidate.score,
            document=document,
            text=text,
            span=span,
            snippet=snippet(text, span, self._words),
            repeats=self._repeats.of(candidate.ref),
            explain=ranking.explain(candidate.unit) if self._request.explain else None,
        )
