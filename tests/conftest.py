"""How the whole suite is run: see `tests.support.scheduling`."""

from __future__ import annotations

import pytest

from tests.support.scheduling import LongestFirst, longest_first


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config) -> LongestFirst | None:
    """Takes the place of what `--dist loadfile` gives."""
    return LongestFirst(config) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Orders the tests for workers; without any they run as they stand."""
    if hasattr(config, "workerinput"):
        items[:] = longest_first(items)
