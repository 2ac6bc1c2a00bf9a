"""Databases, tenants and projects for tests of the index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from context_api.adapters.sql.libpq import libpq_url
from memory_core.ids import derive_id
from tests.memory_core.recall.records import START
from tests.support.databases import app_url, template
from tests.support.servers.postgres import PostgresServer

TENANT = derive_id(START, "tenant")
OTHER = derive_id(START, "other tenant")
TABLES = (
    "index_state", "index_generations", "index_units", "chunks", "chunk_states", "chunk_vectors",
    "index_dead",
)  # fmt: skip


@dataclass(frozen=True)
class IndexDatabase:
    """A migrated database: ``url`` is the hub's role's, which row-level security binds."""

    server: PostgresServer
    name: str

    @property
    def url(self) -> str:
        """The URL as libpq takes it."""
        return libpq_url(app_url(self.server, self.name))

    def count(self, table: str, condition: str = "true") -> int:
        """Returns how many rows there are, of every tenant."""
        with self.server.connect(self.name) as connection:
            row = connection.execute(
                f"SELECT count(*) FROM {table} WHERE {condition}".encode()
            ).fetchone()
        assert row is not None
        return int(row[0])

    def run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Runs a statement as a superuser, whom row-level security does not bind."""
        with self.server.connect(self.name) as connection:
            cursor = connection.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def add_project(self, project_id: str, head: int, tenant_id: str = TENANT) -> None:
        """Adds a project whose log has ``head`` events, or moves its head."""
        self.run(
            "INSERT INTO tenants (id, name, created_at) VALUES (%s, 'team', now())"
            " ON CONFLICT DO NOTHING",
            tenant_id,
        )
        self.run(
            "INSERT INTO projects (tenant_id, id, slug, identity, remotes, head, head_digest,"
            " epoch, owner, version, last_op, seq, created_seq, created_at, updated_at, deleted,"
            " erased) VALUES (%s, %s, %s, 'slug', '[]', %s, '', %s, 'ada', 1, %s, 1, 1, now(),"
            " now(), false, false) ON CONFLICT (tenant_id, id) DO UPDATE SET head = excluded.head",
            tenant_id, project_id, f"p/{project_id}", head, project_id, project_id,
        )  # fmt: skip

    def empty(self) -> None:
        """Removes all that the index holds."""
        self.run(f"TRUNCATE {', '.join(TABLES)}")


@contextmanager
def index_database(server: PostgresServer) -> Iterator[IndexDatabase]:
    """Yields a migrated database, which is dropped afterwards."""
    name = server.create(template(server))
    try:
        yield IndexDatabase(server, name)
    finally:
        server.drop(name)
