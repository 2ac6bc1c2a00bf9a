CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE db_metadata (
    "key" VARCHAR(100) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_db_metadata PRIMARY KEY ("key")
);

CREATE TABLE tenants (
    id CHAR(36) NOT NULL,
    name VARCHAR(200) NOT NULL,
    created_at CHAR(27) NOT NULL,
    CONSTRAINT pk_tenants PRIMARY KEY (id)
);

CREATE TABLE api_keys (
    tenant_id CHAR(36) NOT NULL,
    id VARCHAR(64) NOT NULL,
    name VARCHAR(200) NOT NULL,
    owner VARCHAR(200) NOT NULL,
    secret_hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    project_ids TEXT,
    created_at CHAR(27) NOT NULL,
    expires_at CHAR(27),
    revoked_at CHAR(27),
    last_used_at CHAR(27),
    CONSTRAINT pk_api_keys PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_api_keys_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);

CREATE INDEX ix_api_keys_id ON api_keys (id);

CREATE TABLE projects (
    tenant_id CHAR(36) NOT NULL,
    id CHAR(36) NOT NULL,
    slug VARCHAR(200) NOT NULL,
    identity VARCHAR(20) NOT NULL,
    remotes TEXT NOT NULL,
    parent_id CHAR(36),
    head BIGINT NOT NULL,
    head_digest BLOB NOT NULL,
    epoch CHAR(36) NOT NULL,
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at CHAR(27) NOT NULL,
    updated_at CHAR(27) NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    CONSTRAINT pk_projects PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_projects_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    CONSTRAINT uq_projects_tenant_id_slug UNIQUE (tenant_id, slug)
);

