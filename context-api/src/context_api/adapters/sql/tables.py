"""The tables of the hub. Every primary key starts with the tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from context_api.adapters.sql.types import CanonicalJson, Json, UtcTime, Uuid
from memory_core.records import Kind

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _tenant() -> Column[str]:
    return Column("tenant_id", Uuid, nullable=False)


def _counter(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0")


def _text(name: str) -> Column[str | None]:
    return Column(name, Text)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default="0")


def _stamps() -> list[Column[Any]]:
    """Columns that projection keeps on every record."""
    return [
        Column("owner", String(200), nullable=False),
        Column("version", Integer, nullable=False),
        Column("last_op", Uuid, nullable=False),
        Column("seq", BigInteger, nullable=False),
        Column("created_seq", BigInteger, nullable=False),
        Column("created_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        Column("deleted", Boolean, nullable=False),
        Column("erased", Boolean, nullable=False),
    ]


def _of_project() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id", "project_id"], ["projects.tenant_id", "projects.id"])


tenants = Table(
    "tenants",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    _tenant(),
    Column("id", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("owner", String(200), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("project_ids", Json),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("last_used_at", UtcTime),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
    Index(None, "id"),
)

projects = Table(
    "projects",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("slug", String(200), nullable=False),
    Column("identity", String(20), nullable=False),
    Column("remotes", Json, nullable=False),
    Column("parent_id", Uuid),
    Column("head", BigInteger, nullable=False),
    Column("head_digest", LargeBinary, nullable=False),
    Column("epoch", Uuid, nullable=False),
    *_stamps(),
    PrimaryKeyConstraint("tenant_id", "id"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
    UniqueConstraint("tenant_id", "slug"),
)

project_remotes = Table(
    "project_remotes",
    metadata,
    _tenant(),
    Column("remote", String(500), nullable=False),
    Column("project_id", Uuid, nullable=False),
    PrimaryKeyConstraint("tenant_id", "remote"),
    _of_project(),
    Index(None, "tenant_id", "project_id"),
)

events = Table(
    "events",
    metadata,
    _tenant(),
    Column("project_id", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", String(40), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("record_id", Uuid, nullable=False),
    Column("parent_id", Uuid),
    Column("op_id", Uuid, nullable=False),
    Column("op_index", Integer, nullable=False),
    Column("op_hash", LargeBinary),
    Column("actor", String(200), nullable=False),
    Column("occurred_at", UtcTime, nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    Column("redactions", CanonicalJson, nullable=False),
    Column("content", CanonicalJson),
    Column("salt", LargeBinary),
    Column("content_digest", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "project_id", "seq"),
    _of_project(),
    UniqueConstraint("tenant_id", "op_id", "op_index"),
    Index(None, "tenant_id", "record_id", "seq"),
    Index(None, "tenant_id", "parent_id", "seq"),
    CheckConstraint("seq > 0", name="seq_positive"),
)

sessions = Table(
    "sessions",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("agent", String(500)),
    _text("title"),
    _text("description"),
    _text("summary"),
    Column("privacy_level", String(10)),
    Column("status", String(10), nullable=False),
    Column("parent_session_id", Uuid),
    Column("source_id", String(500)),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    _counter("message_count"),
    _counter("token_count"),
    Column("files_changed", Json),
    Column("metadata", Json),
    Column("tags", Json),
    *_stamps(),
    _counter("access_count"),
    Column("last_accessed", UtcTime),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_project(),
    Index(None, "tenant_id", "project_id", "created_at", "id"),
    Index(None, "tenant_id", "parent_session_id"),
    CheckConstraint("status IN ('active', 'archived', 'deleted')", name="status_known"),
    CheckConstraint("privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')", name="privacy_known"),
    CheckConstraint("message_count >= 0 AND token_count >= 0", name="counts_positive"),
)

messages = Table(
    "messages",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    Column("role", String(10)),
    Column("author", String(500)),
    _text("text"),
    Column("tool_name", String(500)),
    Column("source_id", String(500)),
    Column("token_count", Integer),
    Column("metadata", Json),
    *_stamps(),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_project(),
    ForeignKeyConstraint(["tenant_id", "session_id"], ["sessions.tenant_id", "sessions.id"]),
    Index(None, "tenant_id", "session_id", "position"),
    CheckConstraint("role IN ('user', 'assistant', 'tool')", name="role_known"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("session_id", Uuid),
    _text("description"),
    _text("next_steps"),
    Column("git_commit", String(500)),
    Column("git_branch", String(500)),
    _text("git_status"),
    Column("files_changed", Json),
    Column("tasks_completed", Json),
    Column("metadata", Json),
    Column("privacy_level", String(10)),
    Column("source_id", String(500)),
    *_stamps(),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_project(),
    Index(None, "tenant_id", "project_id", "created_at", "id"),
    Index(None, "tenant_id", "session_id"),
    CheckConstraint("privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')", name="privacy_known"),
)

patterns = Table(
    "patterns",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("pattern_type", String(20)),
    _text("name"),
    _text("description"),
    _text("body"),
    _text("example"),
    Column("category", String(500)),
    Column("confidence", Float(53)),
    Column("quality_score", Float(53)),
    _counter("frequency"),
    _counter("reuse_count"),
    _counter("successes"),
    _counter("failures"),
    Column("source_session_id", Uuid),
    Column("parent_pattern_id", Uuid),
    _flag("deprecated"),
    Column("citations", Json),
    Column("tags", Json),
    Column("metadata", Json),
    Column("privacy_level", String(10)),
    Column("source_id", String(500)),
    *_stamps(),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_project(),
    Index(None, "tenant_id", "project_id", "created_at", "id"),
    CheckConstraint(
        "pattern_type IN ('workflow', 'decision', 'code', 'error', 'architecture',"
        " 'configuration')",
        name="type_known",
    ),
    CheckConstraint("privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')", name="privacy_known"),
    CheckConstraint("confidence >= 0 AND confidence <= 1", name="confidence_range"),
    CheckConstraint("quality_score >= 0 AND quality_score <= 1", name="quality_range"),
)

session_tags = Table(
    "session_tags",
    metadata,
    _tenant(),
    Column("session_id", Uuid, nullable=False),
    Column("tag", String(100), nullable=False),
    PrimaryKeyConstraint("tenant_id", "session_id", "tag"),
    ForeignKeyConstraint(["tenant_id", "session_id"], ["sessions.tenant_id", "sessions.id"]),
    Index(None, "tenant_id", "tag"),
)

pattern_tags = Table(
    "pattern_tags",
    metadata,
    _tenant(),
    Column("pattern_id", Uuid, nullable=False),
    Column("tag", String(100), nullable=False),
    PrimaryKeyConstraint("tenant_id", "pattern_id", "tag"),
    ForeignKeyConstraint(["tenant_id", "pattern_id"], ["patterns.tenant_id", "patterns.id"]),
    Index(None, "tenant_id", "tag"),
)

conflicts = Table(
    "conflicts",
    metadata,
    _tenant(),
    Column("id", Uuid, nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("record_kind", String(20), nullable=False),
    Column("record_id", Uuid, nullable=False),
    Column("field", String(100), nullable=False),
    Column("kept", Json),
    Column("pushed", Json),
    Column("base", Uuid),
    Column("author", String(200), nullable=False),
    Column("resolution", String(20)),
    Column("resolved_by", String(200)),
    Column("version", Integer, nullable=False),
    Column("last_op", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("value", Json),
    PrimaryKeyConstraint("tenant_id", "id"),
    _of_project(),
    Index(None, "tenant_id", "record_id"),
)

context_loads = Table(
    "context_loads",
    metadata,
    _tenant(),
    Column("recall_id", Uuid, nullable=False),
    Column("position", Integer, nullable=False),
    Column("project_id", Uuid, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("record_id", Uuid, nullable=False),
    Column("reason", String(40), nullable=False),
    Column("score", Float(53)),
    Column("tokens", Integer, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("loaded_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "recall_id", "position"),
    _of_project(),
    Index(None, "tenant_id", "record_id"),
)

privacy_audit = Table(
    "privacy_audit",
    metadata,
    _tenant(),
    Column("project_id", Uuid, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", String(60), nullable=False),
    Column("count", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("record_id", Uuid, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("recorded_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "project_id", "seq", "type"),
    _of_project(),
)

# Only ever added to: each row's digest covers the row before (context_api.domain.audit).
audit_log = Table(
    "audit_log",
    metadata,
    _tenant(),
    Column("seq", BigInteger, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("act", String(40), nullable=False),
    Column("target", String(500), nullable=False),
    Column("detail", CanonicalJson, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant_id", "seq"),
    ForeignKeyConstraint(["tenant_id"], ["tenants.id"]),
    CheckConstraint("seq > 0", name="seq_positive"),
)

replicas = Table(
    "replicas",
    metadata,
    _tenant(),
    Column("project_id", Uuid, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("actor", String(200), nullable=False),
    Column("name", String(500), nullable=False),
    Column("agent", String(500), nullable=False),
    Column("protocol", Integer, nullable=False),
    Column("last_number", BigInteger, nullable=False),
    Column("last_hash", LargeBinary),
    Column("confirmed", BigInteger, nullable=False),
    Column("cursor_epoch", Uuid),
    Column("cursor_seq", BigInteger, nullable=False),
    Column("pending", Integer, nullable=False),
    Column("conflicts", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    PrimaryKeyConstraint("tenant_id", "project_id", "id"),
    _of_project(),
    Index(None, "tenant_id", "id"),
    CheckConstraint("last_number >= 0 AND cursor_seq >= 0", name="counts_positive"),
)

# What a replica's operations came to, until it has said that it knows.
replica_results = Table(
    "replica_results",
    metadata,
    _tenant(),
    Column("project_id", Uuid, nullable=False),
    Column("replica_id", Uuid, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("op_id", Uuid, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("outcome", String(10), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("head", BigInteger, nullable=False),
    Column("conflicts", Json, nullable=False),
    Column("problem", Json),
    PrimaryKeyConstraint("tenant_id", "project_id", "replica_id", "number"),
    ForeignKeyConstraint(
        ["tenant_id", "project_id", "replica_id"],
        ["replicas.tenant_id", "replicas.project_id", "replicas.id"],
    ),
    CheckConstraint(
        "outcome IN ('accepted', 'duplicate', 'conflict', 'rejected')", name="outcome_known"
    ),
)

db_metadata = Table(
    "db_metadata",
    metadata,
    Column("key", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)

RECORD_TABLES: Mapping[Kind, Table] = {
    Kind.PROJECT: projects,
    Kind.SESSION: sessions,
    Kind.MESSAGE: messages,
    Kind.CHECKPOINT: checkpoints,
    Kind.PATTERN: patterns,
    Kind.CONFLICT: conflicts,
}
VIEW_TABLES = (
    privacy_audit,
    conflicts,
    session_tags,
    pattern_tags,
    messages,
    checkpoints,
    patterns,
    sessions,
)
