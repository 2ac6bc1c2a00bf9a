"""Records as one viewer sees them: lists, single records, messages, tags."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, func, or_, select

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.candidates import passing
from context_api.adapters.sql.database import Executes
from context_api.adapters.sql.rows import document_columns
from context_api.adapters.sql.visibility import of_viewer, visible
from context_api.application.ports import Viewer, Window
from memory_core.errors import InvalidId
from memory_core.ids import parse_uuid
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Kind, Privacy, Ref, SessionStatus
from memory_core.requests import CheckpointFilter, PatternFilter, SessionFilter

_IN_CHUNK = 500
_OF_PROJECT = (Kind.SESSION, Kind.CHECKPOINT, Kind.PATTERN, Kind.MESSAGE)


class Reader:
    """Reads records through the eyes of ``viewer``."""

    def __init__(self, connection: Executes, viewer: Viewer) -> None:
        self._connection = connection
        self._viewer = viewer

    async def get(self, kind: Kind, record_id: str) -> Document | None:
        """Returns a visible record, or None."""
        return (await self.many([Ref(kind, record_id)])).get(Ref(kind, record_id))

    async def stored(self, kind: Kind, record_id: str) -> Document | None:
        """Returns a record of the viewer's projects also if it is deleted or hidden."""
        table = t.RECORD_TABLES[kind]
        column = "id" if kind is Kind.PROJECT else "project_id"
        statement = select_kind(kind).where(
            of_viewer(table, self._viewer, column), table.c.id == record_id
        )
        found = await self._documents(statement)
        return found[0] if found else None

    async def many(
        self, refs: Iterable[Ref], chosen: RecordFilter | None = None
    ) -> dict[Ref, Document]:
        """Returns those ``refs`` that are visible and pass the filter, if there is one."""
        found: dict[Ref, Document] = {}
        by_kind: dict[Kind, list[str]] = {}
        for ref in refs:
            by_kind.setdefault(ref.kind, []).append(ref.id)
        for kind, ids in by_kind.items():
            table = t.RECORD_TABLES[kind]
            for start in range(0, len(ids), _IN_CHUNK):
                statement = select_kind(kind).where(
                    visible(kind, self._viewer), table.c.id.in_(ids[start : start + _IN_CHUNK])
                )
                if chosen is not None:
                    statement = statement.where(passing(kind, chosen, self._viewer))
                for document in await self._documents(statement):
                    found[Ref(kind, str(document["id"]))] = document
        return found

    async def project(self, name: str) -> Document | None:
        """Returns a visible project by id or slug."""
        table = t.projects
        try:
            named: ColumnElement[bool] = table.c.id == parse_uuid(name)
        except InvalidId:
            named = table.c.slug == name
        found = await self._documents(
            select_kind(Kind.PROJECT).where(visible(Kind.PROJECT, self._viewer), named)
        )
        return found[0] if found else None

    async def projects(
        self, *, slug: str | None, remote: str | None, window: Window
    ) -> list[Document]:
        """Returns visible projects, newest first."""
        table, remotes = t.projects, t.project_remotes
        statement = select_kind(Kind.PROJECT).where(visible(Kind.PROJECT, self._viewer))
        if slug:
            statement = statement.where(table.c.slug == slug)
        if remote:
            having = select(remotes.c.project_id).where(
                remotes.c.tenant_id == self._viewer.tenant_id, remotes.c.remote == remote
            )
            statement = statement.where(table.c.id.in_(having))
        return await self._documents(windowed(statement, Kind.PROJECT, window))

    async def sessions(self, chosen: SessionFilter, window: Window) -> list[Document]:
        """Returns visible sessions, newest first; deleted ones if asked for by status."""
        table, tags = t.sessions, t.session_tags
        statement = select_kind(Kind.SESSION)
        if chosen.status is SessionStatus.DELETED:
            statement = statement.where(
                of_viewer(table, self._viewer),
                table.c.deleted.is_(True),
                table.c.owner == self._viewer.actor,
            )
        else:
            statement = statement.where(visible(Kind.SESSION, self._viewer))
            if chosen.status is not None:
                statement = statement.where(table.c.status == chosen.status.value)
        if chosen.tag is not None:
            tagged = select(tags.c.session_id).where(
                tags.c.tenant_id == self._viewer.tenant_id, tags.c.tag == chosen.tag
            )
            statement = statement.where(table.c.id.in_(tagged))
        if chosen.agent:
            statement = statement.where(table.c.agent == chosen.agent)
        if chosen.since is not None:
            statement = statement.where(table.c.started_at >= chosen.since)
        if chosen.until is not None:
            statement = statement.where(table.c.started_at < chosen.until)
        return await self._listed(statement, Kind.SESSION, chosen.project, window)

    async def checkpoints(self, chosen: CheckpointFilter, window: Window) -> list[Document]:
        """Returns visible checkpoints, newest first."""
        table = t.checkpoints
        statement = select_kind(Kind.CHECKPOINT).where(visible(Kind.CHECKPOINT, self._viewer))
        if chosen.session_id is not None:
            statement = statement.where(table.c.session_id == chosen.session_id)
        if chosen.since is not None:
            statement = statement.where(table.c.created_at >= chosen.since)
        if chosen.until is not None:
            statement = statement.where(table.c.created_at < chosen.until)
        return await self._listed(statement, Kind.CHECKPOINT, chosen.project, window)

    async def patterns(self, chosen: PatternFilter, window: Window) -> list[Document]:
        """Returns visible patterns, newest first."""
        table, tags = t.patterns, t.pattern_tags
        statement = select_kind(Kind.PATTERN).where(visible(Kind.PATTERN, self._viewer))
        if chosen.type is not None:
            statement = statement.where(table.c.pattern_type == chosen.type.value)
        if chosen.tag is not None:
            tagged = select(tags.c.pattern_id).where(
                tags.c.tenant_id == self._viewer.tenant_id, tags.c.tag == chosen.tag
            )
            statement = statement.where(table.c.id.in_(tagged))
        if chosen.category:
            statement = statement.where(table.c.category == chosen.category)
        if chosen.deprecated is not None:
            statement = statement.where(table.c.deprecated.is_(chosen.deprecated))
        if chosen.q:
            statement = statement.where(table.c.name.icontains(chosen.q, autoescape=True))
        return await self._listed(statement, Kind.PATTERN, chosen.project, window)

    async def messages(self, session_id: str, after: int, limit: int) -> list[Document]:
        """Returns a visible session's messages after a position, in order."""
        table = t.messages
        return await self._documents(
            select_kind(Kind.MESSAGE)
            .where(
                visible(Kind.MESSAGE, self._viewer),
                table.c.session_id == session_id,
                table.c.position > after,
            )
            .order_by(table.c.position)
            .limit(limit)
        )

    async def tags(self, project_id: str | None) -> list[Document]:
        """Returns tags in use with how many sessions and patterns carry them."""
        counts: dict[str, dict[str, int]] = {}
        for kind, tags in ((Kind.SESSION, t.session_tags), (Kind.PATTERN, t.pattern_tags)):
            owner = t.RECORD_TABLES[kind]
            statement = (
                select(tags.c.tag, func.count().label("uses"))
                .join(
                    owner,
                    (owner.c.tenant_id == tags.c.tenant_id)
                    & (owner.c.id == tags.c[f"{kind.value}_id"]),
                )
                .where(visible(kind, self._viewer))
                .group_by(tags.c.tag)
            )
            if project_id is not None:
                statement = statement.where(owner.c.project_id == project_id)
            for row in await self._connection.execute(statement):
                of_tag = counts.setdefault(row.tag, {"sessions": 0, "patterns": 0})
                of_tag[f"{kind.value}s"] = row.uses
        return [{"tag": tag, **counts[tag]} for tag in sorted(counts)]

    async def conflicts(self, project_id: str | None) -> list[Document]:
        """Returns open conflicts, newest first."""
        table = t.conflicts
        statement = select_kind(Kind.CONFLICT).where(
            visible(Kind.CONFLICT, self._viewer), table.c.resolution.is_(None)
        )
        if project_id is not None:
            statement = statement.where(table.c.project_id == project_id)
        return await self._documents(statement.order_by(table.c.created_at.desc(), table.c.id))

    async def hidden(self, project_id: str) -> frozenset[str]:
        """Returns the ids of a project's PRIVATE records that are not the viewer's."""
        found: set[str] = set()
        for table in (t.sessions, t.checkpoints, t.patterns):
            rows = await self._connection.execute(
                select(table.c.id).where(
                    table.c.tenant_id == self._viewer.tenant_id,
                    table.c.project_id == project_id,
                    table.c.privacy_level == Privacy.PRIVATE.value,
                    table.c.owner != self._viewer.actor,
                )
            )
            found.update(row.id for row in rows)
        return frozenset(found)

    async def _listed(
        self, statement: Select[Any], kind: Kind, project_id: str | None, window: Window
    ) -> list[Document]:
        if project_id is not None:
            statement = statement.where(t.RECORD_TABLES[kind].c.project_id == project_id)
        return await self._documents(windowed(statement, kind, window))

    async def _documents(self, statement: Select[Any]) -> list[Document]:
        rows = await self._connection.execute(statement)
        # Plain texts as keys: JSON writers refuse SQLAlchemy's own kind of text.
        names = list(map(str, rows.keys()))
        return [cast("Document", dict(zip(names, row, strict=True))) for row in rows]


@cache
def select_kind(kind: Kind) -> Select[Any]:
    """Selects what the REST API shows of a kind; project names come with the rows."""
    table = t.RECORD_TABLES[kind]
    columns: list[Any] = [table.c[name] for name in document_columns(kind)]
    if kind is Kind.PROJECT:
        return select(*columns, table.c.head, table.c.epoch)
    if kind is Kind.SESSION:
        columns += [table.c.access_count, table.c.last_accessed]
    if kind not in _OF_PROJECT:
        return select(*columns)
    projects = t.projects
    return select(*columns, projects.c.slug.label("project")).join(
        projects,
        (projects.c.tenant_id == table.c.tenant_id) & (projects.c.id == table.c.project_id),
    )


def windowed(statement: Select[Any], kind: Kind, window: Window) -> Select[Any]:
    """Returns the part of a list, newest first, that a window asks for."""
    table = t.RECORD_TABLES[kind]
    if window.before is not None:
        created_at, identity = window.before
        statement = statement.where(
            or_(
                table.c.created_at < created_at,
                (table.c.created_at == created_at) & (table.c.id < identity),
            )
        )
    return statement.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(window.limit)
