"""Replicas that sync with the hub: where each stands, and what its operations came to.

A conflict that is resolved also says with which value.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from context_migration import columns, isolation

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conflicts", sa.Column("value", columns.json()))
    _create_replicas()
    _create_replica_results()
    for name in ("replicas", "replica_results"):
        isolation.isolate(name)


def downgrade() -> None:
    """Also drops the values of resolved conflicts, which `upgrade` does not bring back.

    They are in the log, of which ``memctx rebuild`` makes them again: run it after upgrading. The
    chain does not: who migrates is held by the isolation of tenants and reads none of their events.
    """
    op.drop_table("replica_results")
    op.drop_index(op.f("ix_replicas_tenant_id_id"), table_name="replicas")
    op.drop_table("replicas")
    op.drop_column("conflicts", "value")


def _create_replicas() -> None:
    op.create_table(
        "replicas",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("id", columns.uuid(), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("name", sa.String(500), nullable=False),
        sa.Column("agent", sa.String(500), nullable=False),
        sa.Column("protocol", sa.Integer(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("last_hash", sa.LargeBinary()),
        sa.Column("confirmed", sa.BigInteger(), nullable=False),
        sa.Column("cursor_epoch", columns.uuid()),
        sa.Column("cursor_seq", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("conflicts", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.Integer(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("first_seen", columns.utc_time(), nullable=False),
        sa.Column("last_seen", columns.utc_time(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "project_id", "id", name="pk_replicas"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id"],
            ["projects.tenant_id", "projects.id"],
            name="fk_replicas_projects",
        ),
        sa.CheckConstraint(
            "last_number >= 0 AND cursor_seq >= 0", name="ck_replicas_counts_positive"
        ),
    )
    op.create_index("ix_replicas_tenant_id_id", "replicas", ["tenant_id", "id"])


def _create_replica_results() -> None:
    op.create_table(
        "replica_results",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("project_id", columns.uuid(), nullable=False),
        sa.Column("replica_id", columns.uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("op_id", columns.uuid(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.Column("conflicts", columns.json(), nullable=False),
        sa.Column("problem", columns.json()),
        sa.PrimaryKeyConstraint(
            "tenant_id", "project_id", "replica_id", "number", name="pk_replica_results"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "project_id", "replica_id"],
            ["replicas.tenant_id", "replicas.project_id", "replicas.id"],
            name="fk_replica_results_replicas",
        ),
        sa.CheckConstraint(
            "outcome IN ('accepted', 'duplicate', 'conflict', 'rejected')",
            name="ck_replica_results_outcome_known",
        ),
    )
