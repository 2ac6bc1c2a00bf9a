"""Vectors: each text once, never two models in one set, and nothing left of what is erased."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.errors import Conflict, InvalidInput
from memory_core.local_index import LocalIndex
from memory_core.local_index.reading import _VECTORS_OF
from memory_core.records import Kind, Ref
from tests.memory_core.recall.records import IN_8_BITS, PROJECT, embed, identity, opened, record


def counted(path: Path, table: str) -> int:
    with sqlite3.connect(path) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    connection.close()
    return count


def test_one_text_is_embedded_once() -> None:
    with opened() as index:
        same = [record(f"r{n}", "the very same words", position=n) for n in range(5)]
        index.apply(PROJECT, 1, same, [])
        assert len(index.pending_texts(10)) == 1
        assert index.progress(PROJECT).pending == 5
        embed(index, HashingEmbedder(16))
        assert index.progress(PROJECT).pending == 0
        assert index.view(PROJECT).chunks.embedded.all()


def test_similarities_are_cosines_and_unknown_ones_are_not_numbers() -> None:
    embedder = HashingEmbedder(32)
    with opened() as index:
        index.apply(PROJECT, 1, [record("a", "parser tabs")], [])
        embed(index, embedder)
        index.apply(PROJECT, 2, [record("b", "cache", position=1)], [])
        view = index.view(PROJECT)
        query = embedder.embed_query("parser tabs")
        similar = index.similarities(view, embedder.model, query)
        assert similar is not None
        assert similar[0] == pytest.approx(1.0, abs=IN_8_BITS)
        assert np.isnan(similar[1])


def test_a_view_is_not_changed_by_later_writes() -> None:
    embedder = HashingEmbedder(16)
    with opened() as index:
        index.apply(PROJECT, 1, [record("a", "parser tabs")], [])
        before = index.view(PROJECT)
        embed(index, embedder)
        index.apply(
            PROJECT, 2, [record("b", "cache", position=1)], [Ref(Kind.MESSAGE, identity("a"))]
        )
        after = index.view(PROJECT)
        assert (before.live, before.size, before.chunks.embedded.tolist()) == (1, 1, [False])
        assert [after.live, after.units.refs[-1].id] == [1, identity("b")]
        assert index.similarities(before, embedder.model, embedder.embed_query("x")) is None


def test_a_rebuild_embeds_nothing_again() -> None:
    with opened() as index:
        records = [record(f"r{n}", f"text {n}", position=n) for n in range(5)]
        index.apply(PROJECT, 1, records, [])
        embed(index, HashingEmbedder(16))
        index.reset(PROJECT)
        assert index.view(PROJECT).live == 0
        index.apply(PROJECT, 1, records, [])
        assert index.pending_texts(10) == []
        assert index.view(PROJECT).chunks.embedded.all()


def test_the_vectors_of_two_models_are_never_mixed() -> None:
    small, other = HashingEmbedder(16), HashingEmbedder(32)
    with opened() as index:
        index.apply(PROJECT, 3, [record("a", "parser")], [])
        embed(index, small)
        with pytest.raises(Conflict, match="not the model in use"):
            index.put_vectors(other.model, [("00" * 16, other.embed(["x"])[0])])
        view = index.view(PROJECT)
        assert index.similarities(view, other.model, other.embed_query("x")) is None
        with pytest.raises(InvalidInput, match="16 dimensions"):
            index.similarities(view, small.model, other.embed_query("x"))
        assert index.model() == (small.model, 16)


def test_a_model_keeps_its_dimension() -> None:
    with opened() as index:
        index.use_model("mini", 8)
        with pytest.raises(Conflict, match="8 dimensions"):
            index.use_model("mini", 9)


def test_another_model_embeds_anew_while_words_are_found() -> None:
    small, other = HashingEmbedder(16), HashingEmbedder(32)
    records = [record("a", "parser"), record("b", "cache", position=1)]
    with opened() as index:
        index.apply(PROJECT, 3, records, [])
        embed(index, small)
        index.use_model(other.model, other.dimension)
        assert index.progress(PROJECT).lexical_seq == 0
        assert index.progress(PROJECT).pending == 2
        assert index.view(PROJECT).live == 2
        index.apply(PROJECT, 3, records, [])
        assert len(index.pending_texts(5)) == 2
        embed(index, other)
        assert index.progress(PROJECT).pending == 0
        index.use_model(small.model, small.dimension)
        assert index.progress(PROJECT).lexical_seq == 3
        assert index.progress(PROJECT).pending == 0
        similar = index.similarities(index.view(PROJECT), small.model, small.embed_query("parser"))
        assert similar is not None
        assert float(similar.max()) == pytest.approx(1.0, abs=IN_8_BITS)


def test_what_is_deleted_leaves_neither_text_nor_vector(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    index = LocalIndex.open(path)
    secret = "the zanzibar password is swordfish"
    index.apply(PROJECT, 1, [record("a", secret, author="Ada"), record("b", "kept")], [])
    embed(index, HashingEmbedder(16))
    index.apply(PROJECT, 2, [record("c", secret + " twice")], [])
    gone = [Ref(Kind.MESSAGE, identity("a")), Ref(Kind.MESSAGE, identity("c"))]
    index.apply(PROJECT, 3, [], gone)
    index.close()
    assert counted(path, "vectors") == 1
    assert counted(path, "chunks") == 1
    assert counted(path, "pending") == 0
    left = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"zanzibar" not in left
    assert b"Ada" not in left


def test_a_changed_record_keeps_the_vectors_of_what_stays(tmp_path: Path) -> None:
    embedder = HashingEmbedder(16)
    with opened() as index:
        index.apply(PROJECT, 1, [record("a", "parser", quality=0.1)], [])
        embed(index, embedder)
        index.apply(PROJECT, 2, [record("a", "parser", quality=0.9)], [])
        assert index.pending_texts(5) == []
        view = index.view(PROJECT)
        assert view.units.quality[view.units.alive].tolist() == pytest.approx([0.9])


def test_vectors_of_texts_that_are_gone_are_dropped(tmp_path: Path) -> None:
    embedder = HashingEmbedder(16)
    with opened(tmp_path) as index:
        index.apply(PROJECT, 1, [record("a", "parser")], [])
        ((content_hash, text),) = index.pending_texts(5)
        index.apply(PROJECT, 2, [], [Ref(Kind.MESSAGE, identity("a"))])
        index.put_vectors(embedder.model, [(content_hash, embedder.embed([text])[0])])
        assert counted(tmp_path / "index.db", "vectors") == 0


def test_purge_drops_what_nothing_uses(tmp_path: Path) -> None:
    small, other = HashingEmbedder(16), HashingEmbedder(32)
    with opened(tmp_path) as index:
        index.apply(PROJECT, 1, [record("a", "parser"), record("b", "cache", position=1)], [])
        embed(index, small)
        index.reset(PROJECT)
        index.apply(PROJECT, 1, [record("a", "parser")], [])
        assert index.purge() == 1
        index.use_model(other.model, other.dimension)
        assert index.purge() == 1
        assert counted(tmp_path / "index.db", "vectors") == 0


def test_a_text_that_cannot_be_embedded_does_not_block_others() -> None:
    embedder = HashingEmbedder(16)
    with opened() as index:
        index.apply(PROJECT, 1, [record("bad", "poison"), record("b", "good", position=1)], [])
        (bad, _), _ = index.pending_texts(5)
        index.mark_dead(bad, "not finite")
        embed(index, embedder)
        progress = index.progress(PROJECT)
        assert (progress.pending, progress.dead, progress.vector_seq) == (0, 1, 1)
        assert index.view(PROJECT).live == 2
        index.apply(PROJECT, 2, [record("again", "poison", position=2)], [])
        assert index.progress(PROJECT).dead == 2
        assert index.pending_texts(5) == []


@pytest.mark.parametrize(
    "vectors",
    [
        [("00" * 16, np.array([1.0, np.nan], dtype=np.float32))],
        [("00" * 16, np.ones(2, dtype=np.float32)), ("11" * 16, np.ones(3, dtype=np.float32))],
        [("00" * 16, np.ones((2, 2), dtype=np.float32))],
        [("00" * 16, np.ones(0, dtype=np.float32))],
        [("not hex", np.ones(2, dtype=np.float32))],
    ],
)
def test_bad_vectors_are_refused(vectors: list[tuple[str, np.ndarray]]) -> None:
    with opened() as index:
        with pytest.raises(InvalidInput):
            index.put_vectors("mini", vectors)
        assert index.model() is None


def test_vector_progress_stops_before_the_first_that_waits() -> None:
    embedder = HashingEmbedder(16)
    with opened() as index:
        records = [record(f"r{n}", f"text {n}", position=n, seq=n) for n in range(1, 6)]
        index.apply(PROJECT, 5, records, [])
        for content_hash, text in index.pending_texts(2):
            index.put_vectors(embedder.model, [(content_hash, embedder.embed([text])[0])])
        assert index.progress(PROJECT).vector_seq == 2
        embed(index, embedder)
        assert index.progress(PROJECT).vector_seq == 5


def test_texts_that_wait_are_told_by_project_from_a_place_on() -> None:
    with opened() as index:
        texts = [record(f"r{n}", f"text {n}", position=n) for n in range(5)]
        index.apply(PROJECT, 1, texts, [])
        every = index.waiting(PROJECT, limit=10)
        assert [hashed for _, hashed in every] == [hashed for hashed, _ in index.pending_texts(10)]
        first = index.waiting(PROJECT, limit=2)
        assert first == every[:2]
        assert index.waiting(PROJECT, after=first[-1][0], limit=10) == every[2:]
        assert index.waiting(identity("another"), limit=10) == []


def test_a_vector_is_looked_up_by_its_hash_however_many_texts_there_are(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    LocalIndex.open(path).close()
    with sqlite3.connect(path) as connection:
        plan = connection.execute(
            f"EXPLAIN QUERY PLAN {_VECTORS_OF}", (1, 1, 1, b"", None)
        ).fetchall()
    connection.close()
    assert any("chunks_by_hash (hash=?)" in step for *_, step in plan)
