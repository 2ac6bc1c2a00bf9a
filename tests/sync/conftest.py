"""Fixtures of the tests of sync."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sync.hosting import TestHub, running_hubs


@pytest.fixture(scope="module")
def hub() -> Iterator[TestHub]:
    """A hub for the histories of a module, in a process of its own."""
    with running_hubs() as found:
        yield found
