"""The index of a replica made as new as the replica, with the vectors that the hub has."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from memory_core.errors import Corrupt
from sync_agent.sync.vectors import fetch_vectors

if TYPE_CHECKING:
    from memory_core.local_index import LocalIndex
    from sync_agent.replica import Replica
    from sync_agent.sync.report import Report
    from sync_agent.sync.transport import Transport


def refresh_index(replica: Replica, path: Path, transport: Transport, report: Report) -> None:
    """Indexes what has changed in the report's project, and asks the hub for vectors.

    The report gets the counts. An index that is damaged is made anew: it holds nothing of its
    own.

    Raises:
        ContextError: the index cannot be written now, or the hub did not give its vectors; words
            are found all the same.
    """
    from sync_agent.local.indexing import bind, catch_up  # noqa: PLC0415 - numpy, stemmer

    with closing(_opened(path)) as index:
        report.indexed = bind(replica, index)
        report.indexed += catch_up(replica, index, report.project_id)
        if report.model is not None:
            report.vectors = fetch_vectors(index, transport, report.project_id, report.model)
            report.waiting = index.progress(report.project_id).pending


def _opened(path: Path) -> LocalIndex:
    from memory_core.local_index import LocalIndex  # noqa: PLC0415

    try:
        return LocalIndex.open(path)
    except Corrupt:
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        return LocalIndex.open(path)
