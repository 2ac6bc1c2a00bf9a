"""From an API key to the caller it stands for."""

from __future__ import annotations

import hashlib
import hmac
import re

from context_api.application.services import Services
from context_api.domain.caller import ADMIN, Caller
from memory_core.clock import now
from memory_core.errors import Unauthorized

TOKEN = re.compile(r"mctx_([A-Za-z0-9]{6,32})_([A-Za-z0-9_-]{20,100})")


def hash_secret(secret: str) -> bytes:
    """Returns the SHA-256 of a key's secret; it has 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(secret.encode()).digest()


def split_token(token: str) -> tuple[str, str]:
    """Returns the public id and the secret of a key such as ``mctx_<id>_<secret>``.

    Raises:
        Unauthorized: it does not look like one.
    """
    found = TOKEN.fullmatch(token)
    if found is None:
        raise Unauthorized("the API key has not the form mctx_<id>_<secret>")
    return found[1], found[2]


async def authenticate(services: Services, token: str) -> Caller:
    """Returns the caller that an API key stands for.

    Raises:
        Unauthorized: the key is unknown, wrong, revoked or expired; all are answered alike.
    """
    key_id, secret = split_token(token)
    given = hash_secret(secret)
    root = services.root_key
    if root is not None and root.key_id == key_id:
        if hmac.compare_digest(root.secret_hash, given):
            return Caller(
                tenant_id=root.tenant_id,
                actor=root.owner,
                key_id=key_id,
                scopes=frozenset({ADMIN}),
                project_ids=None,
            )
        raise Unauthorized("the API key is not valid")
    key = await services.uow.find_key(key_id)
    at = now()
    if (
        key is None
        or not hmac.compare_digest(key.secret_hash, given)
        or key.revoked_at is not None
        or (key.expires_at is not None and key.expires_at <= at)
    ):
        raise Unauthorized("the API key is not valid")
    services.key_uses[key.tenant_id, key.id] = at
    return Caller(
        tenant_id=key.tenant_id,
        actor=key.owner,
        key_id=key.id,
        scopes=frozenset(key.scopes),
        project_ids=None if key.project_ids is None else frozenset(key.project_ids),
    )
