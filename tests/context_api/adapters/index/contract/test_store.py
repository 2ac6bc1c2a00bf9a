"""What every index store promises."""

from __future__ import annotations

import numpy as np
import pytest

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.errors import InvalidInput, Unavailable
from memory_core.recall.ports import Progress
from memory_core.recall.prepare import embedded_texts
from memory_core.records import Kind, Ref
from tests.context_api.adapters.index.contract.stores import Held
from tests.memory_core.recall.records import IN_8_BITS, PROJECT, identity, record

OTHER_PROJECT = identity("another project")


def test_a_project_never_indexed_is_empty_at_0(held: Held) -> None:
    assert held.store.progress(PROJECT) == Progress()
    assert held.store.view(PROJECT).live == 0


def test_what_is_applied_is_in_the_next_view(held: Held) -> None:
    held.store.apply(PROJECT, 7, [record("a", "parser tabs")], [], after_seq=0)
    view = held.store.view(PROJECT)
    assert [ref.id for ref in view.units.refs] == [identity("a")]
    assert held.store.progress(PROJECT) == Progress(lexical_seq=7, vector_seq=0, pending=1)


def test_a_view_is_not_changed_by_later_writes(held: Held) -> None:
    held.store.apply(PROJECT, 1, [record("a", "parser")], [], after_seq=0)
    before = held.store.view(PROJECT)
    gone = [Ref(Kind.MESSAGE, identity("a"))]
    held.store.apply(PROJECT, 2, [record("b", "cache", position=1)], gone, after_seq=1)
    assert (before.live, before.size) == (1, 1)
    assert held.store.view(PROJECT).live == 1
    assert held.store.view(PROJECT).units.refs[-1].id == identity("b")


def test_a_reading_holds_what_was_applied_before_it_and_tells_what_came_later(held: Held) -> None:
    held.store.apply(PROJECT, 1, [record("a", "parser")], [], after_seq=0)
    reading = held.store.read([OTHER_PROJECT, PROJECT])
    assert [at.lexical_seq for at in reading.progress] == [0, 1]
    assert [reading.view(name).live for name in (OTHER_PROJECT, PROJECT)] == [0, 1]
    assert reading.is_still()
    held.store.apply(PROJECT, 2, [record("b", "cache", position=1)], [], after_seq=1)
    late = held.store.read([PROJECT])
    assert late.view(PROJECT).live == 2
    assert late.is_still()
    assert reading.view(PROJECT).live == 2
    assert not reading.is_still()
    assert held.store.read([]).progress == []


def test_a_batch_from_the_middle_of_the_log_is_refused(held: Held) -> None:
    with pytest.raises(Unavailable):
        held.store.apply(PROJECT, 9, [record("a", "parser")], [], after_seq=4)
    assert held.store.progress(PROJECT) == Progress()


def test_late_work_does_not_move_the_progress_back(held: Held) -> None:
    records = [record("a", "parser tabs")]
    held.store.apply(PROJECT, 5, records, [], after_seq=0)
    held.store.apply(PROJECT, 3, records, [], after_seq=0)
    assert held.store.progress(PROJECT).lexical_seq == 5
    assert held.store.view(PROJECT).live == 1


def test_a_record_of_another_project_is_refused(held: Held) -> None:
    with pytest.raises(InvalidInput):
        held.store.apply(OTHER_PROJECT, 1, [record("a", "x")], [], after_seq=0)


def test_projects_do_not_see_each_other(held: Held) -> None:
    held.store.apply(PROJECT, 1, [record("a", "parser")], [], after_seq=0)
    other = record("a", "cache", project_id=OTHER_PROJECT)
    held.store.apply(OTHER_PROJECT, 3, [other], [], after_seq=0)
    held.store.reset(PROJECT)
    assert held.store.view(PROJECT).live == 0
    assert held.store.progress(PROJECT).lexical_seq == 0
    assert held.store.view(OTHER_PROJECT).live == 1
    assert held.store.progress(OTHER_PROJECT).lexical_seq == 3


def test_with_a_session_goes_all_that_belongs_to_it(held: Held) -> None:
    session = record("s", "about tabs", kind=Kind.SESSION, session="s")
    records = [session, record("a", "parser"), record("b", "cache", session="other")]
    held.store.apply(PROJECT, 1, records, [], after_seq=0)
    held.store.apply(PROJECT, 2, [], [Ref(Kind.SESSION, identity("s"))], after_seq=1)
    view = held.store.view(PROJECT)
    alive = [view.units.refs[unit].id for unit in np.flatnonzero(view.units.alive)]
    assert alive == [identity("b")]


