"""What a replica is asked: projects, journal, records and lists, as they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Kind, Ref
from sync_agent.replica import journal, lists, projects, reading
from sync_agent.replica.file import ReplicaFile
from sync_agent.replica.model import Change, Counts, JournalRow, Listing, ProjectRow, State
from sync_agent.replica.records import text_hash

_ALL = RecordFilter()


class ReplicaReads:
    """The reading half of a replica."""

    def __init__(self, file: ReplicaFile) -> None:
        self._file = file
        self.path = file.path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    @property
    def replica_id(self) -> str:
        """The identity under which the hub knows this file."""
        return self._meta("replica_id")

    @property
    def journal_mode(self) -> str:
        """``wal``, or what this file system allows: writers and readers then take turns."""
        return self._file.journal_mode

    def projects(self) -> list[ProjectRow]:
        """Returns the projects held here, the replica's own first."""
        with self._file.reading() as connection:
            return projects.every(connection)

    def project(self, project_id: str) -> ProjectRow:
        """Returns a project.

        Raises:
            ProjectNotFound: it is not held here.
        """
        with self._file.reading() as connection:
            return projects.one(connection, project_id)

    def journal(
        self,
        project_id: str,
        *,
        states: Iterable[State] = (),
        after: int = 0,
        limit: int = -1,
    ) -> list[JournalRow]:
        """Returns rows of the journal above a number, in order; of all states unless named.

        Rows that left the sequence have negative numbers: ask with ``after=-2**62`` for them.
        """
        with self._file.reading() as connection:
            return journal.rows(connection, project_id, states=states, after=after, limit=limit)

    def entry(self, op_id: str) -> JournalRow | None:
        """Returns the journal's row of an operation."""
        with self._file.reading() as connection:
            return journal.of_operation(connection, op_id)

    def counts(self, project_id: str) -> Counts:
        """Returns how many operations are in which state, and how many conflicts are open."""
        with self._file.reading() as connection:
            return journal.counts(connection, project_id)

    def pending_count(self, project_id: str) -> int:
        """Returns how many operations the hub has not answered."""
        return self.counts(project_id).pending

    def get(self, kind: Kind, record_id: str) -> Document:
        """Returns one record, pending work shown.

        Raises:
            NotFound: there is none here; NotHeld if only the hub still has it.
            Deleted: it has been deleted.
        """
        with self._file.reading() as connection:
            return reading.get(connection, kind, record_id)

    def load(self, refs: Sequence[Ref], chosen: RecordFilter = _ALL) -> Mapping[Ref, Document]:
        """Returns the documents of those ``refs`` that are visible and pass the filter."""
        with self._file.reading() as connection:
            return reading.load(connection, refs, chosen)

    def sessions(self, **chosen: Any) -> Listing:
        """Returns sessions, newest first; filters as `lists.sessions`."""
        with self._file.reading() as connection:
            return lists.sessions(connection, **chosen)

    def checkpoints(self, **chosen: Any) -> Listing:
        """Returns checkpoints, newest first; filters as `lists.checkpoints`."""
        with self._file.reading() as connection:
            return lists.checkpoints(connection, **chosen)

    def patterns(self, **chosen: Any) -> Listing:
        """Returns patterns, newest first; filters as `lists.patterns`."""
        with self._file.reading() as connection:
            return lists.patterns(connection, **chosen)

    def messages(self, session_id: str, *, after: int = -1, limit: int = 100) -> list[Document]:
        """Returns a session's messages after a position, in order.

        Raises:
            NotFound, NotHeld, Deleted: as for the session itself.
        """
        with self._file.reading() as connection:
            reading.get(connection, Kind.SESSION, session_id)
            return lists.messages(connection, session_id, after=after, limit=limit)

    def tags(self, *, project_id: str | None = None) -> list[Document]:
        """Returns tags in use with how many sessions and patterns carry them."""
        with self._file.reading() as connection:
            return lists.tags(connection, project_id=project_id)

    def conflicts(self, *, project_id: str | None = None) -> list[Document]:
        """Returns open conflicts, newest first."""
        with self._file.reading() as connection:
            return lists.conflicts(connection, project_id=project_id)

    def changes(self, project_id: str, after_change: int, limit: int = 500) -> list[Change]:
        """Returns what an index that has come to ``after_change`` must read next, in order."""
        with self._file.reading() as connection:
            return reading.changes(connection, project_id, after_change, limit)

    # The log

    def digests(self, project_id: str, low: int, high: int) -> list[tuple[int, bytes]]:
        """Returns (seq, digest) of the events held from ``low`` to ``high``, in order."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT seq, digest FROM log WHERE project_id = ? AND seq BETWEEN ? AND ?"
                " ORDER BY seq",
                (project_id, low, high),
            ).fetchall()
        return [(seq, bytes(digest)) for seq, digest in rows]

    def seqs_of(self, project_id: str, record_ids: Iterable[str]) -> list[int]:
        """Returns the events about records and what belongs to them, in order."""
        found: set[int] = set()
        with self._file.reading() as connection:
            for identity in record_ids:
                found.update(
                    seq
                    for (seq,) in connection.execute(
                        "SELECT seq FROM log WHERE project_id = ?1"
                        " AND (record_id = ?2 OR parent_id = ?2)",
                        (project_id, identity),
                    )
                )
        return sorted(found)

    def damaged_roots(self, project_id: str) -> list[str]:
        """Returns the roots of records that are not as they were pulled."""
        with self._file.reading() as connection:
            rows = connection.execute(
                "SELECT root, base, base_hash FROM records WHERE project_id = ?"
                " AND base IS NOT NULL",
                (project_id,),
            )
            return sorted({root for root, base, hashed in rows if text_hash(base) != hashed})

    # Inside

    def _meta(self, name: str) -> str:
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])
