"""What a server needs: tenants kept apart by row-level security, and indexes inside JSON and texts.

Row-level security keeps the hub's own role from using the indexes inside, for their operators may
show a row's content; they are for an operator's questions and for reports.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

from context_migration import isolation

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    "api_keys",
    "projects",
    "project_remotes",
    "events",
    "sessions",
    "messages",
    "checkpoints",
    "patterns",
    "session_tags",
    "pattern_tags",
    "conflicts",
    "context_loads",
    "privacy_audit",
)
VIEWS = (
    "v_active_sessions",
    "v_patterns_by_usage",
    "v_recent_checkpoints",
    "v_privacy_audit_summary",
)
INSIDE = (
    ("sessions", "files_changed"),
    ("sessions", "metadata"),
    ("checkpoints", "files_changed"),
    ("patterns", "citations"),
    ("patterns", "metadata"),
)
PARTS = (("sessions", "title"), ("patterns", "name"))


def upgrade() -> None:
    if not isolation.has_isolation():
        return
    for table in TABLES:
        isolation.isolate(table)
    isolation.isolate("tenants", "id")
    # A key is looked up by its public id before it is known whose it is.
    isolation.also_show("api_keys", "of_key", f"id = {isolation.KEY}")
    isolation.also_show("tenants", "of_everyone", isolation.EVERYONE)
    for table in ("db_metadata", "alembic_version"):
        isolation.grant(table, "SELECT")
    for view in VIEWS:
        # Else a view shows what its owner may see.
        op.execute(f"ALTER VIEW {view} SET (security_invoker = true)")
        isolation.grant(view, "SELECT")
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    for table, column in INSIDE:
        op.execute(
            f"CREATE INDEX ix_{table}_{column}_inside ON {table}"
            f" USING gin ({column} jsonb_path_ops)"
        )
    for table, column in PARTS:
        op.execute(
            f"CREATE INDEX ix_{table}_{column}_parts ON {table}"
            f" USING gin (lower({column}) gin_trgm_ops)"
        )


def downgrade() -> None:
    if not isolation.has_isolation():
        return
    # The extension stays: it may have been there before, and others may use it.
    for table, column in PARTS:
        op.execute(f"DROP INDEX ix_{table}_{column}_parts")
    for table, column in INSIDE:
        op.execute(f"DROP INDEX ix_{table}_{column}_inside")
    for view in VIEWS:
        op.execute(f"ALTER VIEW {view} RESET (security_invoker)")
    isolation.no_longer_show("tenants", "of_everyone")
    isolation.no_longer_show("api_keys", "of_key")
    for table in (*TABLES, "tenants"):
        isolation.release(table)
