"""The replica as its users see it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from memory_core.clock import now
from memory_core.errors import AlreadyExists
from memory_core.ids import uuid7
from memory_core.operations import Erase, Operation
from memory_core.recall.ports import RecordFilter
from sync_agent.exchange import PulledPage, PushResult
from sync_agent.places import check_own
from sync_agent.replica import (
    identity,
    journal,
    projects,
    pulling,
    writing,
)
from sync_agent.replica.care import ReplicaCare
from sync_agent.replica.file import ReplicaFile, locked
from sync_agent.replica.meta import set_identity, set_meta
from sync_agent.replica.model import (
    Applied,
    NewProject,
    Written,
)
from sync_agent.replica.schema import beside, make_file

_NO_COUNTS: Mapping[str, Mapping[str, int]] = {}
_ALL = RecordFilter()


class Replica(ReplicaCare):
    """A replica's file, open. Threads and processes may share the file; writers take turns.

    Every method may raise `Busy` (another process writes for more than 5 s), `Corrupt`,
    `StorageFull`, `ReplicaReadOnly` and `Unavailable`; a method that changes something has then
    changed nothing.
    """

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
                set_identity(connection, fresh, replica_id or uuid7())
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
            ReplicaNotOwn: others could have written it; it is not touched.
            ReplicaMissing: there is none.
            ReplicaTooNew: a newer version made it; it is not touched.
            Corrupt: it is damaged.
            ReplicaReadOnly: it, or its folder, cannot be written.
        """
        check_own(path)
        replica = cls(ReplicaFile(path))
        try:
            if identity.is_copy(replica._meta("fingerprint"), identity.fingerprint(path)):
                replica.renumber()
            replica.purge_if_due()
        except BaseException:
            replica.close()
            raise
        return replica

    # The user's own work

    def add_project(self, project: NewProject) -> None:
        """Adds a project, for example the shared one; one that is there stays as it is."""
        with self._file.writing() as connection:
            projects.add(connection, project)

    def note(self, project_id: str, *, hub: str | None = None, error: str | None = None) -> None:
        """Keeps which hub a project is synchronised with, and what went wrong last."""
        with self._file.writing() as connection:
            given = {} if hub is None else {"hub": hub}
            projects.move(connection, project_id, last_error=error, **given)

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
        id changes nothing. Erasing takes the content away at once in a project that was never
        synchronised, else when the hub's erasure is pulled.

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
            written = [
                writing.write(connection, project_id, operation, at=moment, redactions=redactions)
                for operation in operations
            ]
            erases = any(isinstance(operation.body, Erase) for operation in operations)
            if erases:
                set_meta(connection, "purge", "1")
        if erases:
            self.purge()
        return written

    # Synchronising

    def apply_page(self, project_id: str, page: PulledPage) -> Applied:
        """Verifies a page of the log, then applies it and its cursor in one transaction.

        Operations whose effect has now been pulled are settled, and what is still pending is
        shown over the new base. Where text was erased the file is written anew, so that nothing
        of it is left; while others read, that waits for the next page.

        Raises:
            PageOutOfOrder: the page was asked for at another cursor.
            EpochChanged: it is of another life of the log.
            Corrupt: the page is not what the hub's log holds; nothing is changed.
        """
        with self._file.writing() as connection:
            applied = pulling.apply_page(connection, project_id, page)
            if applied.leaves_remains:
                set_meta(connection, "purge", "1")
        self.purge_if_due()
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

    def settle(self, project_id: str) -> list[int]:
        """Takes operations whose effect has been pulled out of the overlay; returns their numbers.

        `apply_page` does so too; this is for answers that came after the page.
        """
        with self._file.writing() as connection:
            return pulling.settle(connection, project_id)


def _remove(path: Path) -> None:
    for each in (path, *beside(path)):
        with suppress(OSError):
            each.unlink(missing_ok=True)
