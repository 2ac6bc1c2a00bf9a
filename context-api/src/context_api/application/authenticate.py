"""From an API key to the caller it stands for."""

from __future__ import annotations

import hashlib
import hmac
import re

from context_api.application.services import RootKey, Services
from context_api.domain.caller import ADMIN, METRICS, ROOT, Caller
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
    if _is(services.root_key, key_id):
        return _of_settings(services.root_key, given, frozenset({ADMIN, ROOT}), projects=None)
    if _is(services.metrics_key, key_id):
        return _of_settings(services.metrics_key, given, frozenset({METRICS}), projects=frozenset())
    key = await services.uow.find_key(key_id)
    at = now()
    if key is None or not hmac.compare_digest(key.secret_hash, given) or not key.works_at(at):
        raise Unauthorized("the API key is not valid")
    services.key_uses[key.tenant_id, key.id] = at
    return Caller(
        tenant_id=key.tenant_id,
        actor=key.owner,
        key_id=key.id,
        scopes=frozenset(key.scopes),
        project_ids=None if key.project_ids is None else frozenset(key.project_ids),
    )


def _is(own: RootKey | None, key_id: str) -> bool:
    return own is not None and own.key_id == key_id


def _of_settings(
    own: RootKey | None, given: bytes, scopes: frozenset[str], *, projects: frozenset[str] | None
) -> Caller:
    """Returns the caller of a key that the settings name.

    Raises:
        Unauthorized: the secret is not that key's.
    """
    if own is None or not hmac.compare_digest(own.secret_hash, given):
        raise Unauthorized("the API key is not valid")
    return Caller(
        tenant_id=own.tenant_id,
        actor=own.owner,
        key_id=own.key_id,
        scopes=scopes,
        project_ids=projects,
    )
