"""Which tests a worker of pytest-xdist takes, and in which order: the longest first.

pytest-xdist begins with the files of the most tests, but the files that take minutes have few:
at the end one worker would still run containers while the others have nothing left. Files with a
``slow`` test come first, those with the longest ``timeout`` before all.

Tests of containers mostly wait. With one worker more than there are cores, theirs does nothing
else, and the others have the cores for themselves.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

CONTAINERS = ("tests/docker/test_end_to_end.py", "tests/docker/test_additions.py")
"""Build the same images, which is faster done once, and share one engine: by one worker."""
TOGETHER = "containers"
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LongestFirst(LoadFileScheduling):
    """Whole files in the order of the collection, the files of containers as if they were one."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return TOGETHER if file in CONTAINERS else file

    def _reschedule(self, node: WorkerController) -> None:
        if (
            self.numnodes > CORES
            and TOGETHER in self.assigned_work[node]
            and not node.shutting_down
        ):
            # It ends what it has; nothing more comes.
            node.shutdown()
        else:
            super()._reschedule(node)


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Returns tests file by file, the files that take longest first, as their marks tell."""
    files: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        files[item.nodeid.split("::", 1)[0]].append(item)
    ordered = sorted(files.items(), key=lambda found: _weight(*found), reverse=True)
    return [item for _, found in ordered for item in found]


def _weight(file: str, items: Sequence[pytest.Item]) -> tuple[bool, float, int]:
    slow = [item for item in items if item.get_closest_marker("slow")]
    marks = [mark for item in slow if (mark := item.get_closest_marker("timeout"))]
    allowed = max((float(mark.args[0]) for mark in marks), default=0.0)
    return file in CONTAINERS, allowed if slow else -1.0, len(items)
