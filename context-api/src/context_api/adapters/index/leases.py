"""Who works on which project: a row's lease, taken with a number that fences the former holder."""

from __future__ import annotations

import threading
from typing import LiteralString

from context_api.adapters.index.pushing import SqlVectorPush
from context_api.adapters.index.store import SqlIndexes
from context_api.application.index_work import Claim, LeaseLost
from memory_core.recall.stored import FORMAT

LEASE_S = 60.0
RETRY_S = 10.0
"""How long a project that failed is left alone, so that the others have their turn."""

_TENANTS: LiteralString = "SELECT id::text FROM tenants ORDER BY id"
_BEGIN: LiteralString = """
INSERT INTO index_state (tenant_id, project_id, format)
SELECT p.tenant_id, p.id, %s FROM projects p WHERE p.tenant_id = %s AND NOT EXISTS (
    SELECT 1 FROM index_state s WHERE s.tenant_id = p.tenant_id AND s.project_id = p.id)
ON CONFLICT DO NOTHING
"""
# Each condition is one kind of work; all are answered from indexes. A worker does one project at
# a time: a lease that it still has when it claims is one that it could not give back.
_CLAIM: LiteralString = """
UPDATE index_state SET lease_owner = %(owner)s, fence = fence + 1,
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE tenant_id = %(tenant)s AND project_id = (
    SELECT s.project_id FROM index_state s
    JOIN projects p ON p.tenant_id = s.tenant_id AND p.id = s.project_id
    LEFT JOIN index_generations g ON g.tenant_id = s.tenant_id AND g.project_id = s.project_id
        AND g.model = %(model)s AND g.dimension = %(dimension)s
    WHERE s.tenant_id = %(tenant)s AND s.format <= %(format)s
    AND (s.lease_until IS NULL OR s.lease_until < clock_timestamp()
        OR s.lease_owner = %(owner)s)
    AND (
        p.head <> s.applied_seq OR s.format < %(format)s
        OR (%(dimension)s > 0 AND (
            (g.generation IS NULL AND s.applied_seq > 0) OR NOT g.ready
            OR EXISTS (SELECT 1 FROM chunk_states c WHERE c.tenant_id = s.tenant_id
                AND c.project_id = s.project_id AND c.generation = g.generation AND c.state = 0)
            OR EXISTS (SELECT 1 FROM index_dead d WHERE d.tenant_id = s.tenant_id
                AND d.project_id = s.project_id AND d.model = %(model)s
                AND d.at < now() - interval '1 day')))
        OR (%(push)s AND EXISTS (SELECT 1 FROM index_generations o
            WHERE o.tenant_id = s.tenant_id AND o.project_id = s.project_id
            AND (o.pushed < s.revision OR o.audited_at IS NULL
                OR o.audited_at < clock_timestamp() - make_interval(secs => %(audit_age_s)s))))
    )
    ORDER BY s.last_success_at NULLS FIRST, s.project_id
    LIMIT 1 FOR UPDATE OF s SKIP LOCKED)
RETURNING project_id::text, fence
"""
_RENEW: LiteralString = """
UPDATE index_state SET lease_until = clock_timestamp() + make_interval(secs => %s)
WHERE tenant_id = %s AND project_id = %s AND fence = %s AND lease_owner = %s
"""
_RELEASE: LiteralString = """
UPDATE index_state SET lease_owner = NULL,
    lease_until = CASE WHEN %s THEN NULL ELSE clock_timestamp() + make_interval(secs => %s) END,
    last_success_at = CASE WHEN %s THEN clock_timestamp() ELSE last_success_at END
WHERE tenant_id = %s AND project_id = %s AND fence = %s AND lease_owner = %s
"""


class SqlLeases:
    """Leases of ``lease_s`` seconds by the database's clock, tenants in turn."""

    def __init__(
        self, indexes: SqlIndexes, push: SqlVectorPush | None = None, *, lease_s: float = LEASE_S
    ) -> None:
        self._database = indexes.database
        self._model = indexes.model
        self._push = push
        self._lease_s = lease_s
        self._last_tenant = ""
        self._sharing = threading.Lock()

    def claim(self, worker_id: str) -> Claim | None:
        """Claims a project with work that nobody else has, the one longest not done; None if none.

        One that this worker claimed and could not give back, because the database was away, it
        may claim again at once; the former claim's writes are refused.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        with self._database.everyone() as connection:
            tenants = [row[0] for row in connection.execute(_TENANTS)]
        with self._sharing:
            last = self._last_tenant
        for tenant_id in [t for t in tenants if t > last] + [t for t in tenants if t <= last]:
            claim = self._claim_of(tenant_id, worker_id)
            if claim is not None:
                with self._sharing:
                    self._last_tenant = tenant_id
                return claim
        return None

    def renew(self, claim: Claim) -> None:
        """Prolongs a claim.

        Raises:
            LeaseLost: another worker has the project.
            Busy, Unavailable: the database does not answer.
        """
        with self._database.transaction(claim.tenant_id) as connection:
            renewed = connection.execute(_RENEW, (self._lease_s, *_holder(claim)))
            if not renewed.rowcount:
                raise LeaseLost("another worker has taken the project over")

    def release(self, claim: Claim, *, succeeded: bool) -> None:
        """Gives a claim back; a project that failed is left alone for a while.

        Harmless if the claim is lost.

        Raises:
            Busy, Unavailable: the database does not answer.
        """
        with self._database.transaction(claim.tenant_id) as connection:
            connection.execute(_RELEASE, (succeeded, RETRY_S, succeeded, *_holder(claim)))

    def _claim_of(self, tenant_id: str, worker_id: str) -> Claim | None:
        name, dimension = self._model.current or ("", 0)
        push = self._push
        with self._database.transaction(tenant_id) as connection:
            connection.execute(_BEGIN, (FORMAT, tenant_id))
            row = connection.execute(
                _CLAIM,
                {
                    "owner": worker_id,
                    "lease_s": self._lease_s,
                    "tenant": tenant_id,
                    "model": name,
                    "dimension": dimension,
                    "format": FORMAT,
                    "push": push is not None and push.open,
                    "audit_age_s": push.audit_age_s if push is not None else None,
                },
            ).fetchone()
        if row is None:
            return None
        return Claim(tenant_id=tenant_id, project_id=row[0], worker_id=worker_id, fence=row[1])


def _holder(claim: Claim) -> tuple[str, str, int, str]:
    return (claim.tenant_id, claim.project_id, claim.fence, claim.worker_id)
