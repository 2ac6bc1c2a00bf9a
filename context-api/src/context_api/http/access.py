"""Who may call what: the one table of routes and the scopes they need.

A route that is not in the table cannot be made (`context_api.http.route`), and a test calls
every entry without a key and with too small a scope.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Scope = Literal["read", "write", "admin", "metrics", "root"]

API = "/api/v1"
READ: Scope = "read"
WRITE: Scope = "write"
ADMIN: Scope = "admin"
METRICS: Scope = "metrics"
ROOT: Scope = "root"

# Answered without a key: nothing in them belongs to anyone.
OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/docs", "/openapi.json"})

_BELOW_API: Mapping[tuple[str, str], Scope] = {
    ("POST", "/projects"): WRITE,
    ("GET", "/projects"): READ,
    ("GET", "/projects/{project_id}"): READ,
    ("PATCH", "/projects/{project_id}"): WRITE,
    ("GET", "/projects/{project_id}/events"): READ,
    ("GET", "/projects/{project_id}/events/stream"): READ,
    ("POST", "/projects/{project_id}/sync/push"): WRITE,
    ("GET", "/projects/{project_id}/sync/pull"): READ,
    ("GET", "/projects/{project_id}/sync/snapshot"): READ,
    ("POST", "/projects/{project_id}/sync/digests"): READ,
    ("POST", "/projects/{project_id}/sync/events"): READ,
    ("POST", "/projects/{project_id}/sync/vectors"): READ,
    ("GET", "/sync/status"): READ,
    ("GET", "/model"): READ,
    ("GET", "/model/files/{name}"): READ,
    ("POST", "/sessions"): WRITE,
    ("GET", "/sessions"): READ,
    ("GET", "/sessions/{session_id}"): READ,
    ("PATCH", "/sessions/{session_id}"): WRITE,
    ("DELETE", "/sessions/{session_id}"): WRITE,
    ("POST", "/sessions/{session_id}/messages"): WRITE,
    ("GET", "/sessions/{session_id}/messages"): READ,
    ("GET", "/messages/{message_id}"): READ,
    ("DELETE", "/messages/{message_id}"): WRITE,
    ("POST", "/checkpoints"): WRITE,
    ("GET", "/checkpoints"): READ,
    ("GET", "/checkpoints/{checkpoint_id}"): READ,
    ("DELETE", "/checkpoints/{checkpoint_id}"): WRITE,
    ("POST", "/patterns"): WRITE,
    ("GET", "/patterns"): READ,
    ("GET", "/patterns/{pattern_id}"): READ,
    ("PATCH", "/patterns/{pattern_id}"): WRITE,
    ("DELETE", "/patterns/{pattern_id}"): WRITE,
    ("POST", "/patterns/{pattern_id}/outcomes"): WRITE,
    ("GET", "/tags"): READ,
    ("GET", "/conflicts"): READ,
    ("GET", "/conflicts/{conflict_id}"): READ,
    ("POST", "/conflicts/{conflict_id}/resolve"): WRITE,
    ("POST", "/search"): READ,
    ("GET", "/search"): READ,
    ("POST", "/context"): READ,
    ("POST", "/keys"): ADMIN,
    ("GET", "/keys"): ADMIN,
    ("DELETE", "/keys/{key_id}"): ADMIN,
    ("POST", "/keys/{key_id}/rotate"): ADMIN,
    ("POST", "/tenants"): ROOT,
    ("GET", "/tenants"): ROOT,
    ("GET", "/audit"): ADMIN,
    ("POST", "/audit/verify"): ADMIN,
    ("POST", "/admin/verify"): ADMIN,
    ("POST", "/admin/rebuild"): ADMIN,
    ("POST", "/admin/index/verify"): ADMIN,
    ("POST", "/admin/index/repair"): ADMIN,
    ("POST", "/admin/index/rebuild"): ADMIN,
    ("GET", "/export"): ADMIN,
    ("POST", "/import"): ADMIN,
    ("GET", "/status"): ADMIN,
}

SCOPES: Mapping[tuple[str, str], Scope] = {
    **{(method, API + path): scope for (method, path), scope in _BELOW_API.items()},
    ("GET", "/metrics"): METRICS,
}

# Bodies that are read as they come and may be of any size.
STREAMED_PATHS = frozenset({f"{API}/import"})

_PATTERNS: Mapping[str, re.Pattern[str]] = {
    path: re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
    for path in [*OPEN_PATHS, *(path for _, path in SCOPES)]
}


def allowed_methods(path: str) -> list[str]:
    """Returns the methods that the routes at ``path`` answer, sorted."""
    known = {*SCOPES, *(("GET", path) for path in OPEN_PATHS)}
    return sorted({method for method, name in known if _PATTERNS[name].fullmatch(path)})
