"""Row-level security for revisions: each table of a tenant, forced, also upon its owner.

On a database without it, nothing happens.
"""

from __future__ import annotations

from alembic import op

APP_ROLE = "memctx_app"
"""The role that the hub connects as: neither owner nor superuser."""

ALL = "SELECT, INSERT, UPDATE, DELETE"

# An empty text, which a setting is after the transaction that set it, is no tenant.
TENANT = "nullif(current_setting('memctx.tenant_id', true), '')::uuid"
KEY = "nullif(current_setting('memctx.key_id', true), '')"
EVERYONE = "current_setting('memctx.all_tenants', true) = 'on'"


def has_isolation() -> bool:
    """Says whether the database has row-level security."""
    return op.get_context().dialect.name == "postgresql"


def isolate(table: str, column: str = "tenant_id", rights: str = ALL) -> None:
    """Shows a table's rows only to their tenant, and gives the hub's role ``rights`` on it."""
    if not has_isolation():
        return
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY of_tenant ON {table}"
        f" USING ({column} = {TENANT}) WITH CHECK ({column} = {TENANT})"
    )
    grant(table, rights)


def release(table: str) -> None:
    """Undoes `isolate` and every `also_show` of a table that stays."""
    if not has_isolation():
        return
    op.execute(f"DROP POLICY of_tenant ON {table}")
    op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


def also_show(table: str, name: str, condition: str) -> None:
    """Also shows, and only shows, rows for which ``condition`` holds."""
    if has_isolation():
        op.execute(f"CREATE POLICY {name} ON {table} FOR SELECT USING ({condition})")


def no_longer_show(table: str, name: str) -> None:
    """Undoes `also_show`."""
    if has_isolation():
        op.execute(f"DROP POLICY {name} ON {table}")


def grant(table: str, rights: str = ALL) -> None:
    """Gives the hub's role, if there is one, rights on a table, view or sequence."""
    if has_isolation():
        op.execute(
            f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{APP_ROLE}')"
            f" THEN GRANT {rights} ON {table} TO {APP_ROLE}; END IF; END $$"
        )
