"""What Chroma answers, checked before it is believed."""

from __future__ import annotations

import math
from typing import TypeAlias

from pydantic import BaseModel, Field, RootModel, model_validator

Metadata: TypeAlias = dict[str, str | int | float | bool | None]


class Hnsw(BaseModel):
    """How a collection compares vectors."""

    space: str = ""


class Configuration(BaseModel):
    """How a collection is indexed; servers that spread over machines have no ``hnsw``."""

    hnsw: Hnsw | None = None
    spann: Hnsw | None = None


class Collection(BaseModel):
    """A collection as the server describes it. ``dimension`` comes with the first vector."""

    id: str
    name: str
    metadata: Metadata | None = None
    dimension: int | None = None
    configuration_json: Configuration = Field(default_factory=Configuration)

    @property
    def metric(self) -> str:
        """The name of its distance."""
        found = self.configuration_json.hnsw or self.configuration_json.spann
        return found.space if found else ""


class Collections(RootModel[list[Collection]]):
    """A page of collections."""


class PreFlight(BaseModel):
    """What the server accepts in one request."""

    max_batch_size: int = Field(default=100, ge=1)
    supports_base64_encoding: bool = False


class Page(BaseModel):
    """A page of what a collection holds."""

    ids: list[str] = Field(default_factory=list)
    metadatas: list[Metadata | None] | None = None


class Found(BaseModel):
    """The nearest vectors of one query: a list for each query, so here each list holds one."""

    ids: list[list[str]] = Field(min_length=1, max_length=1)
    distances: list[list[float | None]] = Field(min_length=1, max_length=1)

    @model_validator(mode="after")
    def _equal_lengths(self) -> Found:
        if len(self.ids[0]) != len(self.distances[0]):
            raise ValueError("ids and distances do not match")
        return self

    def scores(self) -> list[tuple[str, float]]:
        """Returns ids with their cosine; one without a distance is none."""
        pairs = zip(self.ids[0], self.distances[0], strict=True)
        return [(id_, 1.0 - far) for id_, far in pairs if far is not None and math.isfinite(far)]


def metadata_text(metadata: Metadata | None, key: str) -> str:
    """Returns a text of an item's metadata; what has none differs from everything."""
    found = (metadata or {}).get(key)
    return found if isinstance(found, str) else ""
