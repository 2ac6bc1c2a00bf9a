"""Settings that do not go together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from context_api.settings.places import is_loopback

if TYPE_CHECKING:
    from context_api.settings.model import Settings

# The same form as `context_api.application.authenticate.TOKEN`, without loading the hub.
KEY_FORM = re.compile(r"mctx_([A-Za-z0-9]{6,32})_([A-Za-z0-9_-]{20,100})")
_REDIS_SCHEMES = ("redis://", "rediss://", "redis+cluster://", "rediss+cluster://")


def contradictions(settings: Settings) -> Iterable[str]:
    """Yields what does not go together."""
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    if settings.api_key and not KEY_FORM.fullmatch(key):
        yield "MEMCTX_API_KEY has not the form mctx_<id>_<secret>; `./setup.sh` makes one"
    if settings.metrics_key and not KEY_FORM.fullmatch(settings.metrics_key.get_secret_value()):
        yield "MEMCTX_METRICS_KEY has not the form mctx_<id>_<secret>"
    if not is_loopback(settings.host) and not key:
        yield f"MEMCTX_HOST={settings.host} can be reached by others and needs MEMCTX_API_KEY"
    is_shown = settings.metrics_port is not None and not is_loopback(settings.metrics_host)
    if is_shown and settings.metrics_key is None:
        yield (
            f"MEMCTX_METRICS_HOST={settings.metrics_host} can be reached by others and needs"
            " MEMCTX_METRICS_KEY"
        )
    yield from _server_problems(settings, key)
    if settings.embedding_provider == "openai":
        yield from _endpoint_problems(settings)
    elif settings.embedding_url:
        yield (
            "MEMCTX_EMBEDDING_URL is set but MEMCTX_EMBEDDING_PROVIDER is"
            f" {settings.embedding_provider}, which does not use it"
        )


def _server_problems(settings: Settings, key: str) -> Iterable[str]:
    """Yields what is wrong about the servers that a team's hub stands on."""
    if settings.database_url.get_secret_value() and not settings.database.startswith(
        ("sqlite+aiosqlite:///", "postgresql+asyncpg://")
    ):
        yield "MEMCTX_DATABASE_URL must begin with postgresql+asyncpg:// or sqlite+aiosqlite:///"
    if settings.is_server and not key:
        yield "MEMCTX_DATABASE_URL names a server, so MEMCTX_API_KEY is needed"
    if settings.chroma_url:
        url = urlsplit(settings.chroma_url)
        if url.scheme not in {"http", "https"} or not url.hostname or url.username:
            yield "MEMCTX_CHROMA_URL: an http or https URL is needed, without a password"
        if not settings.is_server:
            yield "MEMCTX_CHROMA_URL is set but MEMCTX_DATABASE_URL is not on PostgreSQL"
    redis_url = settings.redis_url.get_secret_value()
    if redis_url:
        if not redis_url.startswith(_REDIS_SCHEMES):
            yield "MEMCTX_REDIS_URL must begin with redis://, rediss:// or redis+cluster://"
        asked = {name: value.lower() for name, value in parse_qsl(urlsplit(redis_url).query)}
        if asked.get("ssl_cert_reqs", "required") != "required" or (
            asked.get("ssl_check_hostname", "true") not in {"true", "yes", "1"}
        ):
            yield (
                "MEMCTX_REDIS_URL switches the check of certificates off; name an authority of"
                " your own with ?ssl_ca_certs=/path instead"
            )
        if settings.cache_secret is None:
            yield "MEMCTX_REDIS_URL is set, so MEMCTX_CACHE_SECRET is needed"
    if settings.role != "all" and not settings.is_server:
        yield f"MEMCTX_ROLE={settings.role} needs PostgreSQL; one process does all without it"


def _endpoint_problems(settings: Settings) -> Iterable[str]:
    url = urlsplit(settings.embedding_url)
    if url.scheme not in {"http", "https"} or not url.hostname:
        yield "MEMCTX_EMBEDDING_URL: an http or https URL is needed for openai"
    elif url.username or url.password:
        yield "MEMCTX_EMBEDDING_URL holds a password; use MEMCTX_EMBEDDING_API_KEY"
    elif url.scheme == "http" and settings.embedding_api_key and not is_loopback(url.hostname):
        yield "MEMCTX_EMBEDDING_API_KEY would be sent unencrypted; use an https URL"
    if not settings.embedding_model:
        yield "MEMCTX_EMBEDDING_MODEL is needed for openai"
