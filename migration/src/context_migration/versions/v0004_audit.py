"""The audit log: who did what to keys, tenants and the hub, in a chain that only grows.

The hub's role may add to it and read it. On a server the database seals each entry itself, under
a lock of the tenant's chain; in a file, where one writer holds everything, the hub does.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from context_migration import columns, isolation

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# `digest` comes as that of what the entry says and is stored as that of the chain up to it.
SEAL = """
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
END $$
"""
SEALED = "CREATE TRIGGER seal BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION seal_audit()"
# A file has no roles that could be refused.
KEPT = (
    "CREATE TRIGGER audit_log_kept_{0} BEFORE {0} ON audit_log"
    " BEGIN SELECT raise(ABORT, 'the audit log is only added to'); END"
)


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("tenant_id", columns.uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", columns.utc_time(), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("act", sa.String(40), nullable=False),
        sa.Column("target", sa.String(500), nullable=False),
        sa.Column("detail", columns.canonical_json(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "seq", name="pk_audit_log"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_audit_log_tenants"),
        sa.CheckConstraint("seq > 0", name="ck_audit_log_seq_positive"),
    )
    if not isolation.has_isolation():
        for change in ("update", "delete"):
            op.execute(KEPT.format(change))
        return
    op.execute(SEAL)
    op.execute(SEALED)
    isolation.isolate("audit_log", rights="SELECT, INSERT")


def downgrade() -> None:
    op.drop_table("audit_log")
    if isolation.has_isolation():
        op.execute("DROP FUNCTION seal_audit()")
