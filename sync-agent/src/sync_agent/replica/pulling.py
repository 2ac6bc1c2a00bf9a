"""Pages of the hub's log: verified, then applied in one transaction with the cursor."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from memory_core.canonical import canonical_json
from memory_core.clock import now
from memory_core.errors import Corrupt, EpochChanged
from memory_core.events import Event, verify_event
from memory_core.projection import apply
from memory_core.records import Kind, Ref
from memory_core.sync.events import Pulled
from sync_agent.errors import PageOutOfOrder
from sync_agent.exchange import PulledPage
from sync_agent.replica import erasing, journal, projects
from sync_agent.replica.failpoints import reached
from sync_agent.replica.model import Applied, ProjectRow
from sync_agent.replica.rebase import UPDATES, changed_fields
from sync_agent.replica.records import Records
from sync_agent.replica.showing import refresh
from sync_agent.replica.working import WorkingRecords

_PARTS = (Kind.MESSAGE, Kind.CHECKPOINT)


def verify(project: ProjectRow, page: PulledPage) -> None:
    """Checks that a page is whole and follows what the replica holds.

    Raises:
        PageOutOfOrder: it was asked for at another cursor.
        EpochChanged: it is of another life of the log.
        Corrupt: an event, the chain of digests or the page's end is not as it must be.
    """
    if page.after != project.cursor:
        raise PageOutOfOrder(f"the page follows {page.after}, the replica is at {project.cursor}")
    if project.epoch is not None and page.epoch != project.epoch:
        raise EpochChanged
    chain, seq = project.chain, project.cursor
    for pulled in page.items:
        event = pulled.event
        seq += 1
        if event.seq != seq or event.project_id != project.id:
            raise Corrupt(f"the page holds event {event.seq} where {seq} must be")
        verify_event(chain, event)
        chain = event.digest
    if page.next_after != seq or page.digest != chain or page.head < seq:
        raise Corrupt("the page does not end where it says")
    if page.up_to_date != (page.head == seq):
        raise Corrupt("the page does not say truly whether more follows")


def apply_page(connection: sqlite3.Connection, project_id: str, page: PulledPage) -> Applied:
    """Applies a verified page inside a transaction.

    Raises:
        PageOutOfOrder, EpochChanged, Corrupt: as `verify`; then nothing is changed.
    """
    project = projects.one(connection, project_id)
    verify(project, page)
    before_op = _op_at(connection, project_id, project.cursor)
    records = WorkingRecords(connection, project_id, project.change_no)
    erased: list[Ref] = []
    write_log(connection, project_id, page.items)
    reached("page-log-written")
    had_text = False
    for pulled in page.items:
        had_text |= _takes_text_away(records, pulled)
        take(records, pulled, erased)
    records.flush()
    known = _knows(connection, project_id, page)
    for ref in erased:
        had_text |= erasing.wipe(records, ref, page.acked.number if known else 0)
    reached("page-records-written")
    ended = _ended_operations(page, before_op)
    acked = page.acked.number if known and page.up_to_date else 0
    left = journal.arrived(
        connection, project_id, cursor=page.next_after, acked=acked, op_ids=ended
    )
    journal.lift(connection, project_id, (number for number, _ in left))
    at = now()
    journal.settle(connection, project_id, page.next_after, at)
    roots = records.touched | {root for _, root in left}
    if page.actor != project.actor:
        roots |= _worked_on(connection, project_id)
    refresh(records, page.actor, roots)
    projects.move(
        connection, project_id, epoch=page.epoch, cursor=page.next_after, chain=page.digest,
        head=page.head, actor=page.actor, doc=canonical_json(page.project).decode(),
        slug=str(page.project.get("slug") or project.slug), change_no=records.change_no,
        last_sync_at=at, last_error=None,
    )  # fmt: skip
    reached("page-cursor-written")
    return Applied(
        cursor=page.next_after,
        events=len(page.items),
        settled=tuple(number for number, _ in left),
        erased=tuple(erased),
        acked_known=known,
        leaves_remains=had_text,
    )


def take(records: WorkingRecords, pulled: Pulled, erased: list[Ref]) -> None:
    """Applies one event to the records that do not have it yet."""
    event = pulled.event
    ref = Ref(event.kind, event.record_id)
    if pulled.withheld:
        records.take_away(ref, event.seq)
        if event.type.value.endswith(".erased"):
            # What was said from here, before it was hidden, is erased all the same.
            erased.append(ref)
        return
    if _is_of_evicted(records, event):
        records.pass_over(ref, event.seq)
        return
    effects = apply(event, records.lookup)
    for changed, document in effects.documents.items():
        # A record that came with a snapshot may be ahead of the log's page.
        if records.seq(changed) < event.seq:
            records.put(changed, document, event.seq)
    if effects.erased_record is not None:
        records.take_parts_away(effects.erased_record, event.seq)
        erased.append(effects.erased_record)


def _takes_text_away(records: WorkingRecords, pulled: Pulled) -> bool:
    """Says whether an event ends what is held of a record."""
    event = pulled.event
    if not pulled.withheld and not event.type.value.endswith(".erased"):
        return False
    held = records.lookup(Ref(event.kind, event.record_id))
    return held is not None and not held.get("erased")


def _is_of_evicted(records: WorkingRecords, event: Event) -> bool:
    """Says whether an event is about something of which only the hub keeps the content."""
    if event.type.value.endswith(".erased"):
        return False
    ref = Ref(event.kind, event.record_id)
    if records.is_evicted(ref):
        return True
    if event.kind in _PARTS and event.parent_id is not None:
        return records.is_evicted(Ref(Kind.SESSION, event.parent_id))
    if event.kind is Kind.CONFLICT and event.parent_id is not None:
        about = (Kind.SESSION, Kind.PATTERN)
        return any(records.is_evicted(Ref(kind, event.parent_id)) for kind in about)
    return False


def write_log(connection: sqlite3.Connection, project_id: str, items: Iterable[Pulled]) -> None:
    """Writes the headers of events; content lies in the records."""
    connection.executemany(
        "INSERT OR REPLACE INTO log (project_id, seq, type, kind, record_id, parent_id, op_id,"
        " digest, fields) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (project_id, event.seq, event.type.value, event.kind.value, event.record_id,
             event.parent_id, event.op_id, event.digest, _fields(event))
            for event in (pulled.event for pulled in items)
        ],
    )  # fmt: skip


def _fields(event: Event) -> str | None:
    fields = changed_fields(event) if event.type in UPDATES else frozenset()
    return json.dumps(sorted(fields)) if fields else None


def _op_at(connection: sqlite3.Connection, project_id: str, seq: int) -> str | None:
    row = connection.execute(
        "SELECT op_id FROM log WHERE project_id = ? AND seq = ?", (project_id, seq)
    ).fetchone()
    return None if row is None else str(row[0])


def _ended_operations(page: PulledPage, before: str | None) -> set[str]:
    """Returns the operations whose last event has been pulled."""
    ops = [pulled.event.op_id for pulled in page.items]
    ended = set(ops) | ({before} if before is not None else set())
    last = ops[-1] if ops else before
    if last is not None and not page.up_to_date:
        # Events of one operation follow each other, and more of this one may be to come.
        ended.discard(last)
    return ended


def _knows(connection: sqlite3.Connection, project_id: str, page: PulledPage) -> bool:
    """Says whether this journal has the last operation that the hub has of it."""
    if page.acked.number == 0:
        return True
    row = connection.execute(
        "SELECT hash FROM journal WHERE project_id = ? AND number = ?",
        (project_id, page.acked.number),
    ).fetchone()
    return row is not None and bytes(row[0]) == page.acked.hash


def _worked_on(connection: sqlite3.Connection, project_id: str) -> set[str]:
    rows = connection.execute(
        "SELECT DISTINCT root FROM journal WHERE overlaid = 1 AND project_id = ?", (project_id,)
    )
    return {root for (root,) in rows}


def settle(connection: sqlite3.Connection, project_id: str) -> list[int]:
    """Settles what the answers and the cursor allow, without a page."""
    project = projects.one(connection, project_id)
    left = journal.arrived(connection, project_id, cursor=project.cursor, acked=0, op_ids=())
    journal.lift(connection, project_id, (number for number, _ in left))
    journal.settle(connection, project_id, project.cursor, now())
    records = Records(connection, project_id, project.change_no)
    refresh(records, project.actor, {root for _, root in left})
    projects.move(connection, project_id, change_no=records.change_no)
    return [number for number, _ in left]
