"""Writes a batch of records into a locked project, set by set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import LiteralString, NamedTuple

from psycopg import Connection

from context_api.adapters.index.database import Row
from context_api.adapters.index.generations import Seed, seed
from context_api.adapters.index.state import GONE, Generation, Locked
from memory_core.errors import ContextError
from memory_core.recall.ports import IndexRecord
from memory_core.recall.prepare import PreparedUnit, prepare, record_digest
from memory_core.recall.stored import TOMBSTONES, signed_fingerprint, too_many_gone
from memory_core.records import Kind, Ref

_REASON_CHARS = 500
_LARGEST = (1 << 63) - 1

# One look-up for each, by tenant and id alone: while the size of a new table is not yet known
# to the database, it would else as soon go through the whole project.
_STORED: LiteralString = """
SELECT u.project_id::text, u.kind, u.id::text, u.number, u.digest
FROM unnest(%s::uuid[]) AS asked (id), LATERAL (
    SELECT project_id, kind, id, number, digest FROM index_units
    WHERE tenant_id = %s AND id = asked.id AND alive) u
"""
_MEMBERS: LiteralString = """
SELECT kind, id::text, number FROM index_units
WHERE tenant_id = %s AND project_id = %s AND session_id = ANY(%s::uuid[]) AND alive
"""
_DROP_CHUNKS: LiteralString = """
DELETE FROM chunks WHERE tenant_id = %s AND project_id = %s AND unit = ANY(%s::bigint[])
RETURNING number, hash
"""
# The row stays so that views learn of it; what it said does not.
_BURY: LiteralString = """
UPDATE index_units SET alive = false, revision = %s, author = '', owner_id = NULL,
    session_id = NULL, fingerprint = 0, digest = ''
WHERE tenant_id = %s AND project_id = %s AND number = ANY(%s::bigint[])
"""
_INSERT_UNITS: LiteralString = """
INSERT INTO index_units (tenant_id, project_id, revision, number, kind, id, session_id, position,
    role, tool, question, author, owner_id, created, quality, size, fingerprint, seq, digest)
SELECT %s, %s, %s, * FROM unnest(%s::bigint[], %s::text[], %s::uuid[], %s::uuid[], %s::bigint[],
    %s::text[], %s::bool[], %s::bool[], %s::text[], %s::text[], %s::float8[], %s::float8[],
    %s::int[], %s::bigint[], %s::bigint[], %s::bytea[])
"""
_INSERT_CHUNKS: LiteralString = """
INSERT INTO chunks (tenant_id, project_id, unit, number, start, stop, length, hash, terms,
    frequencies)
SELECT %s, %s, * FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::int[], %s::int[],
    %s::bytea[], %s::bytea[], %s::bytea[])
"""
_FORGET: LiteralString = """
DELETE FROM chunk_vectors v WHERE v.tenant_id = %s AND v.hash = ANY(%s::bytea[])
AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.tenant_id = v.tenant_id AND c.hash = v.hash)
"""


# What was given up on stays so while its text is there.
_NOT_DEAD: LiteralString = """
DELETE FROM index_dead d USING unnest(%s::text[], %s::uuid[]) AS asked (kind, id)
WHERE d.tenant_id = %s AND d.project_id = %s AND d.kind = asked.kind AND d.record_id = asked.id
AND (d.model = '' OR NOT EXISTS (SELECT 1 FROM chunks c
    WHERE c.tenant_id = d.tenant_id AND c.hash = d.hash))
"""
_ADVANCE: LiteralString = """
UPDATE index_state SET applied_seq = greatest(applied_seq, %s), changes = changes + 1,
    revision = %s, last_unit = %s, last_chunk = %s,
    floor = CASE WHEN %s THEN %s ELSE floor END
