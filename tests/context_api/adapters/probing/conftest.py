"""Servers for the tests of this folder."""

from tests.support.servers.fixtures import chroma_server, postgres_server, redis_server

__all__ = ["chroma_server", "postgres_server", "redis_server"]
