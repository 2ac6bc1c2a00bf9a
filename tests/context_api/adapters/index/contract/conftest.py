"""Each test of the contract runs on both stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.context_api.adapters.index.contract.stores import Held, HeldRows, held_file
from tests.memory_core.recall.records import PROJECT


@pytest.fixture(params=["file", "rows"])
def held(request: pytest.FixtureRequest) -> Iterator[Held]:
    if request.param == "file":
        with held_file() as found:
            yield found
    else:
        database, pool = (request.getfixturevalue(name) for name in ("database", "pool"))
        yield HeldRows(database, pool, PROJECT)
