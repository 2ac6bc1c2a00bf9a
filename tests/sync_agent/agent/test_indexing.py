"""The process that brings an index up is due until one began after what moved."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from memory_core.errors import Unavailable
from memory_core.local_index import LocalIndex
from sync_agent.agent.indexing import Indexers
from sync_agent.agent.registry import Registered
from sync_agent.agent.rounds import Outcome
from sync_agent.places import index_of
from sync_agent.sync import Report
from tests.sync_agent.agent.machine import Machine, wait_for

HUB = "http://127.0.0.1:1"


def test_what_a_failed_sync_moved_is_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(tmp_path / "machine")
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.setenv("MEMCTX_API_KEY", "mctx_0123456789ab_" + "k" * 43)
    repository = machine.repository("moved", HUB)
    repository.write("the parser was split")
    entry = Registered(repository.replica, repository.root, "acme/moved")
    project = repository.project().id
    outcome = Outcome(HUB, (Report(project, pulled=1),), Unavailable("the push did not go"))
    indexers = Indexers()

    def indexed() -> bool:
        with closing(LocalIndex.open(index_of(repository.replica))) as index:
            return index.progress(project).lexical_seq > 0

    indexers.synced(entry, outcome)
    wait_for(indexed, "the index")
    indexers.end()
