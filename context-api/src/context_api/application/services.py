"""The ports that use cases work with, made once by `context_api.bootstrap`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from context_api.application.caching import Caches
from context_api.application.index_care_source import IndexSource
from context_api.application.indexes import Indexes
from context_api.application.limiting import Limiter
from context_api.application.measuring import Measures
from context_api.application.ports import UnitOfWork
from context_api.application.sync.news import News
from context_api.application.turns import Turns
from context_api.application.vectors import VectorIndex
from context_api.application.wakeup import Wakeup

RECALLS = 3
"""How many questions one process answers at once. More would not be answered sooner: recall is
mostly Python, and each of its steps would wait behind steps of all the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKey:
    """A key of the settings, without a row in the database.

    The hub's own key is admin of the default tenant and may make others; the metrics key
    only reads figures.
    """

    key_id: str
    secret_hash: bytes
    tenant_id: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the hub says about itself."""

    version: str
    mode: str
    schema_revision: str
    started_at: str
    sqlite_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a use case may use."""

    uow: UnitOfWork
    wakeup: Wakeup
    indexes: Indexes
    tenant_id: str
    root_key: RootKey | None
    facts: Facts
    alive: Callable[[], Awaitable[None]]
    """Asks whether the database answers; raises Busy, Unavailable or Corrupt if it does not."""

    metrics_key: RootKey | None = None
    min_score: float | None = None
    caches: Caches = field(default_factory=Caches)
    limiter: Limiter | None = None
    cache_answers: Callable[[], Awaitable[bool]] | None = None
    """Asks the server of the shared cache for a sign of life."""

    vectors: Callable[[str, str], tuple[VectorIndex, IndexSource]] | None = None
    """By tenant and project: the vector server, if there is one, and what SQL says it holds."""

    measures: Measures = field(default_factory=Measures)
    model_dir: Path | None = None
    """Where the embedding model is installed, if it is one of files."""

    news: News = field(default_factory=News)
    key_uses: dict[tuple[str, str], str] = field(default_factory=dict)
    maintenance: asyncio.Lock = field(default_factory=asyncio.Lock)
    recalls: Turns = field(default_factory=lambda: Turns(RECALLS))
    """Those who ask recall, by their keys."""
