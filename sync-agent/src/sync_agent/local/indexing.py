"""Keeps the index of a replica as new as the replica."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from memory_core.embedding.port import Embedder
from memory_core.local_index import LocalIndex
from memory_core.recall.indexed import index_record
from memory_core.records import RECALLED_KINDS
from sync_agent.replica import Replica

BATCH = 500
FEW = 64
"""Texts that a command embeds itself; more are left to the agent."""

EMBED_BATCH = 32


def bind(replica: Replica, index: LocalIndex) -> int:
    """Makes an index that was made of another replica file anew; returns how much it indexed.

    The index says how far it is by the replica's change numbers, which mean nothing in another
    file: one that was built anew, or a copy; and it keeps texts by the project's id, which a hub
    may change. Vectors stay for the texts that are still there, and for no other.
    """
    found, rows = replica.path.stat(), replica.projects()
    own = " ".join(row.id for row in rows if row.role == "own")
    about = f"{replica.replica_id} {found.st_ino} {own}".encode()
    source = int.from_bytes(hashlib.sha256(about).digest()[:7], "big")
    if not index.bind(source):
        return 0
    done = sum(_catch_up(replica, index, row.id)[0] for row in rows)
    index.purge()
    return done


def catch_up(replica: Replica, index: LocalIndex, project_id: str) -> int:
    """Indexes what has changed in a project since the index last looked; returns how much.

    What was removed leaves nothing in the index's files.
    """
    done, removed = _catch_up(replica, index, project_id)
    if removed:
        index.purge()
    return done


def _catch_up(replica: Replica, index: LocalIndex, project_id: str) -> tuple[int, int]:
    """Returns how many changes were indexed, and how many records were removed by them."""
    done = removed = 0
    at = index.progress(project_id).lexical_seq
    while changes := replica.changes(project_id, at, BATCH):
        at = changes[-1].change_no
        records = [
            # The index counts in changes: what is pending has no place in the log yet.
            replace(index_record(each.ref, each.document, each.session), seq=each.change_no)
            for each in changes
            if each.document is not None and each.ref.kind in RECALLED_KINDS
        ]
        gone = [
            each.ref
            for each in changes
            if each.document is None and each.ref.kind in RECALLED_KINDS
        ]
        index.apply(project_id, at, records, gone)
        done += len(changes)
        removed += len(gone)
    return done, removed


def embed_waiting(index: LocalIndex, embedder: Embedder, *, most: int | None = None) -> int:
    """Embeds texts that wait for their vectors; returns how many.

    With ``most`` nothing is done where more than that wait. Where the index has vectors of
    another model nothing is done either: who synchronises decides about the model.

    Raises:
        EmbeddingFailed: the model could not embed a text.
    """
    model = index.model()
    if model is not None and model[0] != embedder.model:
        return 0
    waiting = index.pending_texts(EMBED_BATCH if most is None else most + 1)
    if not waiting or (most is not None and len(waiting) > most):
        return 0
    if model is None:
        index.use_model(embedder.model, embedder.dimension)
    done = 0
    while waiting:
        for start in range(0, len(waiting), EMBED_BATCH):
            part = waiting[start : start + EMBED_BATCH]
            vectors = embedder.embed([text for _, text in part])
            found = [(hashed, row) for (hashed, _), row in zip(part, vectors, strict=True)]
            index.put_vectors(embedder.model, found)
        done += len(waiting)
        waiting = index.pending_texts(EMBED_BATCH)
    return done
