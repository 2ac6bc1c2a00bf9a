"""Replicas and the results of their operations, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import RowMapping, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from context_api.adapters.sql import tables as t
from context_api.adapters.sql.dialect import Dialect, upsert
from context_api.application.sync.ports import Erasure, Greeting, Replica, Result
from memory_core.events import EventType

_FIELDS = tuple(field.name for field in fields(Replica))
# What a replica cannot say about itself.
_KEPT = frozenset({"actor", "last_number", "last_hash", "first_seen"})
# Each is one condition of a statement, and databases bound their number.
_PLACES = 200
_ERASED = [type_.value for type_ in EventType if type_.value.endswith(".erased")]


class ReplicaReader:
    """Reads what is kept of one tenant's replicas."""

    def __init__(self, connection: AsyncConnection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def get(self, project_id: str, replica_id: str) -> Replica | None:
        """Returns a replica of a project."""
        rows = await self._connection.execute(
            select(t.replicas).where(*self._named(project_id, replica_id))
        )
        row = rows.mappings().first()
        return None if row is None else _to_replica(row)

    async def actor_of(self, replica_id: str) -> str | None:
        """Returns whose replica it is, whatever the project."""
        table = t.replicas
        rows = await self._connection.execute(
            select(table.c.actor)
            .where(table.c.tenant_id == self._tenant_id, table.c.id == replica_id)
            .limit(1)
        )
        return rows.scalar()

    async def results(
        self, project_id: str, replica_id: str, first: int, last: int
    ) -> Mapping[int, Result]:
        """Returns the results that are kept of operations ``first`` to ``last``."""
        table = t.replica_results
        rows = await self._connection.execute(
            select(table).where(
                table.c.tenant_id == self._tenant_id,
                table.c.project_id == project_id,
                table.c.replica_id == replica_id,
                table.c.number.between(first, last),
            )
        )
        return {row["number"]: _to_result(row) for row in rows.mappings()}

    async def of_projects(self, project_ids: Sequence[str] | None) -> list[Replica]:
        """Returns the replicas of some projects, or of all, the longest known first."""
        table = t.replicas
        conditions = [table.c.tenant_id == self._tenant_id]
        if project_ids is not None:
            conditions.append(table.c.project_id.in_(project_ids))
        rows = await self._connection.execute(
            select(table).where(*conditions).order_by(table.c.first_seen, table.c.id)
        )
        return [_to_replica(row) for row in rows.mappings()]

    async def erasures(self, after: Mapping[str, int], limit: int) -> list[Erasure]:
        """Returns up to ``limit`` erasures after a position of each project's log."""
        log, left, found = t.events, list(after.items()), list[Erasure]()
        while left:
            some, left = left[:_PLACES], left[_PLACES:]
            places = [and_(log.c.project_id == one, log.c.seq > seq) for one, seq in some]
            rows = await self._connection.execute(
                select(log.c.project_id, log.c.seq, log.c.record_id)
                .where(log.c.tenant_id == self._tenant_id, log.c.type.in_(_ERASED), or_(*places))
                .order_by(log.c.recorded_at.desc(), log.c.seq.desc())
                .limit(limit - len(found))
            )
            found += [Erasure(project_id=row[0], seq=row[1], record_id=row[2]) for row in rows]
        return found

    def _named(self, project_id: str, replica_id: str) -> tuple[Any, ...]:
        table = t.replicas
        return (
            table.c.tenant_id == self._tenant_id,
            table.c.project_id == project_id,
            table.c.id == replica_id,
        )


class ReplicaWriter(ReplicaReader):
    """Keeps what one tenant's replicas say, and what their operations came to."""

    def __init__(self, connection: AsyncConnection, tenant_id: str, dialect: Dialect) -> None:
        super().__init__(connection, tenant_id)
        self._dialect = dialect

    async def greet(self, project_id: str, actor: str, said: Greeting, at: str) -> None:
        """Keeps what a replica says about itself; results it has stored are forgotten."""
        row = {
            **asdict(said), "tenant_id": self._tenant_id, "project_id": project_id,
            "actor": actor, "last_number": 0, "last_hash": None, "first_seen": at,
            "last_seen": at, "cursor_seq": said.cursor_seq or 0,
        }  # fmt: skip
        keep = _KEPT if said.cursor_seq is not None else _KEPT | {"cursor_epoch", "cursor_seq"}
        await self._connection.execute(upsert(self._dialect, t.replicas, keep), row)
        results = t.replica_results
        await self._connection.execute(
            delete(results).where(
                results.c.tenant_id == self._tenant_id,
                results.c.project_id == project_id,
                results.c.replica_id == said.id,
                results.c.number <= said.confirmed,
            )
        )

    async def move_all(
        self, project_id: str, replica_id: str, actor: str, results: Sequence[Result]
    ) -> bool:
        """Takes operations as the replica's last ones, with their results.

        False, and nothing is written, unless they follow the last one and it is ``actor``'s. The
        row stays locked until the commit, so that of two who push the same only one gets through.
        """
        moved = await self._connection.execute(
            update(t.replicas)
            .where(
                *self._named(project_id, replica_id),
                t.replicas.c.actor == actor,
                t.replicas.c.last_number == results[0].number - 1,
            )
            .values(last_number=results[-1].number, last_hash=results[-1].hash)
        )
        if moved.rowcount != 1:
            return False
        place = {
            "tenant_id": self._tenant_id, "project_id": project_id, "replica_id": replica_id
        }  # fmt: skip
        rows = [{**asdict(result), **place, "conflicts": [*result.conflicts]} for result in results]
        await self._connection.execute(insert(t.replica_results), rows)
        return True

    async def restore(self, replica: Replica) -> None:
        """Takes over a replica of a backup, unless one that is here has come further."""
        known = await self.get(replica.project_id, replica.id)
        if known is not None and known.last_number >= replica.last_number:
            return
        row = {**asdict(replica), "tenant_id": self._tenant_id}
        await self._connection.execute(upsert(self._dialect, t.replicas), row)


def _to_replica(row: RowMapping) -> Replica:
    return Replica(**{name: row[name] for name in _FIELDS})


def _to_result(row: RowMapping) -> Result:
    return Result(
        number=row["number"],
        op_id=row["op_id"],
        hash=row["hash"],
        outcome=row["outcome"],
        seq=row["seq"],
        head=row["head"],
        conflicts=tuple(row["conflicts"]),
        problem=row["problem"],
    )
