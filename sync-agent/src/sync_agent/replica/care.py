"""The care of a replica: identity, limits, erased text, damage, rebuilding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from memory_core.clock import now
from memory_core.ids import uuid7
from memory_core.records import Document, Kind, Ref
from memory_core.sync.events import Pulled
from sync_agent.replica import (
    carrying,
    checking,
    evicting,
    forgetting,
    journal,
    projects,
    renumbering,
    repairing,
    snapshot,
)
from sync_agent.replica.meta import set_identity, set_meta
from sync_agent.replica.model import Damage, JournalRow, Limits
from sync_agent.replica.queries import ReplicaReads
from sync_agent.replica.schema import remove_damaged

_DEFAULT_LIMITS = Limits()


class ReplicaCare(ReplicaReads):
    """What an engine does to a replica beside applying pages and keeping operations."""

    # Identity

    def renumber(self, replica_id: str | None = None) -> str:
        """Takes a new identity, under which the kept operations are numbered from 1 again."""
        fresh = replica_id or uuid7()
        with self._file.writing() as connection:
            renumbering.renumber(connection)
            set_identity(connection, self.path, fresh)
        return fresh

    def carry(self, rows: Iterable[JournalRow], *, replica_id: str | None = None) -> int:
        """Takes over another file's journal, and its identity if that is named.

        What the hub had answered but was not pulled is pending again. Returns how many rows.
        """
        with self._file.writing() as connection:
            taken = carrying.carry(connection, rows)
            if replica_id is not None:
                set_meta(connection, "replica_id", replica_id)
        return taken

    def reopen(self, project_id: str, *, after: int = 0) -> int:
        """Makes settled operations above a number pending again; returns how many.

        For a hub restored from a backup: it lacks what was pushed since.
        """
        with self._file.writing() as connection:
            return carrying.reopen(connection, project_id, after)

    def rekey(self, old: str, new: str) -> None:
        """Gives a project that was never synchronised the id under which the hub knows it.

        Raises:
            Conflict: it was synchronised already.
            AlreadyExists: the replica holds a project of the other id.
        """
        with self._file.writing() as connection:
            carrying.rekey(connection, old, new)

    # Records beside the log's pages

    def put_records(self, project_id: str, items: Sequence[tuple[Kind, Document]]) -> int:
        """Stores documents as the hub shows them, those newer than what is held.

        For a snapshot (sessions before what belongs to them) and for what was evicted.
        """
        with self._file.writing() as connection:
            stored = snapshot.put(connection, project_id, items)
        self.purge_if_due()
        return stored

    def place(self, project_id: str, *, epoch: str, seq: int, digest: bytes, actor: str) -> None:
        """Starts the log of a project at ``seq``: what lies before came as a snapshot."""
        with self._file.writing() as connection:
            projects.move(
                connection, project_id, epoch=epoch, cursor=seq, floor=seq, chain=digest,
                actor=actor,
            )  # fmt: skip
            carrying.show(connection, project_id, None)

    def forget(self, project_id: str) -> None:
        """Lets a project begin its log again; its journal stays, and what is shown of that.

        Only for a file that is not in use yet, or holds nothing of the project: reads find
        nothing of it until the log has been pulled.
        """
        with self._file.writing() as connection:
            forgetting.forget(connection, project_id)

    def repair(self, project_id: str, pulled: Sequence[Pulled]) -> list[Ref]:
        """Puts events of the log right, and the records that all their events are given of.

        Returns the records that were made anew.
        """
        with self._file.writing() as connection:
            return repairing.repair(connection, project_id, pulled)

    # Limits

    def evict(
        self, project_id: str, limits: Limits = _DEFAULT_LIMITS, *, at: str | None = None
    ) -> list[Ref]:
        """Forgets what is over the limits, least recently used first; returns what.

        Pending, pinned and disputed records never go. See `evicting.evict`.
        """
        with self._file.writing() as connection:
            gone = evicting.evict(connection, project_id, limits, at or now())
        if gone:
            with self._file.writing() as connection:
                connection.execute("PRAGMA incremental_vacuum").fetchall()
        return gone

    def pin(self, kind: Kind, record_id: str, *, pinned: bool = True) -> None:
        """Keeps a record, and the session it belongs to, from being evicted."""
        with self._file.writing() as connection:
            connection.execute(
                "UPDATE records SET pinned = ? WHERE id = ? AND kind = ?",
                (int(pinned), record_id, kind.value),
            )

    def mark_used(self, refs: Iterable[Ref], *, at: str | None = None) -> None:
        """Notes that records were used, and with them the sessions they belong to."""
        moment = at or now()
        with self._file.writing() as connection:
            connection.executemany(
                "UPDATE records SET used_at = ?1 WHERE kind = ?3 AND id = ?2"
                " OR kind = 'session' AND id ="
                " (SELECT root FROM records WHERE id = ?2 AND kind = ?3)",
                [(moment, ref.id, ref.kind.value) for ref in refs],
            )

    def prune(self, *, at: str | None = None) -> int:
        """Deletes operations settled or discarded more than 30 days ago; returns how many."""
        with self._file.writing() as connection:
            return journal.prune(connection, at or now())

    def discard(self, op_id: str) -> None:
        """Lets go of a rejected operation.

        Raises:
            NotFound: there is none of that id.
            Conflict: it was not rejected.
        """
        with self._file.writing() as connection:
            journal.discard(connection, op_id, now())

    # Damage

    def purge(self) -> bool:
        """Takes what is left of erased text out of the files; False while others need them.

        Nobody can say what damaged files that were set aside still hold of it: they go whole.
        """
        done = self._file.rewrite()
        if done and self._meta("purge") == "1":
            remove_damaged(self.path)
            with self._file.writing() as connection:
                set_meta(connection, "purge", "0")
        return done

    def purge_if_due(self) -> None:
        """Takes what is left of erased text out of the files, if that was not done since.

        Whoever erased may have died before it could, or a reader was in the way.
        """
        if self._meta("purge") == "1":
            self.purge()

    def truncate_log(self) -> bool:
        """Empties the write-ahead log into the file; False while a reader needs it."""
        return self._file.truncate_log()

    def check(self) -> list[Damage]:
        """Returns what in the file is not as it was written; an empty list if all is well.

        Raises:
            Corrupt: so much is damaged that it cannot even be looked at.
        """
        with self._file.reading() as connection:
            return checking.check(connection)

    @staticmethod
    def salvage(path: Path) -> checking.Salvage:
        """Returns what can still be read of a damaged file's journal. The file is not touched."""
        return checking.salvage(path)