WHERE tenant_id = %s AND project_id = %s
"""


class Prepared(NamedTuple):
    """A record as it is stored, with the digest by which a repetition is known."""

    unit: PreparedUnit
    digest: bytes


@dataclass(slots=True)
class Batch:
    """Records to replace, those to drop, and those that cannot be indexed, with the reason."""

    prepared: dict[Ref, Prepared] = field(default_factory=dict)
    deleted: set[Ref] = field(default_factory=set)
    refused: dict[Ref, str] = field(default_factory=dict)


def prepare_batch(records: Sequence[IndexRecord], deleted: Iterable[Ref]) -> Batch:
    """Cuts and counts the records: what takes longest, and needs no lock.

    A record that cannot be cut is refused with its reason and holds up no other.
    """
    batch = Batch(deleted=set(deleted))
    for record in records:
        ref = Ref(Kind(record.kind), record.id)
        batch.refused.pop(ref, None)
        try:
            batch.prepared[ref] = Prepared(prepare(record), record_digest(record))
        except ContextError as error:
            batch.prepared.pop(ref, None)
            batch.refused[ref] = f"{error.code}: {error.detail}"
    return batch


def write(
    locked: Locked,
    batch: Batch,
    upto_seq: int,
    of: Sequence[Generation],
    *,
    keep_gone: bool,
) -> None:
    """Writes a batch under a new revision and moves the progress.

    ``of`` are the generations whose vectors are made. ``keep_gone`` lets chunks that are gone
    stay known until a vector server has dropped them.
    """
    locked = locked._replace(revision=locked.revision + 1)
    sessions = [ref.id for ref in batch.deleted if ref.kind is Kind.SESSION]
    members = _members(locked, sessions)
    gone = batch.deleted | members.keys()
    stored = _stored(locked, {*batch.prepared, *batch.deleted, *batch.refused})
    fresh = {
        ref: prepared
        for ref, prepared in batch.prepared.items()
        if ref not in gone and (ref not in stored or stored[ref][1] != prepared.digest)
    }
    leaving = [number for ref, (number, _) in stored.items() if ref in gone or ref in fresh]
    leaving += [number for ref, (number, _) in stored.items() if ref in batch.refused]
    leaving += members.values()
    freed = _remove(locked, sorted(set(leaving)), keep_gone=keep_gone)
    numbers = _insert(locked, fresh, of)
    _note_refused(locked, {*batch.prepared, *gone}, batch.refused)
    forget_unused(locked.connection, locked.tenant_id, freed)
    dropped = bool(leaving) and _drop_tombstones(locked)
    locked.connection.execute(
        _ADVANCE, (upto_seq, locked.revision, *numbers, dropped, locked.revision, *locked.key)
    )


def _stored(locked: Locked, refs: Iterable[Ref]) -> dict[Ref, tuple[int, bytes]]:
    asked = set(refs)
    rows = locked.connection.execute(_STORED, ([ref.id for ref in asked], locked.tenant_id))
    found = {
        Ref(Kind(kind), identity): (number, digest)
        for project_id, kind, identity, number, digest in rows
        if project_id == locked.project_id
    }
    return {ref: stored for ref, stored in found.items() if ref in asked}


def _members(locked: Locked, sessions: Sequence[str]) -> dict[Ref, int]:
    """Returns the records that belong to sessions, themselves included, with their numbers."""
    if not sessions:
        return {}
    rows = locked.connection.execute(_MEMBERS, (*locked.key, list(sessions)))
    return {Ref(Kind(kind), identity): number for kind, identity, number in rows}


def _remove(locked: Locked, units: Sequence[int], *, keep_gone: bool) -> list[bytes]:
    """Marks records as gone; returns the hashes of chunks that may be of no use now."""
    if not units:
        return []
    run, key = locked.connection.execute, locked.key
    rows = run(_DROP_CHUNKS, (*key, list(units))).fetchall()
    numbers = [number for number, _ in rows]
    if keep_gone:
        run(
            "UPDATE chunk_states SET state = %s, revision = %s WHERE tenant_id = %s"
            " AND project_id = %s AND number = ANY(%s::bigint[])"
            " AND generation IN (SELECT generation FROM index_generations"
            " WHERE tenant_id = %s AND project_id = %s)",
            (GONE, locked.revision, *key, numbers, *key),
        )
    else:
        run(
            "DELETE FROM chunk_states WHERE tenant_id = %s AND project_id = %s"
            " AND number = ANY(%s::bigint[]) AND generation IN (SELECT generation"
            " FROM index_generations WHERE tenant_id = %s AND project_id = %s)",
            (*key, numbers, *key),
        )
    run(_BURY, (locked.revision, *key, list(units)))
    return [hashed for _, hashed in rows]


def _insert(
    locked: Locked, fresh: Mapping[Ref, Prepared], of: Sequence[Generation]
) -> tuple[int, int]:
    """Adds records with their chunks, in the order of their numbers; returns the last two."""
    number, chunk_number = locked.last_unit, locked.last_chunk
    if not fresh:
        return number, chunk_number
    units, chunks, seeds = [], [], []
    for unit, digest in fresh.values():
        number += 1
        record = unit.record
        units.append(
            (number, record.kind, record.id, record.session_id,
             max(-_LARGEST, min(_LARGEST, record.position)), _clean(record.role),
             bool(record.tool_name), unit.question, _clean(record.author),
             None if record.owner_id is None else _clean(record.owner_id), unit.created,
             record.quality, len(record.text), signed_fingerprint(unit.fingerprint), record.seq,
             digest)
        )  # fmt: skip
        for chunk in unit.chunks:
            chunk_number += 1
            chunks.append(
                (number, chunk_number, chunk.start, chunk.end, chunk.length, chunk.content_hash,
                 chunk.counts.terms.tobytes(), chunk.counts.frequencies.tobytes())
            )  # fmt: skip
            seeds.append(Seed(chunk_number, number, record.kind, chunk.content_hash, record.seq))
    run = locked.connection.execute
    run(_INSERT_UNITS, (*locked.key, locked.revision, *_columns(units)), binary=True)
    run(_INSERT_CHUNKS, (*locked.key, *_columns(chunks)), binary=True)
    seed(locked, seeds, of)
    return number, chunk_number


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _note_refused(locked: Locked, cleared: Iterable[Ref], refused: Mapping[Ref, str]) -> None:
    """Keeps the reasons of records that cannot be indexed, and drops those that now are."""
    refs = list(cleared) if locked.has_dead else []
    if refs:
        locked.connection.execute(
            _NOT_DEAD, ([ref.kind.value for ref in refs], [ref.id for ref in refs], *locked.key)
        )
    for ref, reason in refused.items():
        note_dead(locked, "", b"", ref, reason)


def note_dead(locked: Locked, model: str, hashed: bytes, ref: Ref, reason: str) -> None:
    """Keeps why a record, or a chunk of it, cannot be indexed."""
    locked.connection.execute(
        "INSERT INTO index_dead (tenant_id, project_id, model, hash, kind, record_id, reason)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (tenant_id, project_id, model, hash, kind, record_id) DO UPDATE"
        " SET reason = excluded.reason, attempts = index_dead.attempts + 1, at = now()",
        (*locked.key, model, hashed, ref.kind.value, ref.id, _clean(reason)[:_REASON_CHARS]),
    )


def forget_unused(connection: Connection[Row], tenant_id: str, freed: Sequence[bytes]) -> None:
    """Deletes vectors of texts that exist no more: erased is erased.

    Locking them first lets another project that has just found one of them commit; the
    deletion then sees its chunk.
    """
    if not freed:
        return
    hashes = sorted(set(freed))
    connection.execute(
        "SELECT 1 FROM chunk_vectors WHERE tenant_id = %s AND hash = ANY(%s::bytea[])"
        " ORDER BY hash, model FOR UPDATE",
        (tenant_id, hashes),
    )
    connection.execute(_FORGET, (tenant_id, hashes))


def _drop_tombstones(locked: Locked) -> bool:
    """Deletes the rows of records long gone once they are many; views must then read anew."""
    run, key = locked.connection.execute, locked.key
    # Few in most batches, which then count no more than these.
    gone = run(
        "SELECT count(*) FROM (SELECT 1 FROM index_units WHERE tenant_id = %s"
        " AND project_id = %s AND NOT alive LIMIT %s) AS gone",
        (*key, TOMBSTONES + 1),
    ).fetchone()
    if gone is None or gone[0] <= TOMBSTONES:
        return False
    row = run(
        "SELECT count(*), count(*) FILTER (WHERE alive) FROM index_units"
        " WHERE tenant_id = %s AND project_id = %s",
        key,
    ).fetchone()
    if row is None or not too_many_gone(*row):
        return False
    run(
        "DELETE FROM index_units WHERE tenant_id = %s AND project_id = %s AND NOT alive",
        key,
    )
    return True


def _clean(text: str) -> str:
    """Returns the text as the database can store it: NUL and lone surrogates are replaced."""
    if "\0" in text:
        text = text.replace("\0", "?")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
