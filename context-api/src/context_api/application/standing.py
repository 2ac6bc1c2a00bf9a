"""What an answer of recall depends on besides the question: logs, indexes, model, code, asker.

An answer is kept only if it was made from indexes that held all of the logs. So its key names
the heads alone, which the request reads anyway: that the indexes had reached them is implied,
and an answer that is there is better than what an index that lags behind would give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from context_api.application.caching import CacheKey, cache_key
from context_api.application.services import Services
from context_api.domain.caller import Caller
from memory_core.canonical import canonical_json
from memory_core.recall import pipeline as recall
from memory_core.recall import weights
from memory_core.recall.ports import Progress
from memory_core.records import Document

ANSWERS = 1
"""Form of the answers that are kept; another form needs another number."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the log of a project stands, and how far it is indexed."""

    project_id: str
    epoch: str
    head: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class Standing:
    """Where everything stood when a request looked; equal standings give equal answers."""

    positions: tuple[Position, ...]
    model: str | None

    @property
    def head(self) -> int:
        """The sum of the heads."""
        return sum(position.head for position in self.positions)

    @property
    def indexed(self) -> int:
        """The sum of the positions that the words are indexed up to."""
        return sum(position.progress.lexical_seq for position in self.positions)

    @property
    def needs_words(self) -> bool:
        """Whether words of some project are not indexed yet."""
        return any(at.progress.lexical_seq < at.head for at in self.positions)

    @property
    def needs_vectors(self) -> bool:
        """Whether chunks of some project wait for their vectors, or for their words first."""
        return self.needs_words or any(at.progress.pending for at in self.positions)

    @property
    def is_complete(self) -> bool:
        """Whether the indexes hold exactly what the logs say, vectors too if there is a model."""
        return all(
            at.progress.lexical_seq == at.head
            and (
                self.model is None
                or (at.progress.pending == 0 and at.progress.vector_seq == at.head)
            )
            for at in self.positions
        )


def standing_of(
    services: Services, projects: Sequence[Document], progress: Sequence[Progress]
) -> Standing:
    """Returns where the logs of ``projects``, as just read, and their indexes stand."""
    return Standing(
        positions=tuple(
            Position(str(project["id"]), str(project["epoch"]), int(str(project["head"])), reached)
            for project, reached in zip(projects, progress, strict=True)
        ),
        model=_model(services),
    )


def answer_key(
    cache_name: str,
    services: Services,
    caller: Caller,
    projects: Sequence[Document],
    *,
    asked: Document,
    moment: str,
) -> CacheKey:
    """Returns the key of the answer to ``asked`` by ``caller`` at ``moment``.

    ``projects`` are those it is asked of, as just read.
    """
    return cache_key(
        cache_name,
        f"{caller.tenant_id}:{projects[0]['id'] if len(projects) == 1 else 'all'}",
        {
            "answers": ANSWERS,
            "asked": asked,
            "actor": caller.actor,
            "code": _code(services.facts.version),
            "grants": None if caller.project_ids is None else [*sorted(caller.project_ids)],
            "least": services.min_score,
            "model": _model(services),
            "moment": moment,
            "positions": [
                [project[name] for name in ("id", "epoch", "head")] for project in projects
            ],
            "tenant": caller.tenant_id,
        },
    )


def _model(services: Services) -> str | None:
    embedder = services.indexes.embedder
    return f"{embedder.model}/{embedder.dimension}" if embedder else None


def is_whole(standing: Standing, answer: recall.Answer) -> bool:
    """Says if nothing was missing but vectors where there is no model."""
    return not answer.degraded or (standing.model is None and answer.degraded == ("vector",))


@cache
def _code(version: str) -> str:
    """Returns a digest of what decides how recall scores."""
    held: Document = {
        "floor": weights.FLOOR,
        "relevant": weights.RELEVANT,
        "version": version,
        "with_vectors": {**weights.WITH_VECTORS},
        "words_only": {**weights.WORDS_ONLY},
    }
    return hashlib.sha256(canonical_json(held)).hexdigest()