CREATE TABLE checkpoints (
    tenant_id CHAR(36) NOT NULL,
    id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    session_id CHAR(36),
    description TEXT,
    next_steps TEXT,
    git_commit VARCHAR(500),
    git_branch VARCHAR(500),
    git_status TEXT,
    files_changed TEXT,
    tasks_completed TEXT,
    metadata TEXT,
    privacy_level VARCHAR(10),
    source_id VARCHAR(500),
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at CHAR(27) NOT NULL,
    updated_at CHAR(27) NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    CONSTRAINT pk_checkpoints PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_checkpoints_privacy_known CHECK (privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')),
    CONSTRAINT fk_checkpoints_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_checkpoints_tenant_id_project_id_created_at_id ON checkpoints (tenant_id, project_id, created_at, id);

CREATE INDEX ix_checkpoints_tenant_id_session_id ON checkpoints (tenant_id, session_id);

CREATE TABLE conflicts (
    tenant_id CHAR(36) NOT NULL,
    id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    record_kind VARCHAR(20) NOT NULL,
    record_id CHAR(36) NOT NULL,
    field VARCHAR(100) NOT NULL,
    kept TEXT,
    pushed TEXT,
    base CHAR(36),
    author VARCHAR(200) NOT NULL,
    resolution VARCHAR(20),
    resolved_by VARCHAR(200),
    version INTEGER NOT NULL,
    last_op CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    created_at CHAR(27) NOT NULL,
    updated_at CHAR(27) NOT NULL,
    CONSTRAINT pk_conflicts PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_conflicts_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_conflicts_tenant_id_record_id ON conflicts (tenant_id, record_id);

CREATE TABLE context_loads (
    tenant_id CHAR(36) NOT NULL,
    recall_id CHAR(36) NOT NULL,
    position INTEGER NOT NULL,
    project_id CHAR(36) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    record_id CHAR(36) NOT NULL,
    reason VARCHAR(40) NOT NULL,
    score FLOAT,
    tokens INTEGER NOT NULL,
    actor VARCHAR(200) NOT NULL,
    loaded_at CHAR(27) NOT NULL,
    CONSTRAINT pk_context_loads PRIMARY KEY (tenant_id, recall_id, position),
    CONSTRAINT fk_context_loads_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_context_loads_tenant_id_record_id ON context_loads (tenant_id, record_id);

CREATE TABLE events (
    tenant_id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    type VARCHAR(40) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    record_id CHAR(36) NOT NULL,
    parent_id CHAR(36),
    op_id CHAR(36) NOT NULL,
    op_index INTEGER NOT NULL,
    op_hash BLOB,
    actor VARCHAR(200) NOT NULL,
    occurred_at CHAR(27) NOT NULL,
    recorded_at CHAR(27) NOT NULL,
    redactions TEXT NOT NULL,
    content TEXT,
    salt BLOB,
    content_digest BLOB NOT NULL,
    digest BLOB NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (tenant_id, project_id, seq),
    CONSTRAINT ck_events_seq_positive CHECK (seq > 0),
    CONSTRAINT fk_events_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id),
    CONSTRAINT uq_events_tenant_id_op_id_op_index UNIQUE (tenant_id, op_id, op_index)
);

CREATE INDEX ix_events_tenant_id_parent_id_seq ON events (tenant_id, parent_id, seq);

CREATE INDEX ix_events_tenant_id_record_id_seq ON events (tenant_id, record_id, seq);

CREATE TABLE patterns (
    tenant_id CHAR(36) NOT NULL,
    id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    pattern_type VARCHAR(20),
    name TEXT,
    description TEXT,
    body TEXT,
    example TEXT,
    category VARCHAR(500),
    confidence FLOAT,
    quality_score FLOAT,
    frequency INTEGER DEFAULT '0' NOT NULL,
    reuse_count INTEGER DEFAULT '0' NOT NULL,
    successes INTEGER DEFAULT '0' NOT NULL,
    failures INTEGER DEFAULT '0' NOT NULL,
    source_session_id CHAR(36),
    parent_pattern_id CHAR(36),
    deprecated BOOLEAN DEFAULT '0' NOT NULL,
    citations TEXT,
    tags TEXT,
    metadata TEXT,
    privacy_level VARCHAR(10),
    source_id VARCHAR(500),
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at CHAR(27) NOT NULL,
    updated_at CHAR(27) NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    CONSTRAINT pk_patterns PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_patterns_type_known CHECK (pattern_type IN ('workflow', 'decision', 'code', 'error', 'architecture', 'configuration')),
    CONSTRAINT ck_patterns_privacy_known CHECK (privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')),
    CONSTRAINT ck_patterns_confidence_range CHECK (confidence >= 0 AND confidence <= 1),
    CONSTRAINT ck_patterns_quality_range CHECK (quality_score >= 0 AND quality_score <= 1),
    CONSTRAINT fk_patterns_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_patterns_tenant_id_project_id_created_at_id ON patterns (tenant_id, project_id, created_at, id);

CREATE TABLE privacy_audit (
    tenant_id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    type VARCHAR(60) NOT NULL,
    count INTEGER NOT NULL,
    kind VARCHAR(20) NOT NULL,
    record_id CHAR(36) NOT NULL,
    actor VARCHAR(200) NOT NULL,
    recorded_at CHAR(27) NOT NULL,
    CONSTRAINT pk_privacy_audit PRIMARY KEY (tenant_id, project_id, seq, type),
    CONSTRAINT fk_privacy_audit_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE TABLE project_remotes (
    tenant_id CHAR(36) NOT NULL,
    remote VARCHAR(500) NOT NULL,
    project_id CHAR(36) NOT NULL,
    CONSTRAINT pk_project_remotes PRIMARY KEY (tenant_id, remote),
    CONSTRAINT fk_project_remotes_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_project_remotes_tenant_id_project_id ON project_remotes (tenant_id, project_id);

CREATE TABLE sessions (
    tenant_id CHAR(36) NOT NULL,
    id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    agent VARCHAR(500),
    title TEXT,
    description TEXT,
    summary TEXT,
    privacy_level VARCHAR(10),
    status VARCHAR(10) NOT NULL,
    parent_session_id CHAR(36),
    source_id VARCHAR(500),
    started_at CHAR(27),
    ended_at CHAR(27),
    message_count INTEGER DEFAULT '0' NOT NULL,
    token_count INTEGER DEFAULT '0' NOT NULL,
    files_changed TEXT,
    metadata TEXT,
    tags TEXT,
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at CHAR(27) NOT NULL,
    updated_at CHAR(27) NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    access_count INTEGER DEFAULT '0' NOT NULL,
    last_accessed CHAR(27),
    CONSTRAINT pk_sessions PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_sessions_privacy_known CHECK (privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')),
    CONSTRAINT ck_sessions_status_known CHECK (status IN ('active', 'archived', 'deleted')),
    CONSTRAINT ck_sessions_counts_positive CHECK (message_count >= 0 AND token_count >= 0),
    CONSTRAINT fk_sessions_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_sessions_tenant_id_parent_session_id ON sessions (tenant_id, parent_session_id);

CREATE INDEX ix_sessions_tenant_id_project_id_created_at_id ON sessions (tenant_id, project_id, created_at, id);

CREATE TABLE messages (
    tenant_id CHAR(36) NOT NULL,
    id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    session_id CHAR(36) NOT NULL,
    position INTEGER NOT NULL,
    role VARCHAR(10),
    author VARCHAR(500),
    text TEXT,
    tool_name VARCHAR(500),
    source_id VARCHAR(500),
    token_count INTEGER,
    metadata TEXT,
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at CHAR(27) NOT NULL,
    updated_at CHAR(27) NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    CONSTRAINT pk_messages PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_messages_role_known CHECK (role IN ('user', 'assistant', 'tool')),
    CONSTRAINT fk_messages_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id),
    CONSTRAINT fk_messages_sessions FOREIGN KEY(tenant_id, session_id) REFERENCES sessions (tenant_id, id)
);

CREATE INDEX ix_messages_tenant_id_session_id_position ON messages (tenant_id, session_id, position);

CREATE TABLE pattern_tags (
    tenant_id CHAR(36) NOT NULL,
    pattern_id CHAR(36) NOT NULL,
    tag VARCHAR(100) NOT NULL,
    CONSTRAINT pk_pattern_tags PRIMARY KEY (tenant_id, pattern_id, tag),
    CONSTRAINT fk_pattern_tags_patterns FOREIGN KEY(tenant_id, pattern_id) REFERENCES patterns (tenant_id, id)
);

CREATE INDEX ix_pattern_tags_tenant_id_tag ON pattern_tags (tenant_id, tag);

CREATE TABLE session_tags (
    tenant_id CHAR(36) NOT NULL,
    session_id CHAR(36) NOT NULL,
    tag VARCHAR(100) NOT NULL,
    CONSTRAINT pk_session_tags PRIMARY KEY (tenant_id, session_id, tag),
    CONSTRAINT fk_session_tags_sessions FOREIGN KEY(tenant_id, session_id) REFERENCES sessions (tenant_id, id)
);

CREATE INDEX ix_session_tags_tenant_id_tag ON session_tags (tenant_id, tag);

CREATE VIEW v_active_sessions AS SELECT tenant_id, id, project_id, agent, title, message_count, started_at, updated_at FROM sessions WHERE status = 'active';

CREATE VIEW v_patterns_by_usage AS SELECT tenant_id, id, project_id, pattern_type, name, quality_score, frequency, reuse_count, successes, failures FROM patterns WHERE NOT deleted AND NOT deprecated ORDER BY reuse_count DESC, quality_score DESC, id;

CREATE VIEW v_recent_checkpoints AS SELECT tenant_id, id, project_id, session_id, description, git_branch, git_commit, created_at FROM checkpoints WHERE NOT deleted ORDER BY created_at DESC, id DESC;

CREATE VIEW v_privacy_audit_summary AS SELECT tenant_id, project_id, type, SUM(count) AS total, MAX(recorded_at) AS last_at FROM privacy_audit GROUP BY tenant_id, project_id, type;

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING version_num;

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

CREATE TABLE audit_log (
    tenant_id CHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    at CHAR(27) NOT NULL,
    key_id VARCHAR(64) NOT NULL,
    actor VARCHAR(200) NOT NULL,
    act VARCHAR(40) NOT NULL,
    target VARCHAR(500) NOT NULL,
    detail TEXT NOT NULL,
    digest BLOB NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (tenant_id, seq),
    CONSTRAINT fk_audit_log_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    CONSTRAINT ck_audit_log_seq_positive CHECK (seq > 0)
);

CREATE TRIGGER audit_log_kept_update BEFORE update ON audit_log BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;

CREATE TRIGGER audit_log_kept_delete BEFORE delete ON audit_log BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END;

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

ALTER TABLE conflicts ADD COLUMN value TEXT;

CREATE TABLE replicas (
    tenant_id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    id CHAR(36) NOT NULL,
    actor VARCHAR(200) NOT NULL,
    name VARCHAR(500) NOT NULL,
    agent VARCHAR(500) NOT NULL,
    protocol INTEGER NOT NULL,
    last_number BIGINT NOT NULL,
    last_hash BLOB,
    confirmed BIGINT NOT NULL,
    cursor_epoch CHAR(36),
    cursor_seq BIGINT NOT NULL,
    pending INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    paused BOOLEAN NOT NULL,
    first_seen CHAR(27) NOT NULL,
    last_seen CHAR(27) NOT NULL,
    CONSTRAINT pk_replicas PRIMARY KEY (tenant_id, project_id, id),
    CONSTRAINT fk_replicas_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id),
    CONSTRAINT ck_replicas_counts_positive CHECK (last_number >= 0 AND cursor_seq >= 0)
);

CREATE INDEX ix_replicas_tenant_id_id ON replicas (tenant_id, id);

CREATE TABLE replica_results (
    tenant_id CHAR(36) NOT NULL,
    project_id CHAR(36) NOT NULL,
    replica_id CHAR(36) NOT NULL,
    number BIGINT NOT NULL,
    op_id CHAR(36) NOT NULL,
    hash BLOB NOT NULL,
    outcome VARCHAR(10) NOT NULL,
    seq BIGINT NOT NULL,
    head BIGINT NOT NULL,
    conflicts TEXT NOT NULL,
    problem TEXT,
    CONSTRAINT pk_replica_results PRIMARY KEY (tenant_id, project_id, replica_id, number),
    CONSTRAINT fk_replica_results_replicas FOREIGN KEY(tenant_id, project_id, replica_id) REFERENCES replicas (tenant_id, project_id, id),
    CONSTRAINT ck_replica_results_outcome_known CHECK (outcome IN ('accepted', 'duplicate', 'conflict', 'rejected'))
);

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';
