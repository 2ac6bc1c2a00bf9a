"""A fresh replica, and a hub's log for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_agent.replica import Replica
from tests.sync_agent.replica.hubs import NEW, FakeLog


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    with Replica.create(tmp_path / ".memctx" / "replica.db", NEW) as made:
        yield made


@pytest.fixture
def log() -> FakeLog:
    return FakeLog()
