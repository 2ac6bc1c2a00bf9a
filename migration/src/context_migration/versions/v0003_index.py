"""The index of a hub that several processes share: words, vectors, leases.

The embedded hub keeps its index in a file of its own, so there is nothing here for SQLite.
All of it can be made anew from the log; so nothing refers to other tables, and nothing is kept
when it is taken back.

Revision ID: 0003
"""

from __future__ import annotations

from alembic import op

from context_migration import isolation

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = {
    # Updated by every batch and every heartbeat: room in the page keeps that cheap.
    "index_state": """
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
    """,
    "index_generations": """
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
    """,
    "index_units": """
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
    """,
    "chunks": """
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
    """,
    "chunk_states": """
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
    """,
    "chunk_vectors": """
        tenant_id uuid NOT NULL,
        model text NOT NULL,
        dimension integer NOT NULL,
        hash bytea NOT NULL,
        vector bytea NOT NULL,
        PRIMARY KEY (tenant_id, hash, model, dimension),
        CHECK (length(vector) = 4 * dimension)
    """,
    "index_dead": """
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
    """,
}

STORAGE = [
    "ALTER TABLE index_state SET (fillfactor = 50)",
    # Little is gained by compressing sorted numbers or unit vectors, and each read would pay.
    (
        "ALTER TABLE chunks ALTER COLUMN terms SET STORAGE EXTERNAL,"
        " ALTER COLUMN frequencies SET STORAGE EXTERNAL"
    ),
    "ALTER TABLE chunk_vectors ALTER COLUMN vector SET STORAGE EXTERNAL",
]

INDEXES = [
    (
        "CREATE UNIQUE INDEX uq_index_units_record ON index_units"
        " (tenant_id, id, project_id, kind) WHERE alive"
    ),
    (
        "CREATE INDEX ix_index_units_session ON index_units"
        " (tenant_id, project_id, session_id) WHERE alive"
    ),
    (
        "CREATE INDEX ix_index_units_gone ON index_units"
        " (tenant_id, project_id, revision) WHERE NOT alive"
    ),
    "CREATE INDEX ix_chunks_hash ON chunks (tenant_id, hash)",
    (
        "CREATE INDEX ix_chunk_states_waiting ON chunk_states"
        " (tenant_id, project_id, generation, seq) WHERE state = 0"
    ),
    (
        "CREATE INDEX ix_chunk_states_waiting_hash ON chunk_states"
        " (tenant_id, project_id, generation, hash) WHERE state = 0"
    ),
    (
        "CREATE INDEX ix_chunk_states_dead ON chunk_states"
        " (tenant_id, project_id, generation) WHERE state = 2"
    ),
    (
        "CREATE INDEX ix_chunk_states_revision ON chunk_states"
        " (tenant_id, project_id, generation, revision)"
    ),
]


def upgrade() -> None:
    if not isolation.has_isolation():
        return
    for name, columns in TABLES.items():
        op.execute(f"CREATE TABLE {name} ({columns})")
    for statement in (*STORAGE, *INDEXES):
        op.execute(statement)
    for name in TABLES:
        isolation.isolate(name)
    isolation.also_show("index_state", "of_everyone", isolation.EVERYONE)


def downgrade() -> None:
    if not isolation.has_isolation():
        return
    for name in reversed(TABLES):
        op.execute(f"DROP TABLE {name}")
