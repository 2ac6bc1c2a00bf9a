"""The replica as its users see it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from memory_core.clock import now
from memory_core.errors import AlreadyExists
from memory_core.ids import uuid7
from memory_core.operations import Operation
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Kind, Ref
from sync_agent.exchange import PulledPage, PushResult
from sync_agent.replica import (
    identity,
    journal,
    lists,
    projects,
    pulling,
    reading,
    renumbering,
    writing,
)
from sync_agent.replica.file import ReplicaFile, locked
from sync_agent.replica.model import (
    Applied,
    Change,
    Counts,
    JournalRow,
    Listing,
    NewProject,
    ProjectRow,
    State,
    Written,
)
from sync_agent.replica.schema import beside, make_file

_NO_COUNTS: Mapping[str, Mapping[str, int]] = {}
_ALL = RecordFilter()


class Replica:
    """A replica's file, open. Threads and processes may share the file; writers take turns.

    Every method may raise `Busy` (another process writes for more than 5 s), `Corrupt`,
    `StorageFull`, `ReplicaReadOnly` and `Unavailable`; a method that changes something has then
    changed nothing.
    """

    def __init__(self, file: ReplicaFile) -> None:
        self._file = file
        self.path = file.path

    @classmethod
    def create(cls, path: Path, project: NewProject, *, replica_id: str | None = None) -> Self:
        """Makes a replica of a project and opens it.

        ``replica_id`` is given where this file is to take the place of another.

        Raises:
            AlreadyExists: there is a file already.
            ReplicaReadOnly: the folder cannot be written.
        """
        fresh = path.with_name(f"{path.name}.new-{os.getpid()}")
        _remove(fresh)
        try:
            connection = make_file(fresh)
            try:
                _name(connection, fresh, replica_id or uuid7())
                projects.add(connection, project)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.close()
            with locked(path, exclusive=True):
                os.link(fresh, path)
        except FileExistsError as error:
            raise AlreadyExists(f"there is a replica at {path} already") from error
        finally:
            _remove(fresh)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens a replica. One whose file is a copy takes an identity of its own.

        Raises:
            ReplicaMissing: there is none.
            ReplicaTooNew: a newer version made it; it is not touched.
            Corrupt: it is damaged.
            ReplicaReadOnly: it, or its folder, cannot be written.
        """
        replica = cls(ReplicaFile(path))
        try:
            if replica._meta("fingerprint") != identity.fingerprint(path):
                replica.renumber()
        except BaseException:
            replica.close()
            raise
        return replica

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

    # Projects

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

    def add_project(self, project: NewProject) -> None:
        """Adds a project, for example the shared one; one that is there stays as it is."""
        with self._file.writing() as connection:
            projects.add(connection, project)

    def note(self, project_id: str, *, hub: str | None = None, error: str | None = None) -> None:
        """Keeps which hub a project is synchronised with, and what went wrong last."""
        with self._file.writing() as connection:
            given = {} if hub is None else {"hub": hub}
            projects.move(connection, project_id, last_error=error, **given)

    # The user's own work

    def write(
        self,
        project_id: str,
        operation: Operation,
        *,
        at: str | None = None,
        redactions: Mapping[str, Mapping[str, int]] = _NO_COUNTS,
    ) -> Written:
        """Keeps an operation as pending and shows it; it is on the disk when this returns.

        The operation must be redacted already; ``redactions`` are the counts of that by record.
        An update without a base is made against what is shown now. Repeating an operation by its
        id changes nothing.

        Raises:
            NotFound, Deleted, AlreadyExists, InvalidInput: as the hub would say it.
            NotHeld: only the hub still has the record.
        """
        return self.write_many(project_id, [operation], at=at, redactions=redactions)[0]

    def write_many(
        self,
        project_id: str,
        operations: Sequence[Operation],
        *,
        at: str | None = None,
        redactions: Mapping[str, Mapping[str, int]] = _NO_COUNTS,
    ) -> list[Written]:
        """Keeps operations in one transaction: all of them, or none.

        Raises as `write`, for the first that cannot be carried out.
        """
        moment = at or now()
        with self._file.writing() as connection:
            return [
                writing.write(connection, project_id, operation, at=moment, redactions=redactions)
                for operation in operations
            ]

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

    # Synchronising

    def apply_page(self, project_id: str, page: PulledPage) -> Applied:
        """Verifies a page of the log, then applies it and its cursor in one transaction.

        Operations whose effect has now been pulled are settled, and what is still pending is
        shown over the new base. After an erasure the write-ahead log is emptied too.

        Raises:
            PageOutOfOrder: the page was asked for at another cursor.
            EpochChanged: it is of another life of the log.
            Corrupt: the page is not what the hub's log holds; nothing is changed.
        """
        with self._file.writing() as connection:
            applied = pulling.apply_page(connection, project_id, page)
            if applied.erased:
                _set(connection, "purge", "1")
        if applied.erased:
            self.purge()
        return applied

    def store_results(self, project_id: str, results: Sequence[PushResult]) -> None:
        """Keeps the hub's answers to operations. What is shown does not change by that.

        Raises:
            Conflict: an answer is about another operation than this journal has there.
        """
        with self._file.writing() as connection:
            project = projects.one(connection, project_id)
            for result in results:
                journal.store_result(connection, project_id, result)
            journal.settle(connection, project_id, project.cursor, now())
            confirmed = max([project.confirmed, *(result.number for result in results)])
            projects.move(connection, project_id, confirmed=confirmed)

    def purge(self) -> bool:
        """Empties the write-ahead log of what was erased; False while a reader needs it."""
        done = self._file.truncate_log()
        if done and self._meta("purge") == "1":
            with self._file.writing() as connection:
                _set(connection, "purge", "0")
        return done

    # Reading

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

    # Identity

    def renumber(self, replica_id: str | None = None) -> str:
        """Takes a new identity, under which the kept operations are numbered from 1 again."""
        fresh = replica_id or uuid7()
        with self._file.writing() as connection:
            renumbering.renumber(connection)
            _name(connection, self.path, fresh)
        return fresh

    def _meta(self, name: str) -> str:
        with self._file.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])


def _set(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))


def _name(connection: sqlite3.Connection, path: Path, replica_id: str) -> None:
    _set(connection, "replica_id", replica_id)
    _set(connection, "fingerprint", identity.fingerprint(path))
    _set(connection, "made_at", now())


def _remove(path: Path) -> None:
    for each in (path, *beside(path)):
        each.unlink(missing_ok=True)
