"""The last word on what recall may return: candidates joined to the rows as they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, exists, false, func, select, true

from context_api.adapters.sql import tables as t
from context_api.application.ports import Viewer
from memory_core.recall.ports import RecordFilter
from memory_core.records import Kind


def passing(kind: Kind, chosen: RecordFilter, viewer: Viewer) -> ColumnElement[bool]:
    """Returns the condition that a row of ``kind`` passes the filter of a search."""
    table = t.RECORD_TABLES[kind]
    if chosen.kinds and kind.value not in chosen.kinds:
        return false()
    conditions: list[ColumnElement[bool]] = [true()]
    at = table.c.started_at if kind is Kind.SESSION else table.c.created_at
    if chosen.since is not None:
        conditions.append(at >= chosen.since)
    if chosen.until is not None:
        conditions.append(at < chosen.until)
    if chosen.as_of is not None:
        conditions.append(table.c.created_seq <= chosen.as_of)
    if kind is Kind.PATTERN:
        conditions.append(table.c.deprecated.is_(False))
    elif chosen.without_session is not None:
        own = table.c.id if kind is Kind.SESSION else table.c.session_id
        conditions.append(own.is_distinct_from(chosen.without_session))
    if chosen.tags:
        conditions.append(_tagged(kind, table, chosen.tags, viewer, every=chosen.all_tags))
    return and_(*conditions)


def _tagged(
    kind: Kind, table: Table, tags: Iterable[str], viewer: Viewer, *, every: bool
) -> ColumnElement[bool]:
    """A message or checkpoint has the tags of its session."""
    wanted = sorted(tags)
    if kind is Kind.PATTERN:
        tagging, named, own = t.pattern_tags, t.pattern_tags.c.pattern_id, table.c.id
    else:
        tagging, named = t.session_tags, t.session_tags.c.session_id
        own = table.c.id if kind is Kind.SESSION else table.c.session_id
    found: Any = select(func.count()).where(
        tagging.c.tenant_id == viewer.tenant_id, named == own, tagging.c.tag.in_(wanted)
    )
    if every:
        counted: ColumnElement[bool] = found.scalar_subquery() == len(wanted)
        return counted
    return exists(
        select(tagging.c.tag).where(
            tagging.c.tenant_id == viewer.tenant_id, named == own, tagging.c.tag.in_(wanted)
        )
    )
