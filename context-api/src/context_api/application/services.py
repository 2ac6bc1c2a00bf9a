"""The ports that use cases work with, made once by `context_api.bootstrap`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from context_api.application.indexes import Indexes
from context_api.application.ports import UnitOfWork
from context_api.application.wakeup import Wakeup


@dataclass(frozen=True, slots=True, kw_only=True)
class RootKey:
    """The key of the settings: admin of the default tenant, without a row in the database."""

    key_id: str
    secret_hash: bytes
    tenant_id: str
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the hub says about itself."""

    version: str
    mode: str
    schema_revision: str
    started_at: str
    sqlite_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a use case may use."""

    uow: UnitOfWork
    wakeup: Wakeup
    indexes: Indexes
    tenant_id: str
    root_key: RootKey | None
    facts: Facts
    min_score: float | None = None
    key_uses: dict[tuple[str, str], str] = field(default_factory=dict)
    maintenance: asyncio.Lock = field(default_factory=asyncio.Lock)
