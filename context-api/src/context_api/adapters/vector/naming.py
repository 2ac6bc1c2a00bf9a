"""What a space is called at a vector server, and how its name is read back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, TypeAlias

from context_api.application.vectors import Space

Metadata: TypeAlias = Mapping[str, str | int | float | bool | None]

_SLUG_LENGTH: Final = 40
_HASH_LENGTH: Final = 16
_NO_SLUG: Final = re.compile(r"[^a-z0-9]+")


def collection_name(space: Space) -> str:
    """Returns the name of a space: 3 to 512 of ``[a-zA-Z0-9._-]``, whatever the model is called.

    It ends in a hash of everything that tells spaces apart. Ids of projects are made by clients
    and unique only within a tenant: without the tenant in the name, one tenant could write into
    another's collection by giving its project the same id.
    """
    model = _NO_SLUG.sub("-", space.model.lower()).strip("-")[:_SLUG_LENGTH].strip("-")
    whole = "\x00".join(str(part) for part in space).encode("utf-8", "surrogatepass")
    digest = hashlib.sha256(whole).hexdigest()[:_HASH_LENGTH]
    parts = [project_prefix(space), f"g{space.generation}", str(space.dimension), model, digest]
    return "-".join(part for part in parts if part)


def project_prefix(space: Space) -> str:
    """Returns what the names of a project's spaces of one kind begin with."""
    return f"{space.kind}s_embeddings-{space.project_id}"


def space_metadata(space: Space) -> dict[str, str | int]:
    """Returns what a collection says about itself."""
    return dict(space._asdict())


def space_of(name: str, metadata: Metadata | None) -> Space | None:
    """Returns the space that a collection holds, or None if it is none of ours.

    A name alone proves nothing: it must be the one that its own metadata leads to.
    """
    match metadata:
        case {
            "tenant_id": str(tenant_id),
            "project_id": str(project_id),
            "kind": str(kind),
            "model": str(model),
            "dimension": int(dimension),
            "generation": int(generation),
        }:
            space = Space(tenant_id, project_id, kind, model, dimension, generation)
            return space if collection_name(space) == name else None
    return None
