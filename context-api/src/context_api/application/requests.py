"""What a caller asks of the hub alone: pages of lists, keys, tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from memory_core.fields import Id, Input, RequiredLine, Time
from memory_core.records import Document
from memory_core.requests import MAX_PROJECTS, ProjectName

MAX_OVERLAP_S = 30 * 24 * 3600

Scope = Literal["read", "write", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list is asked for: at most ``limit`` items, after ``cursor``."""

    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of documents, newest first; ``next_cursor`` is None on the last one."""

    items: list[Document]
    next_cursor: str | None = None


class CreateKey(Input):
    """Makes an API key; without ``projects`` it reaches all of the tenant's."""

    name: RequiredLine
    owner: RequiredLine | None = None
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)]
    projects: Annotated[list[ProjectName], Field(min_length=1, max_length=MAX_PROJECTS)] | None = (
        None
    )
    expires_at: Time | None = None


class RotateKey(Input):
    """Replaces a key by a new one; the old one goes on for ``overlap_seconds``, 0 ends it now."""

    overlap_seconds: Annotated[int, Field(ge=0, le=MAX_OVERLAP_S)] = 24 * 3600
    expires_at: Annotated[
        Time | None, Field(description="When the new key ends; empty: when the old one would have.")
    ] = None


class CreateTenant(Input):
    """Makes a team of its own, with its first admin key."""

    id: Id | None = None
    name: RequiredLine
    owner: Annotated[RequiredLine, Field(description="Who acts with its first key.")] = "admin"
