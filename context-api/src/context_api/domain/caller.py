"""Who is asking, as the API key says."""

from __future__ import annotations

from dataclasses import dataclass

from memory_core.errors import Forbidden

READ, WRITE, ADMIN = "read", "write", "admin"


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
        """Checks that the key has ``scope``; admin includes every other, write includes read.

        Raises:
            Forbidden: it has not.
        """
        held = self.scopes
        if scope in held or ADMIN in held or (scope == READ and WRITE in held):
            return
        raise Forbidden(f"this needs a key with the scope {scope}")

    def may_reach(self, project_id: str) -> bool:
        """Says whether the key is granted a project."""
        return self.project_ids is None or project_id in self.project_ids
