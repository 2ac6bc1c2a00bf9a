"""Views that are kept beside the index: the same as those read from rows, and never stale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.local_index import LocalIndex
from memory_core.recall.view import ProjectView
from memory_core.records import Kind, Ref
from tests.memory_core.recall.records import PROJECT, identity, record

EMBEDDER = HashingEmbedder(16)
WORDS = ["parser", "token", "migration", "queue", "retry", "cursor", "schema", "payment"]


def fill(index: LocalIndex, count: int, *, first: int = 0) -> None:
    """Indexes ``count`` messages in sessions of 40, every fourth one PRIVATE."""
    records = [
        record(
            f"m{number}",
            f"The {WORDS[number % 8]} {WORDS[number // 8 % 8]} took {number} steps.",
            session=f"s{number // 40}",
            position=number % 40,
            owner_id="ada" if number % 4 == 0 else None,
            author=f"author {number % 3}",
        )
        for number in range(first, first + count)
    ]
    index.apply(PROJECT, first + count, records, [])


def embed_all(index: LocalIndex) -> None:
    index.use_model(EMBEDDER.model, EMBEDDER.dimension)
    waiting = index.pending_texts(100_000)
    vectors = EMBEDDER.embed([text for _, text in waiting])
    index.put_vectors(EMBEDDER.model, list(zip([h for h, _ in waiting], vectors, strict=True)))


def assert_same(one: ProjectView, other: ProjectView) -> None:
    for table in ("units", "chunks"):
        mine, theirs = getattr(one, table), getattr(other, table)
        for column in fields(mine):
            a, b = getattr(mine, column.name), getattr(theirs, column.name)
            assert list(a) == list(b), (table, column.name)
    assert (one.authors, one.owners, one.sessions) == (other.authors, other.owners, other.sessions)
    query = EMBEDDER.embed_query("the parser took 7 steps")
    if one.vectors is None or other.vectors is None:
        assert one.vectors is other.vectors
        return
    products = one.vectors.dot(query, one.size)
    assert np.array_equal(products, other.vectors.dot(query, other.size))


def whole(index: LocalIndex) -> None:
    """Fills an index, embeds all of it, and looks at it."""
    fill(index, 2_400)
    embed_all(index)
    index.view(PROJECT)


def kept_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("index.db.view-*"))


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """An index of 2,400 records with a kept view."""
    path = tmp_path / "index.db"
    with_views(path, whole)
    assert len(kept_files(tmp_path)) == 1
    return path


def with_views(path: Path, act: Callable[[LocalIndex], object]) -> None:
    index = LocalIndex.open(path, keep_views=True)
    try:
        act(index)
    finally:
        index.close()


def read_both(path: Path) -> tuple[ProjectView, ProjectView]:
    """Returns the view as a new process takes it, and as it is read from rows alone."""
    quick, slow = LocalIndex.open(path, keep_views=True), LocalIndex.open(path)
    try:
        return quick.view(PROJECT), slow.view(PROJECT)
    finally:
        quick.close()
        slow.close()


def test_a_kept_view_is_the_one_read_from_rows(full: Path) -> None:
    assert_same(*read_both(full))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 120)),
            st.tuples(st.just("gone"), st.integers(0, 2_399)),
            st.tuples(st.just("session gone"), st.integers(0, 59)),
            st.tuples(st.just("change"), st.integers(0, 2_399)),
        ),
        max_size=6,
    ),
    st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_what_came_since_is_read_into_it(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], embedded: bool
) -> None:
    path = tmp_path_factory.mktemp("kept") / "index.db"
    with_views(path, whole)
    plain = LocalIndex.open(path)
    upto = 2_400
    for what, number in steps:
        match what:
            case "add":
                fill(plain, number, first=upto)
                upto += number
            case "gone":
                plain.apply(PROJECT, upto, [], [Ref(Kind.MESSAGE, identity(f"m{number}"))])
            case "session gone":
                plain.apply(PROJECT, upto, [], [Ref(Kind.SESSION, identity(f"s{number}"))])
            case _:
                changed = record(f"m{number}", "something else", session=f"s{number // 40}")
                plain.apply(PROJECT, upto, [changed], [])
    if embedded:
        embed_all(plain)
    plain.close()
    quick, slow = read_both(path)
    assert quick.live == slow.live
    assert {
        ref for ref, alive in zip(quick.units.refs, quick.units.alive, strict=True) if alive
    } == {ref for ref, alive in zip(slow.units.refs, slow.units.alive, strict=True) if alive}


@pytest.mark.parametrize("keep_views", [True, False])
def test_what_is_removed_leaves_no_kept_view(full: Path, keep_views: bool) -> None:
    index = LocalIndex.open(full, keep_views=keep_views)
    index.apply(PROJECT, 3_000, [], [Ref(Kind.MESSAGE, identity("m7"))])
    index.close()
    assert kept_files(full.parent) == []
    assert_same(*read_both(full))
    assert len(kept_files(full.parent)) == 1


@pytest.mark.parametrize("damage", ["short", "long", "header", "magic", "empty"])
def test_a_damaged_file_is_not_used(full: Path, damage: str) -> None:
    file = kept_files(full.parent)[0]
    content = bytearray(file.read_bytes())
    match damage:
        case "short":
            content = content[:-64]
        case "long":
            content += bytes(64)
        case "header":
            content[40] ^= 1
        case "magic":
            content[0] ^= 1
        case _:
            content = bytearray()
    file.write_bytes(content)
    assert_same(*read_both(full))


def test_another_index_under_the_same_name_does_not_use_it(full: Path) -> None:
    for file in full.parent.glob("index.db*"):
        if "view" not in file.name:
            file.unlink()
    index = LocalIndex.open(full)
    fill(index, 30)
    index.close()
    quick, slow = read_both(full)
    assert quick.size == slow.size == 30


def test_a_kept_view_is_for_its_owner_alone(full: Path) -> None:
    assert kept_files(full.parent)[0].stat().st_mode & 0o077 == 0


def test_a_small_project_keeps_none(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = LocalIndex.open(path, keep_views=True)
    fill(index, 50)
    index.view(PROJECT)
    index.close()
    assert kept_files(tmp_path) == []
