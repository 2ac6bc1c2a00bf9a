"""The log, its read models, keys and views.

Revision ID: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from context_migration import columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

VIEWS = {
    "v_active_sessions": (
        "SELECT tenant_id, id, project_id, agent, title, message_count, started_at, updated_at"
        " FROM sessions WHERE status = 'active'"
    ),
    "v_patterns_by_usage": (
        "SELECT tenant_id, id, project_id, pattern_type, name, quality_score, frequency,"
        " reuse_count, successes, failures FROM patterns"
        " WHERE NOT deleted AND NOT deprecated"
        " ORDER BY reuse_count DESC, quality_score DESC, id"
    ),
    "v_recent_checkpoints": (
        "SELECT tenant_id, id, project_id, session_id, description, git_branch, git_commit,"
        " created_at FROM checkpoints WHERE NOT deleted ORDER BY created_at DESC, id DESC"
    ),
    "v_privacy_audit_summary": (
        "SELECT tenant_id, project_id, type, SUM(count) AS total, MAX(recorded_at) AS last_at"
        " FROM privacy_audit GROUP BY tenant_id, project_id, type"
    ),
}


def upgrade() -> None:
    _create_db_metadata()
    _create_tenants()
    _create_api_keys()
    _create_projects()
    _create_checkpoints()
    _create_conflicts()
    _create_context_loads()
    _create_events()
    _create_patterns()
    _create_privacy_audit()
    _create_project_remotes()
    _create_sessions()
    _create_messages()
    _create_pattern_tags()
    _create_session_tags()
    for name, query in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")


def downgrade() -> None:
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    op.drop_index(op.f("ix_session_tags_tenant_id_tag"), table_name="session_tags")
    op.drop_table("session_tags")
    op.drop_index(op.f("ix_pattern_tags_tenant_id_tag"), table_name="pattern_tags")
    op.drop_table("pattern_tags")
    op.drop_index(op.f("ix_messages_tenant_id_session_id_position"), table_name="messages")
    op.drop_table("messages")
    op.drop_index(op.f("ix_sessions_tenant_id_project_id_created_at_id"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_tenant_id_parent_session_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_project_remotes_tenant_id_project_id"), table_name="project_remotes")
    op.drop_table("project_remotes")
    op.drop_table("privacy_audit")
    op.drop_index(op.f("ix_patterns_tenant_id_project_id_created_at_id"), table_name="patterns")
    op.drop_table("patterns")
    op.drop_index(op.f("ix_events_tenant_id_record_id_seq"), table_name="events")
    op.drop_index(op.f("ix_events_tenant_id_parent_id_seq"), table_name="events")
    op.drop_table("events")
    op.drop_index(op.f("ix_context_loads_tenant_id_record_id"), table_name="context_loads")
    op.drop_table("context_loads")
    op.drop_index(op.f("ix_conflicts_tenant_id_record_id"), table_name="conflicts")
    op.drop_table("conflicts")
    op.drop_index(op.f("ix_checkpoints_tenant_id_session_id"), table_name="checkpoints")
    op.drop_index(
        op.f("ix_checkpoints_tenant_id_project_id_created_at_id"), table_name="checkpoints"
    )
    op.drop_table("checkpoints")
    op.drop_table("projects")
    op.drop_index(op.f("ix_api_keys_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_table("tenants")
    op.drop_table("db_metadata")


def _create_db_metadata() -> None:
    op.create_table(
        "db_metadata",
        sa.Column("key", sa.String(length=100), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_db_metadata")),
    )


def _create_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("id", columns.uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", columns.utc_time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", columns.json(), nullable=False),
        sa.Column("project_ids", columns.json(), nullable=True),
        sa.Column("created_at", columns.utc_time(), nullable=False),
        sa.Column("expires_at", columns.utc_time(), nullable=True),
        sa.Column("revoked_at", columns.utc_time(), nullable=True),
        sa.Column("last_used_at", columns.utc_time(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_api_keys_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_api_keys")),
    )
    op.create_index(op.f("ix_api_keys_id"), "api_keys", ["id"], unique=False)


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("id", columns.uuid(), nullable=False),
        sa.Column("slug", sa.String(length=200), nullable=False),
        sa.Column("identity", sa.String(length=20), nullable=False),
        sa.Column("remotes", columns.json(), nullable=False),
        sa.Column("parent_id", columns.uuid(), nullable=True),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("head_digest", sa.LargeBinary(), nullable=False),
        sa.Column("epoch", columns.uuid(), nullable=False),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_op", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", columns.utc_time(), nullable=False),
        sa.Column("updated_at", columns.utc_time(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_projects_tenants")),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_projects")),
        sa.UniqueConstraint("tenant_id", "slug", name=op.f("uq_projects_tenant_id_slug")),
    )


def _create_checkpoints() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("session_id", columns.uuid(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("next_steps", sa.Text(), nullable=True),
        sa.Column("git_commit", sa.String(length=500), nullable=True),
        sa.Column("git_branch", sa.String(length=500), nullable=True),
        sa.Column("git_status", sa.Text(), nullable=True),
        sa.Column("files_changed", columns.json(), nullable=True),
        sa.Column("tasks_completed", columns.json(), nullable=True),
        sa.Column("metadata", columns.json(), nullable=True),
        sa.Column("privacy_level", sa.String(length=10), nullable=True),
        sa.Column("source_id", sa.String(length=500), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_op", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", columns.utc_time(), nullable=False),
        sa.Column("updated_at", columns.utc_time(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')",
            name=op.f("ck_checkpoints_privacy_known"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_checkpoints_projects"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_checkpoints")),
    )
    op.create_index(
        op.f("ix_checkpoints_tenant_id_project_id_created_at_id"),
        "checkpoints",
        ["tenant_id", "project_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_checkpoints_tenant_id_session_id"),
        "checkpoints",
        ["tenant_id", "session_id"],
        unique=False,
    )


def _create_conflicts() -> None:
    op.create_table(
        "conflicts",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("record_kind", sa.String(length=20), nullable=False),
        sa.Column("record_id", columns.uuid(), nullable=False),
        sa.Column("field", sa.String(length=100), nullable=False),
        sa.Column("kept", columns.json(), nullable=True),
        sa.Column("pushed", columns.json(), nullable=True),
        sa.Column("base", columns.uuid(), nullable=True),
        sa.Column("author", sa.String(length=200), nullable=False),
        sa.Column("resolution", sa.String(length=20), nullable=True),
        sa.Column("resolved_by", sa.String(length=200), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_op", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", columns.utc_time(), nullable=False),
        sa.Column("updated_at", columns.utc_time(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_conflicts_projects"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_conflicts")),
    )
    op.create_index(
        op.f("ix_conflicts_tenant_id_record_id"),
        "conflicts",
        ["tenant_id", "record_id"],
        unique=False,
    )


def _create_context_loads() -> None:
    op.create_table(
        "context_loads",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("recall_id", columns.uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("record_id", columns.uuid(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Float(precision=53), nullable=True),
        sa.Column("tokens", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("loaded_at", columns.utc_time(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_context_loads_projects"),
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "recall_id", "position", name=op.f("pk_context_loads")
        ),
    )
    op.create_index(
        op.f("ix_context_loads_tenant_id_record_id"),
        "context_loads",
        ["tenant_id", "record_id"],
        unique=False,
    )


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("record_id", columns.uuid(), nullable=False),
        sa.Column("parent_id", columns.uuid(), nullable=True),
        sa.Column("op_id", columns.uuid(), nullable=False),
        sa.Column("op_index", sa.Integer(), nullable=False),
        sa.Column("op_hash", sa.LargeBinary(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("occurred_at", columns.utc_time(), nullable=False),
        sa.Column("recorded_at", columns.utc_time(), nullable=False),
        sa.Column("redactions", columns.canonical_json(), nullable=False),
        sa.Column("content", columns.canonical_json(), nullable=True),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("content_digest", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("seq > 0", name=op.f("ck_events_seq_positive")),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_events_projects"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "project_id", "seq", name=op.f("pk_events")),
        sa.UniqueConstraint(
            "tenant_id", "op_id", "op_index", name=op.f("uq_events_tenant_id_op_id_op_index")
        ),
    )
    op.create_index(
        op.f("ix_events_tenant_id_parent_id_seq"),
        "events",
        ["tenant_id", "parent_id", "seq"],
        unique=False,
    )
    op.create_index(
        op.f("ix_events_tenant_id_record_id_seq"),
        "events",
        ["tenant_id", "record_id", "seq"],
        unique=False,
    )


def _create_patterns() -> None:
    op.create_table(
        "patterns",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("pattern_type", sa.String(length=20), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("example", sa.Text(), nullable=True),
        sa.Column("category", sa.String(length=500), nullable=True),
        sa.Column("confidence", sa.Float(precision=53), nullable=True),
        sa.Column("quality_score", sa.Float(precision=53), nullable=True),
        sa.Column("frequency", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reuse_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("successes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("source_session_id", columns.uuid(), nullable=True),
        sa.Column("parent_pattern_id", columns.uuid(), nullable=True),
        sa.Column("deprecated", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("citations", columns.json(), nullable=True),
        sa.Column("tags", columns.json(), nullable=True),
        sa.Column("metadata", columns.json(), nullable=True),
        sa.Column("privacy_level", sa.String(length=10), nullable=True),
        sa.Column("source_id", sa.String(length=500), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_op", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", columns.utc_time(), nullable=False),
        sa.Column("updated_at", columns.utc_time(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "pattern_type IN ('workflow', 'decision', 'code', 'error', 'architecture',"
            " 'configuration')",
            name=op.f("ck_patterns_type_known"),
        ),
        sa.CheckConstraint(
            "privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')", name=op.f("ck_patterns_privacy_known")
        ),
        sa.CheckConstraint(
            "confidence >= 0 AND confidence <= 1", name=op.f("ck_patterns_confidence_range")
        ),
        sa.CheckConstraint(
            "quality_score >= 0 AND quality_score <= 1", name=op.f("ck_patterns_quality_range")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_patterns_projects"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_patterns")),
    )
    op.create_index(
        op.f("ix_patterns_tenant_id_project_id_created_at_id"),
        "patterns",
        ["tenant_id", "project_id", "created_at", "id"],
        unique=False,
    )


def _create_privacy_audit() -> None:
    op.create_table(
        "privacy_audit",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(length=60), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("record_id", columns.uuid(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("recorded_at", columns.utc_time(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_privacy_audit_projects"),
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "project_id", "seq", "type", name=op.f("pk_privacy_audit")
        ),
    )


def _create_project_remotes() -> None:
    op.create_table(
        "project_remotes",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("remote", sa.String(length=500), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_project_remotes_projects"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "remote", name=op.f("pk_project_remotes")),
    )
    op.create_index(
        op.f("ix_project_remotes_tenant_id_project_id"),
        "project_remotes",
        ["tenant_id", "project_id"],
        unique=False,
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("agent", sa.String(length=500), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.Column("privacy_level", sa.String(length=10), nullable=True),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("parent_session_id", columns.uuid(), nullable=True),
        sa.Column("source_id", sa.String(length=500), nullable=True),
        sa.Column("started_at", columns.utc_time(), nullable=True),
        sa.Column("ended_at", columns.utc_time(), nullable=True),
        sa.Column("message_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("token_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("files_changed", columns.json(), nullable=True),
        sa.Column("metadata", columns.json(), nullable=True),
        sa.Column("tags", columns.json(), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_op", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", columns.utc_time(), nullable=False),
        sa.Column("updated_at", columns.utc_time(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.Column("access_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_accessed", columns.utc_time(), nullable=True),
        sa.CheckConstraint(
            "privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')", name=op.f("ck_sessions_privacy_known")
        ),
        sa.CheckConstraint(
            "status IN ('active', 'archived', 'deleted')", name=op.f("ck_sessions_status_known")
        ),
        sa.CheckConstraint(
            "message_count >= 0 AND token_count >= 0", name=op.f("ck_sessions_counts_positive")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_sessions_projects"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_sessions")),
    )
    op.create_index(
        op.f("ix_sessions_tenant_id_parent_session_id"),
        "sessions",
        ["tenant_id", "parent_session_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_sessions_tenant_id_project_id_created_at_id"),
        "sessions",
        ["tenant_id", "project_id", "created_at", "id"],
        unique=False,
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("session_id", columns.uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=True),
        sa.Column("author", sa.String(length=500), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("tool_name", sa.String(length=500), nullable=True),
        sa.Column("source_id", sa.String(length=500), nullable=True),
        sa.Column("token_count", sa.Integer(), nullable=True),
        sa.Column("metadata", columns.json(), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("last_op", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("created_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", columns.utc_time(), nullable=False),
        sa.Column("updated_at", columns.utc_time(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("erased", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "role IN ('user', 'assistant', 'tool')", name=op.f("ck_messages_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name=op.f("fk_messages_projects"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.id"],
            name=op.f("fk_messages_sessions"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id", name=op.f("pk_messages")),
    )
    op.create_index(
        op.f("ix_messages_tenant_id_session_id_position"),
        "messages",
        ["tenant_id", "session_id", "position"],
        unique=False,
    )


def _create_pattern_tags() -> None:
    op.create_table(
        "pattern_tags",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("pattern_id", columns.uuid(), nullable=False),
        sa.Column("tag", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "pattern_id"],
            ["patterns.tenant_id", "patterns.id"],
            name=op.f("fk_pattern_tags_patterns"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "pattern_id", "tag", name=op.f("pk_pattern_tags")),
    )
    op.create_index(
        op.f("ix_pattern_tags_tenant_id_tag"), "pattern_tags", ["tenant_id", "tag"], unique=False
    )


def _create_session_tags() -> None:
    op.create_table(
        "session_tags",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("session_id", columns.uuid(), nullable=False),
        sa.Column("tag", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["sessions.tenant_id", "sessions.id"],
            name=op.f("fk_session_tags_sessions"),
        ),
        sa.PrimaryKeyConstraint("tenant_id", "session_id", "tag", name=op.f("pk_session_tags")),
    )
    op.create_index(
        op.f("ix_session_tags_tenant_id_tag"), "session_tags", ["tenant_id", "tag"], unique=False
    )
