CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE db_metadata (
    key VARCHAR(100) NOT NULL,
    value TEXT NOT NULL,
    CONSTRAINT pk_db_metadata PRIMARY KEY (key)
);

CREATE TABLE tenants (
    id UUID NOT NULL,
    name VARCHAR(200) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_tenants PRIMARY KEY (id)
);

CREATE TABLE api_keys (
    tenant_id UUID NOT NULL,
    id VARCHAR(64) NOT NULL,
    name VARCHAR(200) NOT NULL,
    owner VARCHAR(200) NOT NULL,
    secret_hash BYTEA NOT NULL,
    scopes JSONB NOT NULL,
    project_ids JSONB,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_api_keys PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_api_keys_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id)
);

CREATE INDEX ix_api_keys_id ON api_keys (id);

CREATE TABLE projects (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    slug VARCHAR(200) NOT NULL,
    identity VARCHAR(20) NOT NULL,
    remotes JSONB NOT NULL,
    parent_id UUID,
    head BIGINT NOT NULL,
    head_digest BYTEA NOT NULL,
    epoch UUID NOT NULL,
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op UUID NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    CONSTRAINT pk_projects PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_projects_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    CONSTRAINT uq_projects_tenant_id_slug UNIQUE (tenant_id, slug)
);

CREATE TABLE checkpoints (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    session_id UUID,
    description TEXT,
    next_steps TEXT,
    git_commit VARCHAR(500),
    git_branch VARCHAR(500),
    git_status TEXT,
    files_changed JSONB,
    tasks_completed JSONB,
    metadata JSONB,
    privacy_level VARCHAR(10),
    source_id VARCHAR(500),
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op UUID NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    CONSTRAINT pk_checkpoints PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_checkpoints_privacy_known CHECK (privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')),
    CONSTRAINT fk_checkpoints_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_checkpoints_tenant_id_project_id_created_at_id ON checkpoints (tenant_id, project_id, created_at, id);

CREATE INDEX ix_checkpoints_tenant_id_session_id ON checkpoints (tenant_id, session_id);

CREATE TABLE conflicts (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    record_kind VARCHAR(20) NOT NULL,
    record_id UUID NOT NULL,
    field VARCHAR(100) NOT NULL,
    kept JSONB,
    pushed JSONB,
    base UUID,
    author VARCHAR(200) NOT NULL,
    resolution VARCHAR(20),
    resolved_by VARCHAR(200),
    version INTEGER NOT NULL,
    last_op UUID NOT NULL,
    seq BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_conflicts PRIMARY KEY (tenant_id, id),
    CONSTRAINT fk_conflicts_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_conflicts_tenant_id_record_id ON conflicts (tenant_id, record_id);

CREATE TABLE context_loads (
    tenant_id UUID NOT NULL,
    recall_id UUID NOT NULL,
    position INTEGER NOT NULL,
    project_id UUID NOT NULL,
    kind VARCHAR(20) NOT NULL,
    record_id UUID NOT NULL,
    reason VARCHAR(40) NOT NULL,
    score FLOAT(53),
    tokens INTEGER NOT NULL,
    actor VARCHAR(200) NOT NULL,
    loaded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_context_loads PRIMARY KEY (tenant_id, recall_id, position),
    CONSTRAINT fk_context_loads_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_context_loads_tenant_id_record_id ON context_loads (tenant_id, record_id);

CREATE TABLE events (
    tenant_id UUID NOT NULL,
    project_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    type VARCHAR(40) NOT NULL,
    kind VARCHAR(20) NOT NULL,
    record_id UUID NOT NULL,
    parent_id UUID,
    op_id UUID NOT NULL,
    op_index INTEGER NOT NULL,
    op_hash BYTEA,
    actor VARCHAR(200) NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    redactions TEXT NOT NULL,
    content TEXT,
    salt BYTEA,
    content_digest BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (tenant_id, project_id, seq),
    CONSTRAINT ck_events_seq_positive CHECK (seq > 0),
    CONSTRAINT fk_events_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id),
    CONSTRAINT uq_events_tenant_id_op_id_op_index UNIQUE (tenant_id, op_id, op_index)
);

CREATE INDEX ix_events_tenant_id_parent_id_seq ON events (tenant_id, parent_id, seq);

CREATE INDEX ix_events_tenant_id_record_id_seq ON events (tenant_id, record_id, seq);

CREATE TABLE patterns (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    pattern_type VARCHAR(20),
    name TEXT,
    description TEXT,
    body TEXT,
    example TEXT,
    category VARCHAR(500),
    confidence FLOAT(53),
    quality_score FLOAT(53),
    frequency INTEGER DEFAULT '0' NOT NULL,
    reuse_count INTEGER DEFAULT '0' NOT NULL,
    successes INTEGER DEFAULT '0' NOT NULL,
    failures INTEGER DEFAULT '0' NOT NULL,
    source_session_id UUID,
    parent_pattern_id UUID,
    deprecated BOOLEAN DEFAULT '0' NOT NULL,
    citations JSONB,
    tags JSONB,
    metadata JSONB,
    privacy_level VARCHAR(10),
    source_id VARCHAR(500),
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op UUID NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
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
    tenant_id UUID NOT NULL,
    project_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    type VARCHAR(60) NOT NULL,
    count INTEGER NOT NULL,
    kind VARCHAR(20) NOT NULL,
    record_id UUID NOT NULL,
    actor VARCHAR(200) NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_privacy_audit PRIMARY KEY (tenant_id, project_id, seq, type),
    CONSTRAINT fk_privacy_audit_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE TABLE project_remotes (
    tenant_id UUID NOT NULL,
    remote VARCHAR(500) NOT NULL,
    project_id UUID NOT NULL,
    CONSTRAINT pk_project_remotes PRIMARY KEY (tenant_id, remote),
    CONSTRAINT fk_project_remotes_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_project_remotes_tenant_id_project_id ON project_remotes (tenant_id, project_id);

CREATE TABLE sessions (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    agent VARCHAR(500),
    title TEXT,
    description TEXT,
    summary TEXT,
    privacy_level VARCHAR(10),
    status VARCHAR(10) NOT NULL,
    parent_session_id UUID,
    source_id VARCHAR(500),
    started_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    message_count INTEGER DEFAULT '0' NOT NULL,
    token_count INTEGER DEFAULT '0' NOT NULL,
    files_changed JSONB,
    metadata JSONB,
    tags JSONB,
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op UUID NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    access_count INTEGER DEFAULT '0' NOT NULL,
    last_accessed TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sessions PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_sessions_privacy_known CHECK (privacy_level IN ('PUBLIC', 'TEAM', 'PRIVATE')),
    CONSTRAINT ck_sessions_status_known CHECK (status IN ('active', 'archived', 'deleted')),
    CONSTRAINT ck_sessions_counts_positive CHECK (message_count >= 0 AND token_count >= 0),
    CONSTRAINT fk_sessions_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id)
);

CREATE INDEX ix_sessions_tenant_id_parent_session_id ON sessions (tenant_id, parent_session_id);

CREATE INDEX ix_sessions_tenant_id_project_id_created_at_id ON sessions (tenant_id, project_id, created_at, id);

CREATE TABLE messages (
    tenant_id UUID NOT NULL,
    id UUID NOT NULL,
    project_id UUID NOT NULL,
    session_id UUID NOT NULL,
    position INTEGER NOT NULL,
    role VARCHAR(10),
    author VARCHAR(500),
    text TEXT,
    tool_name VARCHAR(500),
    source_id VARCHAR(500),
    token_count INTEGER,
    metadata JSONB,
    owner VARCHAR(200) NOT NULL,
    version INTEGER NOT NULL,
    last_op UUID NOT NULL,
    seq BIGINT NOT NULL,
    created_seq BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    deleted BOOLEAN NOT NULL,
    erased BOOLEAN NOT NULL,
    CONSTRAINT pk_messages PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_messages_role_known CHECK (role IN ('user', 'assistant', 'tool')),
    CONSTRAINT fk_messages_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id),
    CONSTRAINT fk_messages_sessions FOREIGN KEY(tenant_id, session_id) REFERENCES sessions (tenant_id, id)
);

CREATE INDEX ix_messages_tenant_id_session_id_position ON messages (tenant_id, session_id, position);

CREATE TABLE pattern_tags (
    tenant_id UUID NOT NULL,
    pattern_id UUID NOT NULL,
    tag VARCHAR(100) NOT NULL,
    CONSTRAINT pk_pattern_tags PRIMARY KEY (tenant_id, pattern_id, tag),
    CONSTRAINT fk_pattern_tags_patterns FOREIGN KEY(tenant_id, pattern_id) REFERENCES patterns (tenant_id, id)
);

CREATE INDEX ix_pattern_tags_tenant_id_tag ON pattern_tags (tenant_id, tag);

CREATE TABLE session_tags (
    tenant_id UUID NOT NULL,
    session_id UUID NOT NULL,
    tag VARCHAR(100) NOT NULL,
    CONSTRAINT pk_session_tags PRIMARY KEY (tenant_id, session_id, tag),
    CONSTRAINT fk_session_tags_sessions FOREIGN KEY(tenant_id, session_id) REFERENCES sessions (tenant_id, id)
);

CREATE INDEX ix_session_tags_tenant_id_tag ON session_tags (tenant_id, tag);

CREATE VIEW v_active_sessions AS SELECT tenant_id, id, project_id, agent, title, message_count, started_at, updated_at FROM sessions WHERE status = 'active';

CREATE VIEW v_patterns_by_usage AS SELECT tenant_id, id, project_id, pattern_type, name, quality_score, frequency, reuse_count, successes, failures FROM patterns WHERE NOT deleted AND NOT deprecated ORDER BY reuse_count DESC, quality_score DESC, id;

CREATE VIEW v_recent_checkpoints AS SELECT tenant_id, id, project_id, session_id, description, git_branch, git_commit, created_at FROM checkpoints WHERE NOT deleted ORDER BY created_at DESC, id DESC;

CREATE VIEW v_privacy_audit_summary AS SELECT tenant_id, project_id, type, SUM(count) AS total, MAX(recorded_at) AS last_at FROM privacy_audit GROUP BY tenant_id, project_id, type;

INSERT INTO alembic_version (version_num) VALUES ('0001') RETURNING alembic_version.version_num;

ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY;

ALTER TABLE api_keys FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON api_keys USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON api_keys TO memctx_app; END IF; END $$;

ALTER TABLE projects ENABLE ROW LEVEL SECURITY;

ALTER TABLE projects FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON projects USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON projects TO memctx_app; END IF; END $$;

ALTER TABLE project_remotes ENABLE ROW LEVEL SECURITY;

ALTER TABLE project_remotes FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON project_remotes USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON project_remotes TO memctx_app; END IF; END $$;

ALTER TABLE events ENABLE ROW LEVEL SECURITY;

ALTER TABLE events FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON events USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON events TO memctx_app; END IF; END $$;

ALTER TABLE sessions ENABLE ROW LEVEL SECURITY;

ALTER TABLE sessions FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON sessions USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO memctx_app; END IF; END $$;

ALTER TABLE messages ENABLE ROW LEVEL SECURITY;

ALTER TABLE messages FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON messages USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON messages TO memctx_app; END IF; END $$;

ALTER TABLE checkpoints ENABLE ROW LEVEL SECURITY;

ALTER TABLE checkpoints FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON checkpoints USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON checkpoints TO memctx_app; END IF; END $$;

ALTER TABLE patterns ENABLE ROW LEVEL SECURITY;

ALTER TABLE patterns FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON patterns USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON patterns TO memctx_app; END IF; END $$;

ALTER TABLE session_tags ENABLE ROW LEVEL SECURITY;

ALTER TABLE session_tags FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON session_tags USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON session_tags TO memctx_app; END IF; END $$;

ALTER TABLE pattern_tags ENABLE ROW LEVEL SECURITY;

ALTER TABLE pattern_tags FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON pattern_tags USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON pattern_tags TO memctx_app; END IF; END $$;

ALTER TABLE conflicts ENABLE ROW LEVEL SECURITY;

ALTER TABLE conflicts FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON conflicts USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON conflicts TO memctx_app; END IF; END $$;

ALTER TABLE context_loads ENABLE ROW LEVEL SECURITY;

ALTER TABLE context_loads FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON context_loads USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON context_loads TO memctx_app; END IF; END $$;

ALTER TABLE privacy_audit ENABLE ROW LEVEL SECURITY;

ALTER TABLE privacy_audit FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON privacy_audit USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON privacy_audit TO memctx_app; END IF; END $$;

ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;

ALTER TABLE tenants FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON tenants USING (id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON tenants TO memctx_app; END IF; END $$;

CREATE POLICY of_key ON api_keys FOR SELECT USING (id = nullif(current_setting('memctx.key_id', true), ''));

CREATE POLICY of_everyone ON tenants FOR SELECT USING (current_setting('memctx.all_tenants', true) = 'on');

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT ON db_metadata TO memctx_app; END IF; END $$;

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT ON alembic_version TO memctx_app; END IF; END $$;

ALTER VIEW v_active_sessions SET (security_invoker = true);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT ON v_active_sessions TO memctx_app; END IF; END $$;

ALTER VIEW v_patterns_by_usage SET (security_invoker = true);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT ON v_patterns_by_usage TO memctx_app; END IF; END $$;

ALTER VIEW v_recent_checkpoints SET (security_invoker = true);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT ON v_recent_checkpoints TO memctx_app; END IF; END $$;

ALTER VIEW v_privacy_audit_summary SET (security_invoker = true);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT ON v_privacy_audit_summary TO memctx_app; END IF; END $$;

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE INDEX ix_sessions_files_changed_inside ON sessions USING gin (files_changed jsonb_path_ops);

CREATE INDEX ix_sessions_metadata_inside ON sessions USING gin (metadata jsonb_path_ops);

CREATE INDEX ix_checkpoints_files_changed_inside ON checkpoints USING gin (files_changed jsonb_path_ops);

CREATE INDEX ix_patterns_citations_inside ON patterns USING gin (citations jsonb_path_ops);

CREATE INDEX ix_patterns_metadata_inside ON patterns USING gin (metadata jsonb_path_ops);

CREATE INDEX ix_sessions_title_parts ON sessions USING gin (lower(title) gin_trgm_ops);

CREATE INDEX ix_patterns_name_parts ON patterns USING gin (lower(name) gin_trgm_ops);

UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001';

CREATE TABLE index_state (
        tenant_id uuid NOT NULL,
        project_id uuid NOT NULL,
        format integer NOT NULL DEFAULT 0,
        applied_seq bigint NOT NULL DEFAULT 0,
        changes bigint NOT NULL DEFAULT 0,
        revision bigint NOT NULL DEFAULT 0,
        floor bigint NOT NULL DEFAULT 0,
        last_unit bigint NOT NULL DEFAULT 0,
        last_chunk bigint NOT NULL DEFAULT 0,
        last_generation integer NOT NULL DEFAULT 0,
        lease_owner text,
        lease_until timestamptz,
        fence bigint NOT NULL DEFAULT 0,
        last_success_at timestamptz,
        PRIMARY KEY (tenant_id, project_id)
    );

CREATE TABLE index_generations (
        tenant_id uuid NOT NULL,
        project_id uuid NOT NULL,
        generation integer NOT NULL,
        model text NOT NULL,
        dimension integer NOT NULL,
        ready boolean NOT NULL,
        pushed bigint NOT NULL DEFAULT 0,
        audited_at timestamptz,
        used_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, project_id, generation),
        UNIQUE (tenant_id, project_id, model, dimension)
    );

CREATE TABLE index_units (
        tenant_id uuid NOT NULL,
        project_id uuid NOT NULL,
        number bigint NOT NULL,
        revision bigint NOT NULL,
        alive boolean NOT NULL DEFAULT true,
        kind text NOT NULL,
        id uuid NOT NULL,
        session_id uuid,
        position bigint NOT NULL,
        role text NOT NULL,
        tool boolean NOT NULL,
        question boolean NOT NULL,
        author text NOT NULL,
        owner_id text,
        created double precision NOT NULL,
        quality double precision NOT NULL,
        size integer NOT NULL,
        fingerprint bigint NOT NULL,
        seq bigint NOT NULL,
        digest bytea NOT NULL,
        PRIMARY KEY (tenant_id, project_id, number)
    );

CREATE TABLE chunks (
        tenant_id uuid NOT NULL,
        project_id uuid NOT NULL,
        unit bigint NOT NULL,
        number bigint NOT NULL,
        start integer NOT NULL,
        stop integer NOT NULL,
        length integer NOT NULL,
        hash bytea NOT NULL,
        terms bytea NOT NULL,
        frequencies bytea NOT NULL,
        PRIMARY KEY (tenant_id, project_id, unit, number)
    );

CREATE TABLE chunk_states (
        tenant_id uuid NOT NULL,
        project_id uuid NOT NULL,
        generation integer NOT NULL,
        number bigint NOT NULL,
        unit bigint NOT NULL,
        kind text NOT NULL,
        hash bytea NOT NULL,
        seq bigint NOT NULL,
        state smallint NOT NULL CHECK (state BETWEEN 0 AND 3),
        revision bigint NOT NULL,
        PRIMARY KEY (tenant_id, project_id, generation, number)
    );

CREATE TABLE chunk_vectors (
        tenant_id uuid NOT NULL,
        model text NOT NULL,
        dimension integer NOT NULL,
        hash bytea NOT NULL,
        vector bytea NOT NULL,
        PRIMARY KEY (tenant_id, hash, model, dimension),
        CHECK (length(vector) = 4 * dimension)
    );

CREATE TABLE index_dead (
        tenant_id uuid NOT NULL,
        project_id uuid NOT NULL,
        model text NOT NULL,
        hash bytea NOT NULL,
        kind text NOT NULL,
        record_id uuid NOT NULL,
        reason text NOT NULL,
        attempts integer NOT NULL DEFAULT 1,
        at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, project_id, model, hash, kind, record_id)
    );

ALTER TABLE index_state SET (fillfactor = 50);

ALTER TABLE chunks ALTER COLUMN terms SET STORAGE EXTERNAL, ALTER COLUMN frequencies SET STORAGE EXTERNAL;

ALTER TABLE chunk_vectors ALTER COLUMN vector SET STORAGE EXTERNAL;

CREATE UNIQUE INDEX uq_index_units_record ON index_units (tenant_id, id, project_id, kind) WHERE alive;

CREATE INDEX ix_index_units_session ON index_units (tenant_id, project_id, session_id) WHERE alive;

CREATE INDEX ix_index_units_gone ON index_units (tenant_id, project_id, revision) WHERE NOT alive;

CREATE INDEX ix_chunks_hash ON chunks (tenant_id, hash);

CREATE INDEX ix_chunk_states_waiting ON chunk_states (tenant_id, project_id, generation, seq) WHERE state = 0;

CREATE INDEX ix_chunk_states_waiting_hash ON chunk_states (tenant_id, project_id, generation, hash) WHERE state = 0;

CREATE INDEX ix_chunk_states_dead ON chunk_states (tenant_id, project_id, generation) WHERE state = 2;

CREATE INDEX ix_chunk_states_revision ON chunk_states (tenant_id, project_id, generation, revision);

ALTER TABLE index_state ENABLE ROW LEVEL SECURITY;

ALTER TABLE index_state FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON index_state USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON index_state TO memctx_app; END IF; END $$;

ALTER TABLE index_generations ENABLE ROW LEVEL SECURITY;

ALTER TABLE index_generations FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON index_generations USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON index_generations TO memctx_app; END IF; END $$;

ALTER TABLE index_units ENABLE ROW LEVEL SECURITY;

ALTER TABLE index_units FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON index_units USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON index_units TO memctx_app; END IF; END $$;

ALTER TABLE chunks ENABLE ROW LEVEL SECURITY;

ALTER TABLE chunks FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON chunks USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON chunks TO memctx_app; END IF; END $$;

ALTER TABLE chunk_states ENABLE ROW LEVEL SECURITY;

ALTER TABLE chunk_states FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON chunk_states USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON chunk_states TO memctx_app; END IF; END $$;

ALTER TABLE chunk_vectors ENABLE ROW LEVEL SECURITY;

ALTER TABLE chunk_vectors FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON chunk_vectors USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON chunk_vectors TO memctx_app; END IF; END $$;

ALTER TABLE index_dead ENABLE ROW LEVEL SECURITY;

ALTER TABLE index_dead FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON index_dead USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON index_dead TO memctx_app; END IF; END $$;

CREATE POLICY of_everyone ON index_state FOR SELECT USING (current_setting('memctx.all_tenants', true) = 'on');

UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002';

CREATE TABLE audit_log (
    tenant_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    key_id VARCHAR(64) NOT NULL,
    actor VARCHAR(200) NOT NULL,
    act VARCHAR(40) NOT NULL,
    target VARCHAR(500) NOT NULL,
    detail TEXT NOT NULL,
    digest BYTEA NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (tenant_id, seq),
    CONSTRAINT fk_audit_log_tenants FOREIGN KEY(tenant_id) REFERENCES tenants (id),
    CONSTRAINT ck_audit_log_seq_positive CHECK (seq > 0)
);

CREATE FUNCTION seal_audit() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
DECLARE
  last record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(NEW.tenant_id::text, 2));
  SELECT seq, digest INTO last FROM audit_log
   WHERE tenant_id = NEW.tenant_id ORDER BY seq DESC LIMIT 1;
  NEW.seq := coalesce(last.seq, 0) + 1;
  NEW.digest := sha256(
    coalesce(last.digest, sha256(convert_to('memory-context audit ' || NEW.tenant_id, 'UTF8')))
    || int8send(NEW.seq) || NEW.digest);
  RETURN NEW;
END $$;

CREATE TRIGGER seal BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION seal_audit();

ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;

ALTER TABLE audit_log FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON audit_log USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT ON audit_log TO memctx_app; END IF; END $$;

UPDATE alembic_version SET version_num='0004' WHERE alembic_version.version_num = '0003';

ALTER TABLE conflicts ADD COLUMN value JSONB;

CREATE TABLE replicas (
    tenant_id UUID NOT NULL,
    project_id UUID NOT NULL,
    id UUID NOT NULL,
    actor VARCHAR(200) NOT NULL,
    name VARCHAR(500) NOT NULL,
    agent VARCHAR(500) NOT NULL,
    protocol INTEGER NOT NULL,
    last_number BIGINT NOT NULL,
    last_hash BYTEA,
    confirmed BIGINT NOT NULL,
    cursor_epoch UUID,
    cursor_seq BIGINT NOT NULL,
    pending INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    paused BOOLEAN NOT NULL,
    first_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seen TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_replicas PRIMARY KEY (tenant_id, project_id, id),
    CONSTRAINT fk_replicas_projects FOREIGN KEY(tenant_id, project_id) REFERENCES projects (tenant_id, id),
    CONSTRAINT ck_replicas_counts_positive CHECK (last_number >= 0 AND cursor_seq >= 0)
);

CREATE INDEX ix_replicas_tenant_id_id ON replicas (tenant_id, id);

CREATE TABLE replica_results (
    tenant_id UUID NOT NULL,
    project_id UUID NOT NULL,
    replica_id UUID NOT NULL,
    number BIGINT NOT NULL,
    op_id UUID NOT NULL,
    hash BYTEA NOT NULL,
    outcome VARCHAR(10) NOT NULL,
    seq BIGINT NOT NULL,
    head BIGINT NOT NULL,
    conflicts JSONB NOT NULL,
    problem JSONB,
    CONSTRAINT pk_replica_results PRIMARY KEY (tenant_id, project_id, replica_id, number),
    CONSTRAINT fk_replica_results_replicas FOREIGN KEY(tenant_id, project_id, replica_id) REFERENCES replicas (tenant_id, project_id, id),
    CONSTRAINT ck_replica_results_outcome_known CHECK (outcome IN ('accepted', 'duplicate', 'conflict', 'rejected'))
);

ALTER TABLE replicas ENABLE ROW LEVEL SECURITY;

ALTER TABLE replicas FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON replicas USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON replicas TO memctx_app; END IF; END $$;

ALTER TABLE replica_results ENABLE ROW LEVEL SECURITY;

ALTER TABLE replica_results FORCE ROW LEVEL SECURITY;

CREATE POLICY of_tenant ON replica_results USING (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid) WITH CHECK (tenant_id = nullif(current_setting('memctx.tenant_id', true), '')::uuid);

DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'memctx_app') THEN GRANT SELECT, INSERT, UPDATE, DELETE ON replica_results TO memctx_app; END IF; END $$;

UPDATE alembic_version SET version_num='0005' WHERE alembic_version.version_num = '0004';
