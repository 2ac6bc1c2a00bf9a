"""A hub on PostgreSQL for the tests of sync under faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.sync.devices import Team, team_on
from tests.faults.team.hubs import Hubs, hubs_on, own_postgres


@pytest.fixture(scope="module")
def hubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hubs]:
    """One API process on a database of its own."""
    with own_postgres() as server, hubs_on(tmp_path_factory.mktemp("hubs"), server) as found:
        found.start()
        yield found


@pytest.fixture
def team(hubs: Hubs, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Team]:
    """A project of the test's own."""
    name = "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[:80]
    with team_on(hubs, tmp_path, name.strip("-")) as found:
        yield found
