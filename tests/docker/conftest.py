"""Fixtures of the tests in this folder."""

from tests.support.servers.fixtures import postgres_server

__all__ = ["postgres_server"]
