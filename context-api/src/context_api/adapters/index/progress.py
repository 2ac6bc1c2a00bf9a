"""How far projects are indexed, counted again only after something was written."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from context_api.adapters.index.database import Database
from context_api.adapters.index.models import ModelInUse
from context_api.adapters.index.state import Model
from memory_core.recall.ports import Progress
from memory_core.recall.stored import FORMAT

_REMEMBERED = 10_000

_POSITION: LiteralString = """
SELECT applied_seq, changes FROM index_state WHERE tenant_id = %s AND project_id = %s
"""
_POSITIONS = """
SELECT project_id, changes, format FROM index_state
WHERE tenant_id = %(tenant)s AND project_id = ANY(%(projects)s::uuid[])
"""
# Of the model in use, else of the newest that is asked; without any, all chunks wait.
_GENERATION: LiteralString = """
SELECT generation FROM index_generations WHERE tenant_id = %s AND project_id = %s
ORDER BY (model = %s AND dimension = %s) DESC, ready DESC, generation DESC LIMIT 1
"""
# Written out, the states are those of the partial indexes.
_COUNTS: LiteralString = """
WITH mine AS (SELECT %s::uuid AS tenant, %s::uuid AS project, %s::int AS generation)
SELECT
    (SELECT count(*) FROM chunk_states, mine WHERE tenant_id = tenant AND project_id = project
        AND chunk_states.generation = mine.generation AND state = 0),
    (SELECT min(seq) FROM chunk_states, mine WHERE tenant_id = tenant AND project_id = project
        AND chunk_states.generation = mine.generation AND state = 0),
    (SELECT count(*) FROM chunk_states, mine WHERE tenant_id = tenant AND project_id = project
        AND chunk_states.generation = mine.generation AND state = 2)
"""
_ALL: LiteralString = """
SELECT count(*), min(u.seq) FROM chunks c JOIN index_units u ON u.tenant_id = c.tenant_id
    AND u.project_id = c.project_id AND u.number = c.unit
WHERE c.tenant_id = %s AND c.project_id = %s
"""
_REFUSED: LiteralString = """
SELECT count(*) FROM index_dead WHERE tenant_id = %s AND project_id = %s AND model = ''
"""


class Reached(NamedTuple):
    """How far a project is indexed after so many changes to its index, None if it has none."""

    changes: int | None
    progress: Progress


class _Counted(NamedTuple):
    """What was counted, and after which change."""

    changes: int
    model: Model | None
    progress: Progress


class ProgressCounter:
    """Answers with one short query while nothing has changed. Threads may share it."""

    def __init__(self, database: Database, model: ModelInUse) -> None:
        self._database = database
        self._model = model
        self._counted: OrderedDict[tuple[str, str], _Counted] = OrderedDict()
        self._sharing = threading.Lock()

    def changes_of(self, tenant_id: str, project_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Returns for each project that has an index how often it changed, and its format.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        if not project_ids:
            return {}
        asked = {"tenant": tenant_id, "projects": [*project_ids]}
        (rows,) = self._database.ask_all(tenant_id, [(_POSITIONS, asked)])
        return {project: (changes, form) for project, changes, form in rows}

    def reached(self, tenant_id: str, project_ids: Sequence[str]) -> list[Reached]:
        """Returns how far each of several projects is indexed.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        there = self.changes_of(tenant_id, project_ids)
        found = []
        for project_id in project_ids:
            changes, form = there.get(project_id, (None, 0))
            if changes is not None and form >= FORMAT:
                found.append(self._known((tenant_id, project_id), changes))
            else:
                # What an older release has built is emptied by the first batch.
                found.append(Reached(changes, Progress()))
        return found

    def _known(self, key: tuple[str, str], changes: int) -> Reached:
        """Returns how far a project was after so many ``changes``, or now if that is not known."""
        model = self._model.current
        with self._sharing:
            known = self._counted.get(key)
        if known is not None and known.changes == changes and known.model == model:
            return Reached(changes, known.progress)
        counted = self._count(key, model)
        with self._sharing:
            self._counted[key] = counted
            self._counted.move_to_end(key)
            if len(self._counted) > _REMEMBERED:
                self._counted.popitem(last=False)
        return Reached(counted.changes, counted.progress)

    def _count(self, key: tuple[str, str], model: Model | None) -> _Counted:
        with self._database.snapshot(key[0]) as connection:
            run = connection.execute
            position = run(_POSITION, key).fetchone() or (0, 0)
            upto, changes = int(position[0]), int(position[1])
            generation = run(_GENERATION, (*key, *(model or ("", 0)))).fetchone()
            if generation is None:
                waiting, first = run(_ALL, key).fetchone() or (0, None)
                dead = 0
            else:
                row = run(_COUNTS, (*key, *generation)).fetchone()
                waiting, first, dead = row or (0, None, 0)
            refused = run(_REFUSED, key).fetchone() or (0,)
        progress = Progress(
            lexical_seq=upto,
            vector_seq=upto if first is None else min(upto, int(first) - 1),
            pending=int(waiting),
            dead=int(dead) + int(refused[0]),
        )
        return _Counted(changes, model, progress)
