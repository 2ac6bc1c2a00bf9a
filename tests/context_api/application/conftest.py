"""Fixtures of the tests of the use cases."""

from __future__ import annotations

from tests.support.databases import hub_database
from tests.support.servers.fixtures import postgres_server

__all__ = ["hub_database", "postgres_server"]
