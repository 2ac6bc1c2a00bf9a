"""A project's records as they are, kind by kind, for a replica that begins."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any, cast

from sqlalchemy import Select, Text, exists, false, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.rows import document_columns, length_of
from context_api.adapters.sql.types import CanonicalJson, Json
from context_api.adapters.sql.visibility import visible
from context_api.application.ports import Viewer
from context_api.application.sync.ports import Part, Place
from memory_core.records import Document, Kind

_NEWEST_FIRST = frozenset({Kind.SESSION, Kind.PATTERN})
_OF_SESSION = frozenset({Kind.MESSAGE, Kind.CHECKPOINT})


class SnapshotReader:
    """Reads records through the eyes of ``viewer``, in the form in which events make them."""

    def __init__(self, connection: AsyncConnection, viewer: Viewer) -> None:
        self._connection = connection
        self._viewer = viewer

    async def records(self, kind: Kind, part: Part) -> list[Document]:
        """Returns live records of one kind that were made up to ``part.seq``."""
        table = t.RECORD_TABLES[kind]
        names = document_columns(kind)
        chosen = select(*(table.c[name] for name in names))
        rows = await self._connection.execute(self._chosen(chosen, kind, part))
        return [cast("Document", dict(zip(names, row, strict=True))) for row in rows]

    async def lengths(self, kind: Kind, part: Part) -> list[int]:
        """Returns how many characters of texts and JSON each record of `records` has."""
        table = t.RECORD_TABLES[kind]
        parts = [
            length_of(table.c[name]) for name in document_columns(kind) if _is_long(table, name)
        ]
        rows = await self._connection.execute(self._chosen(select(reduce(add, parts)), kind, part))
        return list(rows.scalars())

    def _chosen(self, statement: Select[Any], kind: Kind, part: Part) -> Select[Any]:
        statement = statement.where(visible(kind, self._viewer))
        if kind is Kind.PROJECT:
            statement = statement.where(t.RECORD_TABLES[kind].c.id == part.project_id)
        else:
            statement = self._of_part(statement, kind, part)
        return statement.limit(part.limit)

    def _of_part(self, statement: Select[Any], kind: Kind, part: Part) -> Select[Any]:
        table = t.RECORD_TABLES[kind]
        statement = statement.where(table.c.project_id == part.project_id)
        if kind is Kind.CONFLICT:
            statement = statement.where(table.c.resolution.is_(None))
        else:
            statement = statement.where(table.c.created_seq <= part.seq)
        if kind in _OF_SESSION:
            statement = statement.where(self._in_window(kind, part))
        if part.since is not None and kind in {Kind.SESSION, Kind.CHECKPOINT}:
            statement = statement.where(table.c.created_at >= part.since)
        if kind in _NEWEST_FIRST:
            if part.after is not None:
                statement = statement.where(_older(table, part.after))
            return statement.order_by(table.c.created_at.desc(), table.c.id.desc())
        if part.after is not None:
            statement = statement.where(table.c.id > part.after.id)
        return statement.order_by(table.c.id)

    def _in_window(self, kind: Kind, part: Part) -> Any:
        """Returns the condition that a record's session is one of those given out."""
        table, sessions = t.RECORD_TABLES[kind], t.sessions
        inside: Any = false()
        if part.oldest is not None:
            inside = exists(
                select(sessions.c.id).where(
                    sessions.c.tenant_id == table.c.tenant_id,
                    sessions.c.id == table.c.session_id,
                    sessions.c.created_seq <= part.seq,
                    not_(_older(sessions, part.oldest)),
                )
            )
        return inside if kind is Kind.MESSAGE else or_(table.c.session_id.is_(None), inside)


def _is_long(table: Any, name: str) -> bool:
    """Says whether a column holds texts or JSON, whose length nothing small bounds."""
    return isinstance(table.c[name].type, CanonicalJson | Json | Text)


def _older(table: Any, place: Place) -> Any:
    """Returns the condition that a record comes after a place, newest first."""
    return or_(
        table.c.created_at < place.created_at,
        (table.c.created_at == place.created_at) & (table.c.id < place.id),
    )