def test_what_came_back_after_its_deletion_is_there(held: Held) -> None:
    one = [record("a", "parser")]
    held.store.apply(PROJECT, 1, one, [], after_seq=0)
    held.store.apply(PROJECT, 2, [], [Ref(Kind.MESSAGE, identity("a"))], after_seq=1)
    held.store.apply(PROJECT, 3, one, [], after_seq=2)
    assert held.store.view(PROJECT).live == 1


def test_vectors_are_found_after_a_reset(held: Held) -> None:
    embedder = HashingEmbedder(16)
    records = {f"r{n}": record(f"r{n}", f"text {n}", position=n) for n in range(5)}
    held.use(embedder)
    held.store.apply(PROJECT, 1, list(records.values()), [], after_seq=0)
    assert held.embed(records, embedder, 10) == 5
    assert held.store.view(PROJECT).chunks.embedded.all()
    held.store.reset(PROJECT)
    held.store.apply(PROJECT, 1, list(records.values()), [], after_seq=0)
    assert held.store.view(PROJECT).chunks.embedded.all()
    assert held.store.progress(PROJECT) == Progress(lexical_seq=1, vector_seq=1)


def test_one_text_is_embedded_once(held: Held) -> None:
    embedder = HashingEmbedder(16)
    records = {f"r{n}": record(f"r{n}", "the same words", position=n) for n in range(5)}
    held.use(embedder)
    held.store.apply(PROJECT, 1, list(records.values()), [], after_seq=0)
    assert held.store.progress(PROJECT).pending == 5
    assert held.embed(records, embedder, 10) == 1
    assert held.store.progress(PROJECT).pending == 0
    assert held.store.view(PROJECT).chunks.embedded.all()


def test_similarities_are_cosines_and_unknown_ones_are_not_numbers(held: Held) -> None:
    embedder = HashingEmbedder(32)
    held.use(embedder)
    first = {"a": record("a", "parser tabs")}
    held.store.apply(PROJECT, 1, list(first.values()), [], after_seq=0)
    held.embed(first, embedder, 10)
    held.store.apply(PROJECT, 2, [record("b", "cache", position=1)], [], after_seq=1)
    view = held.store.view(PROJECT)
    query = embedder.embed_query("parser tabs")
    similar = held.store.similarities(view, embedder.model, query)
    assert similar is not None
    assert similar[0] == pytest.approx(1.0, abs=IN_8_BITS)
    assert np.isnan(similar[1])
    assert held.store.similarities(view, "another-model", query) is None
    with pytest.raises(InvalidInput):
        held.store.similarities(view, embedder.model, query[:5])


def test_texts_that_no_database_stores_are_indexed(held: Held) -> None:
    odd = record("a", "parser \ud800 \0 tabs", author="Zo\0e \udfff", role="user")
    held.store.apply(PROJECT, 1, [odd], [], after_seq=0)
    assert held.store.view(PROJECT).live == 1


def test_vectors_are_handed_out_by_the_hash_of_their_text(held: Held) -> None:
    records = {
        name: record(name, f"text of {name}", position=place, owner_id=owner)
        for place, (name, owner) in enumerate([("a", None), ("b", "ada"), ("c", None)])
    }
    hashes = {name: [hashed.hex() for hashed in embedded_texts(r)] for name, r in records.items()}
    wanted = [hashed for found in hashes.values() for hashed in found]
    held.store.apply(PROJECT, 1, [*records.values()], [], after_seq=0)
    embedder = HashingEmbedder(dimension=16)
    held.use(embedder)
    held.embed(records, embedder, 100)
    gone = [Ref(Kind.MESSAGE, identity("c"))]
    held.store.apply(
        PROJECT,
        held.store.progress(PROJECT).lexical_seq + 1,
        [],
        gone,
        after_seq=held.store.progress(PROJECT).lexical_seq,
    )
    for asker, names in (("ada", "ab"), ("grace", "a"), (None, "a")):
        found = held.store.vectors_of(PROJECT, [*wanted, "0" * 32], asker=asker)
        assert found is not None
        assert (found.model, found.dimension) == (embedder.model, 16)
        expected = {hashed for name in names for hashed in hashes[name]}
        assert {hashed for hashed, _ in found.rows} == expected
    texts = embedded_texts(records["a"])
    found = held.store.vectors_of(PROJECT, hashes["a"])
    assert found is not None
    for hashed, vector in found.rows:
        np.testing.assert_allclose(
            vector, embedder.embed([texts[bytes.fromhex(hashed)]])[0], atol=1e-6
        )
    for project in (OTHER_PROJECT, PROJECT):
        nothing = held.store.vectors_of(project, ["0" * 32])
        assert nothing is not None
        assert list(nothing.rows) == []


def test_without_a_model_there_are_no_vectors(held: Held) -> None:
    held.store.apply(PROJECT, 1, [record("a", "parser")], [], after_seq=0)
    assert held.store.vectors_of(PROJECT, ["0" * 32]) is None
