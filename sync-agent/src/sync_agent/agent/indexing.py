"""The index of a replica, brought up by a process of its own.

An index needs numpy and the words of every text: more memory than all the rest of the agent,
for a moment after each sync. A process that ends gives it back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sync_agent.exchange import ModelName

if TYPE_CHECKING:
    from sync_agent.agent.linking import Place
    from sync_agent.agent.rounds import Outcome

VECTORS_WAIT = 3
"""The exit status that says that the hub does not have all vectors yet."""


class Indexers:
    """At most one process for each replica."""

    def __init__(self) -> None:
        self._running: dict[Path, subprocess.Popen[bytes]] = {}
        self._due: set[Path] = set()

    def synced(self, place: Place, outcome: Outcome) -> None:
        """Starts a process if something moved since the last one began, or vectors were waited for.

        What a sync moved before it failed counts: it may be an erasure.
        """
        if outcome.moved:
            self._due.add(place.path)
        before = self._running.get(place.path)
        status = None
        if before is not None:
            status = before.poll()
            if status is None:
                return
        if status not in {None, 0, VECTORS_WAIT}:
            self._due.add(place.path)
        waits = outcome.problem is None and status == VECTORS_WAIT
        if outcome.hub is not None and (place.path in self._due or waits):
            self._running[place.path] = subprocess.Popen(  # noqa: S603 - this program, two paths
                [
                    sys.executable,
                    "-m",
                    __name__,
                    str(place.path),
                    str(place.root),
                    _models(outcome),
                ],
                # Folders come and go, and a process cannot begin in one that is gone.
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._due.discard(place.path)

    def end(self) -> None:
        """Ends the processes that still run: what they have not done is done after a later sync."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
            process.wait()


def bring_up(path: Path, root: Path, models: Mapping[str, ModelName]) -> int:
    """Indexes what is new in a replica's projects; returns how many texts wait for vectors.

    ``models`` are those of the hub's vectors, by project.

    Raises:
        ContextError: the index cannot be written, or the hub does not give its vectors.
    """
    from sync_agent.agent.linking import hub_for, link  # noqa: PLC0415
    from sync_agent.places import index_of  # noqa: PLC0415
    from sync_agent.replica import Replica  # noqa: PLC0415
    from sync_agent.sync import Report  # noqa: PLC0415
    from sync_agent.sync.indexing import refresh_index  # noqa: PLC0415

    waiting = 0
    with Replica.open(path) as replica:
        config = hub_for(replica, root)
        if config is None:
            return 0
        with link(config) as transport:
            for row in replica.projects():
                report = Report(row.id, model=models.get(row.id))
                refresh_index(replica, index_of(path), transport, report)
                waiting += report.waiting
    return waiting


def _models(outcome: Outcome) -> str:
    return json.dumps({one.project_id: one.model for one in outcome.reports if one.model})


def main(path: str, root: str, models: str) -> int:
    """Brings an index up and returns the exit status."""
    named = {project: ModelName(*model) for project, model in json.loads(models).items()}
    return VECTORS_WAIT if bring_up(Path(path), Path(root), named) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
