"""Verify, repair and rebuild, over memory and over a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from context_api.adapters.vector.memory import MemoryVectors
from context_api.application.index_care import mend_index, rebuild, repair, verify
from context_api.application.index_care_source import Generation
from context_api.application.vectors import Space, VectorIndex, VectorItem
from memory_core.errors import Conflict, Corrupt, Unavailable
from memory_core.records import Document
from tests.context_api.adapters.vector.material import (
    DIMENSION,
    MODEL,
    ListSource,
    hash_of,
    item,
    vector,
)


def filled(index: VectorIndex, source: ListSource, count: int = 40) -> None:
    source.fill(count)
    assert repair(index, source)["verdict"] == "ok"


def counts(report: Document) -> tuple[object, ...]:
    return tuple(report[name] for name in ("missing", "stale", "orphans", "waiting", "unfound"))


def test_an_index_that_equals_sql_is_ok(index: VectorIndex, source: ListSource) -> None:
    filled(index, source)
    report = verify(index, source)
    assert report["verdict"] == "ok"
    assert counts(report) == (0, 0, 0, 0, 0)
    assert (report["expected"], report["held"], report["asked"]) == (40, 40, 40)
    assert report["canary"] is None
    assert report["strays"] == 0


def test_an_empty_project_is_ok(index: VectorIndex, source: ListSource) -> None:
    assert verify(index, source)["verdict"] == "ok"
    assert mend_index(index, source, grace=0)["done"] == "nothing"


def test_each_difference_is_found_and_only_it_is_mended(
    index: VectorIndex, source: ListSource
) -> None:
    filled(index, source)
    messages = source.current.space(source, "session")
    patterns = source.current.space(source, "pattern")
    index.delete(messages, ["0", "4"])
    index.upsert(patterns, [item("900", "of a deleted record")])
    source.add("2", "a new text", "checkpoint")
    source.add("41", "not embedded yet", models=())
    report = verify(index, source)
    assert report["verdict"] == "drifted"
    assert counts(report) == (2, 1, 1, 1, 0)
    report = repair(index, source)
    assert (report["upserted"], report["deleted"], report["verdict"]) == (3, 1, "ok")
    assert source.held(index) == source.wanted() == source.noted
    assert counts(verify(index, source)) == (0, 0, 0, 1, 0)
    assert repair(index, source)["upserted"] == 0


def test_a_vector_of_a_former_text_goes_while_the_new_one_waits(
    index: VectorIndex, source: ListSource
) -> None:
    filled(index, source)
    source.add("0", "not embedded yet", "session", models=())
    assert counts(verify(index, source)) == (0, 0, 1, 1, 0)
    repair(index, source)
    assert source.held(index) == source.wanted()


def test_a_vector_that_stands_in_the_wrong_place_is_found(
    index: VectorIndex, source: ListSource
) -> None:
    source.fill(400)
    repair(index, source)
    here = source.current.space(source, "checkpoint")
    index.upsert(here, [item("2", "text 2")._replace(vector=vector("elsewhere"))])
    assert dict(index.hashes(here))["2"] == hash_of("text 2"), "hashes alone do not show it"
    report = verify(index, source, sample=400)
    assert (report["verdict"], report["unfound"]) == ("drifted", 1)
    assert repair(index, source, sample=400)["verdict"] == "ok"
    assert verify(index, source, sample=400)["verdict"] == "ok"


def test_more_equal_texts_than_are_asked_for_are_no_damage(
    index: VectorIndex, source: ListSource
) -> None:
    for number in range(60):
        source.add(str(number), "the same text", "session")
    repair(index, source)
    assert verify(index, source)["verdict"] == "ok"


def test_a_rebuild_switches_to_an_equal_generation_and_drops_the_old(
    index: VectorIndex, source: ListSource
) -> None:
    filled(index, source)
    index.upsert(source.current.space(source, "session"), [item("900", "gone")])
    steps: list[str] = []
    report = rebuild(index, source, grace=0, progress=lambda step, _: steps.append(step))
    assert (report["from_generation"], report["generation"], report["copied"]) == (1, 2, 40)
    assert (report["verdict"], report["dropped"]) == ("ok", 3)
    assert source.current == Generation(2, MODEL, DIMENSION)
    assert source.held(index) == source.wanted()
    there = index.spaces(source.tenant_id, source.project_id)
    assert {space.generation for space in there} == {2}
    assert set(steps) == {"copying", "reading", "asking", "switching"}


def test_what_is_written_during_a_rebuild_is_in_it(index: VectorIndex, source: ListSource) -> None:
    filled(index, source)

    def write_meanwhile() -> None:
        source.on_vectors = lambda: None
        source.add("100", "written during the copy")
        source.add("1", "changed during the copy")
        del source.rows["3"]

    source.on_vectors = write_meanwhile
    assert rebuild(index, source, grace=0)["verdict"] == "ok"
    assert source.held(index) == source.wanted()


def test_searches_go_on_during_a_rebuild(index: VectorIndex, source: ListSource) -> None:
    filled(index, source, 400)
    over = threading.Event()

    def search() -> int:
        asked = 0
        while not over.is_set():
            number = asked * 4 % 400
            here = source.generation().space(source, "session")
            near = index.nearest(here, vector(f"text {number}"), 3)
            assert near, "it is never empty"
            assert near[0][0] == str(number)
            asked += 1
        return asked

    with ThreadPoolExecutor(2) as threads:
        searching = [threads.submit(search) for _ in range(2)]
        try:
            rebuild(index, source, grace=0.3)
            rebuild(index, source, grace=0.3)
        finally:
            over.set()
        assert all(one.result() > 10 for one in searching)
    assert source.current.number == 3


def test_a_rebuild_ignores_and_removes_what_an_interrupted_one_left(
    index: VectorIndex, source: ListSource
) -> None:
    filled(index, source)
    left = source.current._replace(number=2).space(source, "session")
    index.upsert(left, [item("900", "left behind")])
    assert verify(index, source)["strays"] == 1
    assert rebuild(index, source, grace=0)["generation"] == 3
    assert verify(index, source)["strays"] == 0


def test_a_model_is_switched_when_all_its_vectors_are_there(
    index: VectorIndex, source: ListSource
) -> None:
    for number in range(12):
        source.add(str(number), f"text {number}", models=(MODEL, "new"))
    repair(index, source)
    source.add("12", "only by the old one")
    with pytest.raises(Conflict, match="1 chunks have no vector by new"):
        rebuild(index, source, grace=0, model=("new", DIMENSION))
    assert source.current.model == MODEL
    assert verify(index, source)["strays"] == 0
    source.add("12", "only by the old one", models=(MODEL, "new"))
    report = rebuild(index, source, grace=0, model=("new", DIMENSION), keep_old=True)
    assert (report["model"], report["dropped"]) == ("new", 0)
    assert source.held(index) == source.wanted()
    assert verify(index, source)["strays"] == 1


def test_of_two_rebuilds_one_wins_and_keeps_its_spaces(
    index: VectorIndex, source: ListSource
) -> None:
    filled(index, source)

    def another_first() -> None:
        source.on_vectors = lambda: None
        rebuild(index, source, grace=0)

    source.on_vectors = another_first
    with pytest.raises(Conflict):
        rebuild(index, source, grace=0)
    assert source.current.number == 2
    assert mend_index(index, source, grace=0)["verdict"] == "ok"
    assert source.held(index) == source.wanted()


def test_mending_does_no_more_than_is_needed(index: VectorIndex, source: ListSource) -> None:
    filled(index, source)
    assert mend_index(index, source, grace=0)["done"] == "nothing"
    index.delete(source.current.space(source, "pattern"), ["3"])
    assert mend_index(index, source, grace=0)["done"] == "repair"
    assert source.current.number == 1
    for kind in ("session", "checkpoint", "pattern"):
        index.drop(source.current.space(source, kind))
    assert mend_index(index, source, grace=0)["done"] == "repair"
    assert source.held(index) == source.wanted()


class Ruined(MemoryVectors):
    """An index whose count and hashes look right while its searches fail, as after a full disk.

    ``broken`` says for which generations, and ``silent`` that it answers instead of failing.
    """

    def __init__(self, broken: Sequence[int], *, silent: bool) -> None:
        super().__init__()
        self.broken, self.silent = broken, silent
        self.read: set[int] = set()

    def hashes(self, space: Space) -> Iterator[tuple[str, str]]:
        self.read.add(space.generation)
        return super().hashes(space)

    def nearest(
        self, space: Space, query: NDArray[np.float32], limit: int
    ) -> list[tuple[str, float]]:
        if space.generation in self.broken:
            if self.silent:
                return super().nearest(space, -query, limit)
            raise Corrupt("Error finding id")
        return super().nearest(space, query, limit)


@pytest.mark.parametrize("silent", [True, False])
def test_a_ruined_graph_is_damage_and_only_a_rebuild_mends_it(
    source: ListSource, silent: bool
) -> None:
    index = Ruined((), silent=silent)
    filled(index, source)
    index.broken = (1,)
    report = verify(index, source)
    assert (report["verdict"], counts(report)[:3]) == ("damaged", (0, 0, 0))
    index.delete(source.current.space(source, "session"), ["0"])
    assert repair(index, source)["upserted"] == 0, "nothing is written into a ruin"
    report = mend_index(index, source, grace=0)
    assert (report["done"], report["verdict"], report["generation"]) == ("rebuild", "ok", 2)
    assert source.held(index) == source.wanted()


def test_a_rebuild_reads_nothing_of_what_it_replaces(source: ListSource) -> None:
    index = Ruined((), silent=False)
    filled(index, source)
    index.read.clear()
    rebuild(index, source, grace=0)
    assert index.read == {2}


def test_a_generation_that_is_ruined_too_is_not_switched_to(source: ListSource) -> None:
    index = Ruined((), silent=False)
    filled(index, source)
    index.broken = (2,)
    with pytest.raises(Corrupt):
        rebuild(index, source, grace=0)
    assert source.current.number == 1
    assert {one.generation for one in index.spaces(source.tenant_id, source.project_id)} == {1}


def test_a_mended_vector_that_is_not_found_is_damage(source: ListSource) -> None:
    index = Ruined((), silent=True)
    filled(index, source)
    index.broken = (1,)
    index.delete(source.current.space(source, "pattern"), ["3"])
    assert repair(index, source, sample=0)["verdict"] == "damaged"


class Stopping(MemoryVectors):
    """Stops answering after a number of writes."""

    def __init__(self, writes: int) -> None:
        super().__init__()
        self.writes = writes

    def upsert(self, space: Space, items: Sequence[VectorItem]) -> None:
        self.writes -= 1
        if self.writes < 0:
            raise Unavailable("silence")
        super().upsert(space, items)


def test_a_rebuild_that_fails_changes_nothing(source: ListSource) -> None:
    index = Stopping(4)
    filled(index, source)
    before = source.held(index)
    with pytest.raises(Unavailable):
        rebuild(index, source, grace=0)
    assert source.current.number == 1
    assert source.held(index) == before
    assert {one.generation for one in index.spaces(source.tenant_id, source.project_id)} == {1}


STATES = st.dictionaries(
    st.integers(0, 20).map(str), st.tuples(st.sampled_from("abcd"), st.sampled_from([True, False]))
)


@given(STATES, st.dictionaries(st.integers(0, 20).map(str), st.sampled_from("abcd")))
def test_repair_ends_equal_from_any_state_and_writes_only_what_differs(
    wanted: dict[str, tuple[str, bool]], held: dict[str, str]
) -> None:
    index, source = MemoryVectors(), ListSource()
    here = source.current.space(source, "session")
    index.upsert(here, [item(id_, text) for id_, text in held.items()])
    for id_, (text, embedded) in wanted.items():
        source.add(id_, text, models=(MODEL,) if embedded else ())
    right = {id_ for id_, (text, _) in wanted.items() if held.get(id_) == text}
    due = {id_ for _, id_, _ in source.wanted()}
    report = repair(index, source)
    assert report["verdict"] == "ok"
    assert dict(index.hashes(here)) == {id_: hash_of(wanted[id_][0]) for id_ in right | due}
    assert report["upserted"] == len(due - right)
    assert report["deleted"] == len(held.keys() - right - due)
    assert repair(index, source)["upserted"] == 0
