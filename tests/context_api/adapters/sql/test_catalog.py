"""What the catalog must say of every table, also of those that later revisions bring."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.support.databases import template
from tests.support.servers.postgres import PostgresServer

# Alembic's own, and what belongs to no tenant.
WITHOUT_TENANT = {"alembic_version", "db_metadata"}


@pytest.fixture(scope="module")
def catalog(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A superuser's connection to a migrated database."""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create(template(server))
    with server.connect(name) as connection:
        yield connection
    server.drop(name)


TABLES = """
SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
       EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
"""


def test_every_table_of_a_tenant_is_forced(catalog: psycopg.Connection) -> None:
    tables = {name: (forced, has) for name, forced, has in catalog.execute(TABLES).fetchall()}
    assert "events" in tables
    open_ = {name for name, (forced, has) in tables.items() if not (forced and has)}
    assert open_ == WITHOUT_TENANT


KEYS = """
SELECT c.conrelid::regclass::text, c.conname, a.attname
FROM pg_constraint c
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('p', 'u', 'f')
UNION
SELECT i.indrelid::regclass::text, i.indexrelid::regclass::text, a.attname
FROM pg_index i
JOIN pg_class t ON t.oid = i.indrelid AND t.relnamespace = 'public'::regnamespace
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indisunique
"""


def test_every_unique_and_foreign_key_starts_with_the_tenant(catalog: psycopg.Connection) -> None:
    """Else it tells whether another tenant has a value, or takes another tenant's row."""
    first = {(table, key): column for table, key, column in catalog.execute(KEYS).fetchall()}
    assert first["events", "pk_events"] == "tenant_id"
    odd = {key for key, column in first.items() if column != "tenant_id"}
    assert {table for table, _ in odd} == {*WITHOUT_TENANT, "tenants"}
    assert {key for table, key in odd if table == "tenants"} == {"pk_tenants"}


DOORS = """
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace
  AND (c.relkind = 'm' OR c.relkind = 'v'
       AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false))
UNION
SELECT p.proname FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
"""


def test_no_view_and_no_function_lends_its_owner_s_eyes(catalog: psycopg.Connection) -> None:
    assert catalog.execute(DOORS).fetchall() == []
    views = catalog.execute("SELECT count(*) FROM pg_views WHERE schemaname = 'public'").fetchone()
    assert views == (4,)


RIGHTS = """
SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)
FROM information_schema.role_table_grants
WHERE table_schema = 'public' AND grantee = 'memctx_app' GROUP BY 1
"""


def test_the_hub_s_role_has_the_rights_it_needs_and_no_more(catalog: psycopg.Connection) -> None:
    rights = dict(catalog.execute(RIGHTS).fetchall())
    tables = {row[0] for row in catalog.execute(TABLES).fetchall()}
    assert rights.pop("audit_log") == "INSERT SELECT"
    changed = tables - WITHOUT_TENANT - {"audit_log"}
    assert {name for name in tables if rights.get(name) == "DELETE INSERT SELECT UPDATE"} == changed
    rest = {name: right for name, right in rights.items() if name not in changed}
    assert set(rest.values()) == {"SELECT"}
    assert set(rest) >= WITHOUT_TENANT
    [role] = catalog.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
        " WHERE rolname = 'memctx_app'"
    ).fetchall()
    assert role == (False, False, False, False)
