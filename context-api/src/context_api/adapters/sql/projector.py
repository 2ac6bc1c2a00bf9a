"""Writes what events do to the read models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.database import Shortcuts
from context_api.adapters.sql.dialect import Dialect, upsert
from context_api.adapters.sql.rows import (
    document_columns,
    keep_columns,
    redaction_rows,
    to_document,
    to_row,
)
from memory_core.events import Event, genesis
from memory_core.ids import uuid7
from memory_core.projection import Effects, apply
from memory_core.records import Document, Kind, Ref

_IN_CHUNK = 500
# Rows that others refer to go first.
_ORDER = (
    Kind.PROJECT,
    Kind.SESSION,
    Kind.MESSAGE,
    Kind.CHECKPOINT,
    Kind.PATTERN,
    Kind.CONFLICT,
)


class Projector:
    """The records of a tenant as one transaction sees them, with its own changes on top."""

    def __init__(
        self,
        connection: AsyncConnection,
        tenant_id: str,
        dialect: Dialect,
        shortcuts: Shortcuts | None = None,
    ) -> None:
        self._connection = connection
        self._tenant_id = tenant_id
        self._dialect = dialect
        self._shortcuts = shortcuts
        self._seen: dict[Ref, Document | None] = {}

    def forget(self) -> None:
        """Drops what was read, so that the next look goes to the database."""
        self._seen.clear()

    @property
    def seen(self) -> Mapping[Ref, Document | None]:
        """What was read or written, and what was found not to be there."""
        return self._seen

    def see(self, documents: Mapping[Ref, Document]) -> None:
        """Takes note of documents that were written."""
        self._seen.update(documents)

    def miss(self, refs: Iterable[Ref]) -> None:
        """Takes note of records that are not there."""
        self._seen.update(dict.fromkeys(refs))

    async def documents(self, refs: Iterable[Ref]) -> dict[Ref, Document]:
        """Returns the documents of those ``refs`` that exist."""
        wanted = list(refs)
        for kind in _ORDER:
            missing = [ref.id for ref in wanted if ref.kind is kind and ref not in self._seen]
            for start in range(0, len(missing), _IN_CHUNK):
                await self._read(kind, missing[start : start + _IN_CHUNK])
        found = {ref: self._seen.get(ref) for ref in wanted}
        return {ref: document for ref, document in found.items() if document is not None}

    async def _read(self, kind: Kind, ids: Sequence[str]) -> None:
        if self._shortcuts is not None:
            found = await self._shortcuts.documents(kind, ids)
        else:
            table = t.RECORD_TABLES[kind]
            columns = [table.c[name] for name in document_columns(kind)]
            rows = await self._connection.execute(
                select(*columns).where(table.c.tenant_id == self._tenant_id, table.c.id.in_(ids))
            )
            found = [to_document(kind, row) for row in rows.mappings()]
        self._seen.update({Ref(kind, identity): None for identity in ids})
        self._seen.update({Ref(kind, str(document["id"])): document for document in found})

    async def project(self, events: Sequence[Event]) -> None:
        """Applies ``events`` and writes what they change, each document once."""
        await self.documents(_touched(events))
        changed: dict[Ref, Document] = {}
        before_tags = {ref: _tags(document) for ref, document in self._seen.items()}
        for event in events:
            effects = apply(event, self._seen.get)
            self._seen.update(effects.documents)
            changed.update(effects.documents)
            if effects.erased_record is not None:
                changed = await self._erase(event, effects, changed)
        for kind in _ORDER:
            documents = {ref: doc for ref, doc in changed.items() if ref.kind is kind}
            if documents:
                await self._write(kind, list(documents.values()))
                await self._write_tags(kind, documents, before_tags)
        await self._write_beside(events)

    async def _write(self, kind: Kind, documents: Sequence[Document]) -> None:
        rows = [to_row(kind, self._tenant_id, document) for document in documents]
        if kind is Kind.PROJECT:
            for row in rows:
                row.update(head=0, head_digest=genesis(row["id"]), epoch=uuid7())
        statement = upsert(self._dialect, t.RECORD_TABLES[kind], keep_columns(kind))
        await self._connection.execute(statement, rows)

    async def _write_tags(
        self, kind: Kind, documents: dict[Ref, Document], before: dict[Ref, frozenset[str]]
    ) -> None:
        if kind is Kind.PROJECT:
            await self._write_remotes(documents)
        table = {Kind.SESSION: t.session_tags, Kind.PATTERN: t.pattern_tags}.get(kind)
        if table is None:
            return
        column = table.c[f"{kind.value}_id"]
        for ref, document in documents.items():
            tags = _tags(document)
            if tags == before.get(ref, frozenset()):
                continue
            await self._connection.execute(
                delete(table).where(table.c.tenant_id == self._tenant_id, column == ref.id)
            )
            await self._insert(
                table,
                [
                    {"tenant_id": self._tenant_id, column.name: ref.id, "tag": tag}
                    for tag in sorted(tags)
                ],
            )

    async def _write_remotes(self, documents: dict[Ref, Document]) -> None:
        table = t.project_remotes
        for ref, document in documents.items():
            remotes = document.get("remotes")
            await self._connection.execute(
                delete(table).where(
                    table.c.tenant_id == self._tenant_id, table.c.project_id == ref.id
                )
            )
            await self._insert(
                table,
                [
                    {"tenant_id": self._tenant_id, "remote": remote, "project_id": ref.id}
                    for remote in (remotes if isinstance(remotes, list) else [])
                ],
            )

    async def _write_beside(self, events: Sequence[Event]) -> None:
        """Writes the counts of what was redacted."""
        await self._insert(
            t.privacy_audit,
            [row for event in events for row in redaction_rows(self._tenant_id, event)],
        )

    async def _insert(self, table: Any, rows: list[dict[str, Any]]) -> None:
        if rows:
            await self._connection.execute(insert(table), rows)

    async def _erase(
        self, event: Event, effects: Effects, changed: dict[Ref, Document]
    ) -> dict[Ref, Document]:
        """Removes what the erased record held, and drops pending writes of its children."""
        identity = event.record_id
        await self._erase_content(event)
        children = [t.conflicts]
        if event.kind is Kind.SESSION:
            children += [t.messages, t.checkpoints]
        for table in children:
            parent = table.c.record_id if table is t.conflicts else table.c.session_id
            await self._connection.execute(
                delete(table).where(table.c.tenant_id == self._tenant_id, parent == identity)
            )
        if event.kind is not Kind.SESSION:
            return changed
        orphans = {
            ref
            for ref, document in self._seen.items()
            if document is not None and document.get("session_id") == identity
        }
        for ref in orphans:
            self._seen[ref] = None
        return {ref: document for ref, document in changed.items() if ref not in orphans}

    async def _erase_content(self, event: Event) -> None:
        log = t.events
        about = and_(
            log.c.tenant_id == self._tenant_id,
            or_(log.c.record_id == event.record_id, log.c.parent_id == event.record_id),
            log.c.seq < event.seq,
        )
        operations = select(log.c.op_id).where(about).scalar_subquery()
        await self._connection.execute(
            update(log)
            .where(log.c.tenant_id == self._tenant_id, log.c.op_id.in_(operations))
            .values(op_hash=None)
        )
        await self._connection.execute(update(log).where(about).values(content=None, salt=None))


def _touched(events: Sequence[Event]) -> set[Ref]:
    """Returns the records whose documents projecting ``events`` may look at."""
    refs = {Ref(event.kind, event.record_id) for event in events}
    of_session = (Kind.MESSAGE, Kind.CHECKPOINT)
    return refs | {
        Ref(Kind.SESSION, event.parent_id)
        for event in events
        if event.parent_id is not None and event.kind in of_session
    }


def _tags(document: Document | None) -> frozenset[str]:
    value = (document or {}).get("tags")
    return frozenset(str(tag) for tag in value) if isinstance(value, list) else frozenset()
