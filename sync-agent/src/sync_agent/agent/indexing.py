"""The index of a replica, brought up by a process of its own.

An index needs numpy and the words of every text: more memory than all the rest of the agent,
for a moment after each sync. A process that ends gives it back.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sync_agent.agent.linking import Place
    from sync_agent.agent.rounds import Outcome

VECTORS_WAIT = 3
"""The exit status that says that the hub does not have all vectors yet."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """A replica whose index is brought up."""

    path: Path
    root: Path
    paused: bool = False


class Indexers:
    """At most one process for each replica."""

    def __init__(self) -> None:
        self._running: dict[Path, subprocess.Popen[bytes]] = {}

    def synced(self, place: Place, outcome: Outcome) -> None:
        """Starts a process if a sync moved something, or vectors were waited for before it."""
        before = self._running.get(place.path)
        if before is not None and before.poll() is None:
            return
        waits = before is not None and before.returncode == VECTORS_WAIT
        if outcome.problem is None and outcome.hub is not None and (outcome.moved or waits):
            self._running[place.path] = subprocess.Popen(  # noqa: S603 - this program, two paths
                [sys.executable, "-m", __name__, str(place.path), str(place.root)],
                cwd=place.root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def end(self) -> None:
        """Ends the processes that still run: what they have not done is done after a later sync."""
        for process in self._running.values():
            if process.poll() is None:
                process.terminate()
            process.wait()


def bring_up(place: Place) -> int:
    """Indexes what is new in a replica, with the hub's vectors; returns how many texts wait.

    Raises:
        ContextError: the index cannot be written, or the hub cannot be asked.
    """
    from sync_agent.agent.linking import hub_for, link, options_for  # noqa: PLC0415
    from sync_agent.places import index_of  # noqa: PLC0415
    from sync_agent.replica import Replica  # noqa: PLC0415
    from sync_agent.sync.indexing import index_project  # noqa: PLC0415

    waiting = 0
    with Replica.open(place.path) as replica:
        config = hub_for(replica, place.root)
        if config is None:
            return 0
        with link(config) as transport:
            for row in replica.projects():
                options = options_for(place)
                waiting += index_project(replica, row.id, transport, index_of(place.path), options)
    return waiting


if __name__ == "__main__":
    sys.exit(VECTORS_WAIT if bring_up(Indexed(Path(sys.argv[1]), Path(sys.argv[2]))) else 0)
