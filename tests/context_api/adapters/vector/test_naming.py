"""Names of collections: within Chroma's limits, and nobody else's."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from context_api.adapters.vector.naming import collection_name, space_metadata, space_of
from context_api.application.vectors import Space

UUIDS = st.uuids(version=4).map(str)
KINDS = st.sampled_from(["session", "checkpoint", "pattern"])
SPACES = st.builds(
    Space,
    tenant_id=UUIDS,
    project_id=UUIDS,
    kind=KINDS,
    model=st.text(),
    dimension=st.integers(1, 65_536),
    generation=st.integers(0, 2**31),
)
LIMITS = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{1,510}[a-zA-Z0-9]")


@given(SPACES)
def test_a_name_is_within_the_limits_and_read_back(space: Space) -> None:
    name = collection_name(space)
    assert LIMITS.fullmatch(name)
    assert name.startswith(f"{space.kind}s_embeddings-{space.project_id}-g{space.generation}-")
    assert space_of(name, space_metadata(space)) == space


@given(SPACES, SPACES)
def test_no_two_spaces_share_a_name(one: Space, other: Space) -> None:
    assert (collection_name(one) == collection_name(other)) == (one == other)


@given(SPACES, UUIDS)
def test_the_same_project_id_of_another_tenant_is_another_name(space: Space, tenant: str) -> None:
    other = space._replace(tenant_id=tenant)
    assert collection_name(other) != collection_name(space) or tenant == space.tenant_id


@given(SPACES, SPACES)
def test_metadata_that_does_not_lead_to_the_name_is_not_believed(a: Space, b: Space) -> None:
    found = space_of(collection_name(a), space_metadata(b))
    assert found == (a if a == b else None)


def test_a_collection_of_somebody_else_is_no_space() -> None:
    assert space_of("docs", None) is None
    assert space_of("docs", {"hnsw:space": "l2"}) is None
    assert space_of("docs", {"tenant_id": 1, "project_id": "p"}) is None
