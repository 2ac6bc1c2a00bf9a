"""Is a replica what it should be? And what to do where it is not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memory_core.errors import Corrupt, CursorExpired, EpochChanged
from memory_core.events import content_digest
from memory_core.sync.protocol import MAX_SEQS
from sync_agent.replica import Damage, Replica
from sync_agent.sync.comparing import MOST_EVENTS, differing
from sync_agent.sync.cycle import Options, sync_project
from sync_agent.sync.line import Line
from sync_agent.sync.locking import sync_lock
from sync_agent.sync.report import Report
from sync_agent.sync.transport import Wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from memory_core.records import Document
    from memory_core.sync.events import Pulled
    from sync_agent.sync.transport import Transport


@dataclass(slots=True)
class Verified:
    """What was found: ``damage`` in the file, and ``differing`` positions of the log.

    ``restored`` says that the hub's log has begun another life, which the next sync follows.
    """

    project_id: str
    damage: list[Damage] = field(default_factory=list)
    differing: list[int] = field(default_factory=list)
    restored: bool = False
    wire: Wire = field(default_factory=Wire)
    seconds: float = 0.0

    @property
    def well(self) -> bool:
        """Says whether nothing is wrong."""
        return not self.damage and not self.differing and not self.restored

    def document(self) -> Document:
        """Returns it as JSON."""
        return {
            "project_id": self.project_id,
            "well": self.well,
            "damage": [
                {"table": one.table, "key": one.key, "what": one.what} for one in self.damage
            ],
            "differing": [*self.differing],
            "restored": self.restored,
            "requests": self.wire.requests,
            "bytes_sent": self.wire.sent,
            "bytes_received": self.wire.received,
            "seconds": round(self.seconds, 3),
        }


@dataclass(slots=True)
class Repaired:
    """What a repair did: events ``fetched``, ``records`` made anew, ``full`` if all was read again.

    ``before`` and ``after`` are what was found then; ``report`` is that of the sync after it.
    """

    before: Verified
    fetched: int = 0
    records: int = 0
    full: bool = False
    after: Verified | None = None
    report: Report | None = None

    def document(self) -> Document:
        """Returns it as JSON."""
        return {
            "before": self.before.document(),
            "fetched": self.fetched,
            "records": self.records,
            "full": self.full,
            "after": None if self.after is None else self.after.document(),
            "sync": None if self.report is None else self.report.document(),
        }


def verify(replica: Replica, project_id: str, transport: Transport, options: Options) -> Verified:
    """Compares the file with its own digests, and its log with the hub's.

    Raises:
        Corrupt: so much of the file is damaged that it cannot be looked at; see `renew`.
        ContextError: as `Transport.digests`.
    """
    found = Verified(project_id)
    began, before = time.monotonic(), transport.wire.copy()
    found.damage = replica.check()
    try:
        found.differing = differing(_line(replica, project_id, transport, options))
    except (EpochChanged, CursorExpired):
        found.restored = True
    found.wire = transport.wire.since(before)
    found.seconds = time.monotonic() - began
    return found


def repair(replica: Replica, project_id: str, transport: Transport, options: Options) -> Repaired:
    """Fetches what differs and no more; reads all again where that does not mend it.

    Raises:
        Corrupt: the file or its journal is damaged; see `renew`, which builds it anew.
        SyncBusy: another process is synchronising.
        ContextError: as `Transport.digests` and `Transport.events`.
    """
    done = Repaired(verify(replica, project_id, transport, options))
    beyond = [one for one in done.before.damage if one.table not in {"records", "log"}]
    if beyond:
        raise Corrupt(f"{beyond[0].table} {beyond[0].key}: {beyond[0].what}")
    if not done.before.well and not done.before.restored:
        with sync_lock(replica.path):
            _mend(_line(replica, project_id, transport, options), done)
    done.after = verify(replica, project_id, transport, options)
    if not done.after.well:
        done.full = True
        full = Options(
            name=options.name,
            agent=options.agent,
            full=True,
            limits=options.limits,
            snapshot_above=options.snapshot_above,
        )
        done.report = sync_project(replica, project_id, transport, full)
        if done.report.problem is not None:
            raise done.report.problem
        done.after = verify(replica, project_id, transport, options)
    return done


def _mend(line: Line, done: Repaired) -> None:
    roots = line.replica.damaged_roots(line.project_id)
    seqs = {*done.before.differing, *line.replica.seqs_of(line.project_id, roots)}
    if not seqs or len(seqs) > MOST_EVENTS:
        return
    pulled = _fetched(line, sorted(seqs))
    done.fetched = len(pulled)
    done.records = len(line.replica.repair(line.project_id, pulled))


def _fetched(line: Line, seqs: list[int]) -> list[Pulled]:
    """Returns events of the hub's log, their content checked against its digest."""
    found: list[Pulled] = []
    for start in range(0, len(seqs), MAX_SEQS):
        left = set(seqs[start : start + MAX_SEQS])
        while left:
            # An answer ends where it grows long; the hub may also not have all of them.
            some = line.transport.events(line.project_id, sorted(left))
            got = left.intersection(one.event.seq for one in some)
            if not got:
                break
            found += (one for one in some if one.event.seq in got)
            left -= got
    _check(found)
    return found


def _check(pulled: Iterable[Pulled]) -> None:
    for one in pulled:
        event = one.event
        if event.content is None or event.salt is None:
            continue
        if content_digest(event.salt, event.content) != event.content_digest:
            raise Corrupt(f"event {event.seq}: the content does not match its digest")


def _line(replica: Replica, project_id: str, transport: Transport, options: Options) -> Line:
    return Line(replica, project_id, transport, options.name, options.agent, options.paused)
