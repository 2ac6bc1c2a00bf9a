"""Which rows a viewer may see, as SQL conditions used by every read path."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, exists, not_, or_, select, true

from context_api.adapters.sql import tables as t
from context_api.application.ports import Viewer
from memory_core.records import Kind, Privacy


def of_viewer(table: Table, viewer: Viewer, project_column: str = "project_id") -> Any:
    """Returns the condition that a row lies in the viewer's tenant and granted projects."""
    conditions = [table.c.tenant_id == viewer.tenant_id]
    if viewer.project_ids is not None:
        conditions.append(table.c[project_column].in_(sorted(viewer.project_ids)))
    return and_(*conditions)


def _readable(table: Table, viewer: Viewer) -> ColumnElement[bool]:
    if viewer.sees_private:
        return table.c.deleted.is_(False)
    private = table.c.privacy_level == Privacy.PRIVATE.value
    return and_(
        table.c.deleted.is_(False), or_(private.is_not(true()), table.c.owner == viewer.actor)
    )


def _in_readable_session(table: Table, viewer: Viewer) -> ColumnElement[bool]:
    return exists(
        select(t.sessions.c.id).where(
            t.sessions.c.tenant_id == table.c.tenant_id,
            t.sessions.c.id == table.c.session_id,
            _readable(t.sessions, viewer),
        )
    )


def _about_readable(viewer: Viewer) -> ColumnElement[bool]:
    """A conflict shows values of its record, so only who may read that may read it."""
    conflicts = t.conflicts
    hidden = [
        exists(
            select(table.c.id).where(
                table.c.tenant_id == conflicts.c.tenant_id,
                table.c.id == conflicts.c.record_id,
                table.c.privacy_level == Privacy.PRIVATE.value,
                table.c.owner != viewer.actor,
            )
        )
        for table in (t.sessions, t.patterns)
    ]
    return not_(or_(*hidden))


@lru_cache(maxsize=1_024)
def visible(kind: Kind, viewer: Viewer) -> ColumnElement[bool]:
    """Returns the condition that a row of ``kind`` exists for ``viewer``.

    Kept, because it is built of many parts and asked for by every read.
    """
    table = t.RECORD_TABLES[kind]
    match kind:
        case Kind.PROJECT:
            return and_(of_viewer(table, viewer, "id"), table.c.deleted.is_(False))
        case Kind.MESSAGE:
            own = and_(table.c.deleted.is_(False), _in_readable_session(table, viewer))
        case Kind.CHECKPOINT:
            own = and_(
                _readable(table, viewer),
                or_(table.c.session_id.is_(None), _in_readable_session(table, viewer)),
            )
        case Kind.CONFLICT:
            own = _about_readable(viewer)
        case Kind.SESSION | Kind.PATTERN:
            own = _readable(table, viewer)
    return and_(of_viewer(table, viewer), own)
