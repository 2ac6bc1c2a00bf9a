"""Who is asking, as the API key says."""

from __future__ import annotations

from dataclasses import dataclass

from memory_core.errors import Forbidden

READ, WRITE, ADMIN = "read", "write", "admin"
METRICS, ROOT = "metrics", "root"

_IMPLIED = {
    READ: frozenset({WRITE, ADMIN}),
    WRITE: frozenset({ADMIN}),
    METRICS: frozenset({ADMIN}),
}
"""Which other scopes hold each scope. Nothing holds root but the hub's own key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A tenant's person or agent. ``project_ids`` None means every project of the tenant."""

    tenant_id: str
    actor: str
    key_id: str
    scopes: frozenset[str]
    project_ids: frozenset[str] | None
    via: str = ""

    def require(self, scope: str) -> None:
        """Checks that the key has ``scope``: admin includes read, write and metrics, write read.

        What an admin does concerns the whole tenant, so a key for some projects may not do it.

        Raises:
            Forbidden: it has not.
        """
        if scope == ADMIN and self.project_ids is not None:
            raise Forbidden("this needs a key with the scope admin for all projects")
        if scope in self.scopes or not self.scopes.isdisjoint(_IMPLIED.get(scope, ())):
            return
        if scope == ROOT:
            raise Forbidden("this needs the hub's own key, that of MEMCTX_API_KEY")
        raise Forbidden(f"this needs a key with the scope {scope}")

    def may_reach(self, project_id: str) -> bool:
        """Says whether the key is granted a project."""
        return self.project_ids is None or project_id in self.project_ids
