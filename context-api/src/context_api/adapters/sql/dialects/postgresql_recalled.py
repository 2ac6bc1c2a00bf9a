"""The rows that recall asks for, read by a synchronous driver in recall's own thread.

A way through the event loop would cost more than the reading: a transaction there is three round
trips, each a change of threads. Here all queries of a step are one round trip, their texts are
made once, and the server keeps their plans.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple, cast

from sqlalchemy import ARRAY, UUID, Dialect, Select, any_, bindparam
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.candidates import passing
from context_api.adapters.sql.database import Asks
from context_api.adapters.sql.reading import select_kind, windowed
from context_api.adapters.sql.visibility import visible
from context_api.application.ports import Viewer, Window
from memory_core.errors import InvalidId
from memory_core.ids import parse_uuid
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Kind, Ref

# Beside the threads of recall, so that an answer that is kept need not wait for others that are
# being computed. What they do takes a fraction of a millisecond.
_LOOKS = ThreadPoolExecutor(2, thread_name_prefix="look")


_DIALECT: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Prepared(NamedTuple):
    """A query with the values that are always the same, and the names of its columns."""

    text: str
    parameters: dict[str, object]
    names: tuple[str, ...]

    def with_values(self, **values: object) -> tuple[str, dict[str, object]]:
        """Returns the query with all its values."""
        return self.text, {**self.parameters, **values}

    def documents(self, rows: Sequence[tuple[Any, ...]]) -> list[Document]:
        """Returns rows as documents."""
        return [cast("Document", dict(zip(self.names, row, strict=True))) for row in rows]


class RecalledAsked:
    """The store as recall sees it, through the eyes of ``viewer``."""

    def __init__(self, asks: Asks, viewer: Viewer) -> None:
        self._asks = asks
        self._viewer = viewer

    def load(self, refs: Sequence[Ref], chosen: RecordFilter) -> Mapping[Ref, Document]:
        """Returns the documents of those ``refs`` that are visible and pass the filter.

        Raises:
            Busy, Unavailable: the database cannot be read.
        """
        return self.load_beside(refs, chosen, ())[0]

    def projects(self, names: Sequence[str]) -> list[Document | None]:
        """Returns each visible project by id or slug, None where there is none.

        Raises:
            Busy, Unavailable: the database cannot be read.
        """
        return self.load_beside((), RecordFilter(), names)[1]

    def load_beside(
        self, refs: Sequence[Ref], chosen: RecordFilter, names: Sequence[str]
    ) -> tuple[Mapping[Ref, Document], list[Document | None]]:
        """Returns what `load` and `projects` do, of one moment; raises as `load`."""
        by_kind: dict[Kind, list[str]] = {}
        for ref in refs:
            by_kind.setdefault(ref.kind, []).append(ref.id)
        asked = [(kind, _of_kind(kind, self._viewer, chosen), ids) for kind, ids in by_kind.items()]
        answers = self._ask(
            [query.with_values(ids=ids) for _, query, ids in asked]
            + [_named(self._viewer, *_id_or_slug(name)) for name in names]
        )
        loaded = {
            Ref(kind, str(document["id"])): document
            for (kind, query, _), rows in zip(asked, answers, strict=False)
            for document in query.documents(rows)
        }
        project = _project(self._viewer, "id")
        found = answers[len(asked) :]
        return loaded, [project.documents(rows)[0] if rows else None for rows in found]

    async def look(self, names: Sequence[str]) -> list[Document | None]:
        """Returns what `projects` does, to a caller on the event loop."""
        return await asyncio.get_running_loop().run_in_executor(_LOOKS, self.projects, names)

    async def look_around(self, limit: int) -> list[Document]:
        """Returns the visible projects, newest first."""
        query = _all_projects(self._viewer, limit)
        ask = [query.with_values()]
        (rows,) = await asyncio.get_running_loop().run_in_executor(_LOOKS, self._ask, ask)
        return query.documents(rows)

    def _ask(self, queries: Sequence[tuple[str, dict[str, object]]]) -> list[list[tuple[Any, ...]]]:
        return self._asks.ask_all(self._viewer.tenant_id, queries) if queries else []


def _id_or_slug(name: str) -> tuple[str, str]:
    try:
        return "id", parse_uuid(name)
    except InvalidId:
        return "slug", name


def _named(viewer: Viewer, column: str, value: str) -> tuple[str, dict[str, object]]:
    return _project(viewer, column).with_values(name=value)


@lru_cache(maxsize=1_024)
def _of_kind(kind: Kind, viewer: Viewer, chosen: RecordFilter) -> Prepared:
    wanted = bindparam("ids", type_=ARRAY(UUID(as_uuid=False)), required=False)
    return _prepared(
        select_kind(kind).where(
            visible(kind, viewer),
            t.RECORD_TABLES[kind].c.id == any_(wanted),
            passing(kind, chosen, viewer),
        )
    )


@lru_cache(maxsize=1_024)
def _project(viewer: Viewer, column: str) -> Prepared:
    named = t.projects.c[column] == bindparam(
        "name", type_=t.projects.c[column].type, required=False
    )
    return _prepared(select_kind(Kind.PROJECT).where(visible(Kind.PROJECT, viewer), named))


@lru_cache(maxsize=1_024)
def _all_projects(viewer: Viewer, limit: int) -> Prepared:
    seen = select_kind(Kind.PROJECT).where(visible(Kind.PROJECT, viewer))
    return _prepared(windowed(seen, Kind.PROJECT, Window(limit=limit)))


def _prepared(statement: Select[Any]) -> Prepared:
    compiled = statement.compile(dialect=_DIALECT, compile_kwargs={"render_postcompile": True})
    names = tuple(str(column.key) for column in statement.selected_columns)
    return Prepared(str(compiled), dict(compiled.params), names)
