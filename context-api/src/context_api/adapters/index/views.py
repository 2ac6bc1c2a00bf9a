"""Views of projects in memory, brought up to date when they are asked for after a change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakKeyDictionary

from psycopg import Connection

from context_api.adapters.index.database import Database, Row
from context_api.adapters.index.models import ModelInUse
from context_api.adapters.index.reading import (
    STANDING,
    Project,
    Standing,
    read_embedded,
    read_vectors,
    read_words,
    standing_parameters,
)
from context_api.adapters.index.state import Model
from memory_core.recall.building import ViewBuilder
from memory_core.recall.stored import DEAD_SHARE
from memory_core.recall.vectors import VectorBlocks
from memory_core.recall.view import ProjectView

_BACK_SHARE = 0.8
"""How far a project must shrink before its vectors are held in memory again."""

_NOTHING = Standing()
_BROKEN = Standing(generation=-1)

Key = tuple[str, str]


class Origin(NamedTuple):
    """What a view was made of: whose it is, and which vectors it goes with, if any."""

    tenant_id: str
    project_id: str
    model: Model | None
    generation: int
    exact: bool
    changes: int


@dataclass(slots=True)
class _Loaded:
    """A project's view in memory, and how far it has read."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    builder: ViewBuilder = field(default_factory=ViewBuilder)
    view: ProjectView | None = None
    standing: Standing = _NOTHING
    model: Model | None = None
    last_unit: int = 0
    vectors_upto: int = 0
    exact: bool = True


class Views:
    """The views used last, of all tenants, up to a number of bytes. Threads may share them.

    ``exact_chunks`` is how many live chunks a project may have for its vectors to be held in
    memory; None holds those of every project.
    """

    def __init__(
        self, database: Database, model: ModelInUse, *, exact_chunks: int | None, memory_bytes: int
    ) -> None:
        self._database = database
        self._model = model
        self._exact_chunks = exact_chunks
        self._memory_bytes = memory_bytes
        self._loaded: OrderedDict[Key, _Loaded] = OrderedDict()
        self._origins: WeakKeyDictionary[ProjectView, Origin] = WeakKeyDictionary()
        self._sharing = threading.Lock()

    def view(self, tenant_id: str, project_id: str, changes: int | None) -> ProjectView:
        """Returns what is indexed of a project after so many ``changes`` or more.

        ``changes`` is what the database says now, None if nothing is indexed.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        if changes is None:
            return ViewBuilder().snapshot()
        key = (tenant_id, project_id)
        with self._sharing:
            loaded = self._loaded.setdefault(key, _Loaded())
            self._loaded.move_to_end(key)
        with loaded.lock:
            view = self._current(key, loaded, changes)
        self._evict(key)
        return view

    def origin(self, view: ProjectView) -> Origin | None:
        """Returns what a view was made of, None if it is not one of these or empty."""
        with self._sharing:
            return self._origins.get(view)

    def _current(self, key: Key, loaded: _Loaded, changes: int) -> ProjectView:
        model = self._model.current
        same = model == loaded.model and changes == loaded.standing.changes
        if same and loaded.view is not None:
            return loaded.view
        with self._database.snapshot(key[0]) as connection:
            return self._refresh(Project(connection, *key), loaded, model)

    def _refresh(self, project: Project, loaded: _Loaded, model: Model | None) -> ProjectView:
        at = _standing(project.connection, project.key, model)
        if loaded.view is not None and (loaded.standing, loaded.model) == (at, model):
            # Another thread has read what came after the changes that were asked for.
            return loaded.view
        if self._is_stale(loaded, at, model):
            self._begin(loaded, model)
        # What a failed refresh has read would be read twice: the next one begins anew.
        after, loaded.view, loaded.standing = loaded.standing.revision, None, _BROKEN
        loaded.last_unit = read_words(
            project, loaded.builder, after_revision=after, after_unit=loaded.last_unit
        )
        if loaded.exact and not self._may_be_exact(loaded.builder.live):
            loaded.exact, loaded.builder.vectors = False, None
        self._read_vectors(project, loaded, at)
        loaded.standing, loaded.model = at, model
        loaded.view = loaded.builder.snapshot()
        origin = Origin(*project.key, model, at.generation, loaded.exact, at.changes)
        with self._sharing:
            self._origins[loaded.view] = origin
        return loaded.view

    def _is_stale(self, loaded: _Loaded, at: Standing, model: Model | None) -> bool:
        """Says whether a view must be read anew."""
        return (
            loaded.standing.generation != at.generation
            or loaded.model != model
            or loaded.standing.revision < at.floor
            or loaded.standing.revision > at.revision
            or loaded.vectors_upto > (at.revision if loaded.exact else at.pushed)
            or loaded.builder.dead_share > DEAD_SHARE
            or (not loaded.exact and self._may_be_exact(loaded.builder.live / _BACK_SHARE))
        )

    def _begin(self, loaded: _Loaded, model: Model | None) -> None:
        loaded.builder = ViewBuilder()
        if model is not None:
            loaded.builder.vectors = VectorBlocks(*model)
        loaded.standing, loaded.last_unit, loaded.vectors_upto = _NOTHING, 0, 0
        loaded.exact = True

    def _may_be_exact(self, live: float) -> bool:
        return self._exact_chunks is None or live <= self._exact_chunks

    def _read_vectors(self, project: Project, loaded: _Loaded, at: Standing) -> None:
        if not at.generation:
            return
        blocks = loaded.builder.vectors
        upto = at.revision if loaded.exact else at.pushed
        span = (at.generation, loaded.vectors_upto, upto)
        if blocks is not None:
            model = Model(blocks.model, blocks.dimension)
            read_vectors(project, loaded.builder, model, span)
        else:
            read_embedded(project, loaded.builder, span)
        loaded.vectors_upto = upto

    def _evict(self, used: Key) -> None:
        """Forgets the views used longest ago while they take too much memory."""
        with self._sharing:
            total = sum(loaded.builder.nbytes for loaded in self._loaded.values())
            for key in list(self._loaded):
                if total <= self._memory_bytes or key == used:
                    break
                total -= self._loaded.pop(key).builder.nbytes


def _standing(connection: Connection[Row], key: Key, model: Model | None) -> Standing:
    row = connection.execute(STANDING, standing_parameters(*key, model)).fetchone()
    return _NOTHING if row is None else Standing(*row)
