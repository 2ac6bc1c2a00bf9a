"""What every vector index does, in memory and in a real server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from context_api.application.vectors import VectorIndex
from memory_core.errors import InvalidInput
from tests.context_api.adapters.vector.material import DIMENSION, hash_of, item, space, vector


def test_the_nearest_come_first_with_their_cosine(index: VectorIndex) -> None:
    here = space()
    query = vector("a")
    beside = query + 0.5 * vector("b")
    beside /= np.linalg.norm(beside)
    index.upsert(
        here,
        [item("2", "c"), item("1", "a")._replace(vector=beside), item("3", "a"), item("4", "d")],
    )
    found = index.nearest(here, query, 2)
    assert [id_ for id_, _ in found] == ["3", "1"]
    assert found[0][1] == pytest.approx(1.0, abs=1e-5)
    assert found[1][1] == pytest.approx(float(beside @ query), abs=1e-5)


def test_scores_equal_those_of_numpy(index: VectorIndex) -> None:
    here = space()
    items = [item(str(n), f"t{n}") for n in range(300)]
    index.upsert(here, items)
    query = vector("query")
    exact = {one.id: float(one.vector @ query) for one in items}
    found = index.nearest(here, query, 20)
    assert [score for _, score in found] == pytest.approx([exact[i] for i, _ in found], abs=1e-5)
    assert [i for i, _ in found] == sorted(exact, key=lambda i: -exact[i])[:20]


def test_a_space_that_is_not_there_is_empty(index: VectorIndex) -> None:
    here = space()
    assert index.nearest(here, vector("a"), 5) == []
    assert list(index.hashes(here)) == []
    index.delete(here, ["1"])
    index.drop(here)
    assert index.spaces(here.tenant_id, here.project_id) == []


def test_writing_nothing_is_no_write(index: VectorIndex) -> None:
    here = space()
    index.upsert(here, [])
    index.delete(here, [])
    assert index.spaces(here.tenant_id, here.project_id) == []


def test_a_limit_is_a_limit(index: VectorIndex) -> None:
    here = space()
    index.upsert(here, [item("1", "a"), item("2", "b")])
    assert index.nearest(here, vector("a"), 0) == []
    assert len(index.nearest(here, vector("a"), 1)) == 1
    assert len(index.nearest(here, vector("a"), 50)) == 2


def test_an_upsert_replaces_vector_and_hash(index: VectorIndex) -> None:
    here = space()
    index.upsert(here, [item("1", "old"), item("2", "other")])
    index.upsert(here, [item("1", "new")])
    assert dict(index.hashes(here)) == {"1": hash_of("new"), "2": hash_of("other")}
    assert index.nearest(here, vector("new"), 1)[0][1] == pytest.approx(1.0, abs=1e-5)
    assert index.nearest(here, vector("old"), 1)[0][1] < 0.9


def test_of_one_id_twice_in_a_batch_the_last_holds(index: VectorIndex) -> None:
    here = space()
    index.upsert(here, [item("1", "first"), item("2", "other"), item("1", "last")])
    assert dict(index.hashes(here))["1"] == hash_of("last")
    assert index.nearest(here, vector("last"), 1)[0][0] == "1"


def test_what_is_deleted_is_not_found(index: VectorIndex) -> None:
    here = space()
    index.upsert(here, [item("1", "a"), item("2", "b")])
    index.delete(here, ["1", "77"])
    assert [id_ for id_, _ in index.nearest(here, vector("a"), 5)] == ["2"]
    index.delete(here, ["2"])
    assert index.nearest(here, vector("a"), 5) == []


def test_more_than_one_request_holds(index: VectorIndex) -> None:
    here = space()
    items = [item(str(n), f"t{n}") for n in range(5600)]
    index.upsert(here, items)
    assert sorted(index.hashes(here)) == sorted((one.id, one.content_hash) for one in items)
    index.delete(here, [one.id for one in items[:5500]])
    assert sorted(id_ for id_, _ in index.hashes(here)) == sorted(str(n) for n in range(5500, 5600))


@pytest.mark.parametrize(
    "bad",
    [
        np.full(DIMENSION, np.nan, dtype=np.float32),
        np.full(DIMENSION, np.inf, dtype=np.float32),
        np.zeros(DIMENSION, dtype=np.float32),
        np.ones(DIMENSION + 1, dtype=np.float32),
        np.ones((1, DIMENSION), dtype=np.float32),
    ],
)
def test_a_bad_vector_is_refused_and_nothing_is_stored(
    index: VectorIndex, bad: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    here = space()
    with pytest.raises(InvalidInput):
        index.upsert(here, [item("1", "good"), item("2", "bad")._replace(vector=bad)])
    assert list(index.hashes(here)) == []
    index.upsert(here, [item("1", "good")])
    with pytest.raises(InvalidInput):
        index.nearest(here, bad, 5)


def test_an_empty_id_is_refused(index: VectorIndex) -> None:
    with pytest.raises(InvalidInput):
        index.upsert(space(), [item("", "a")])


@pytest.mark.parametrize(
    "other",
    [
        {"tenant_id": "01997000-0000-7000-8000-000000000000"},
        {"kind": "pattern"},
        {"model": "test/model- a 1.0"},
        {"generation": 2},
    ],
)
def test_spaces_share_nothing(index: VectorIndex, other: dict[str, object]) -> None:
    here = space()
    there = here._replace(**other)  # type: ignore[arg-type]
    index.upsert(here, [item("1", "a")])
    index.upsert(there, [item("1", "b")])
    index.delete(there, ["2"])
    ((id_, score),) = index.nearest(here, vector("a"), 5)
    assert id_ == "1"
    assert score == pytest.approx(1.0, abs=1e-5)
    index.drop(there)
    assert dict(index.hashes(here)) == {"1": hash_of("a")}


def test_spaces_of_a_project_are_listed_and_dropped(index: VectorIndex) -> None:
    here = space()
    all_of_it = {
        here,
        here._replace(kind="pattern"),
        here._replace(generation=7),
        here._replace(model="other"),
    }
    foreign = here._replace(tenant_id="01997000-0000-7000-8000-000000000000")
    for one in (*all_of_it, foreign, space()):
        index.upsert(one, [item("1", "a")])
    assert set(index.spaces(here.tenant_id, here.project_id)) == all_of_it
    index.drop(here._replace(generation=7))
    index.drop(here._replace(generation=7))
    assert set(index.spaces(here.tenant_id, here.project_id)) == all_of_it - {
        here._replace(generation=7)
    }


def test_a_model_of_any_name_has_a_space(index: VectorIndex) -> None:
    for model in ("ä" * 600, "../../etc", "-", "A B\nC", "模型", "a"):
        here = space(model=model)
        index.upsert(here, [item("1", "a")])
        assert index.spaces(here.tenant_id, here.project_id) == [here]
        assert index.nearest(here, vector("a"), 1)[0][0] == "1"


def test_an_index_may_be_used_by_threads(index: VectorIndex) -> None:
    here = space()

    def work(first: int) -> int:
        for number in range(first, first + 30):
            index.upsert(here, [item(str(number), f"t{number}")])
            assert index.nearest(here, vector(f"t{number}"), 1)[0][0] == str(number)
        return 30

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(0, 240, 30))) == 240
    assert len(dict(index.hashes(here))) == 240


def test_a_healthy_index_passes_its_check(index: VectorIndex) -> None:
    for _ in range(3):
        index.check()


def test_its_check_is_no_space_of_a_project(index: VectorIndex) -> None:
    here = space()
    index.check()
    assert index.spaces(here.tenant_id, here.project_id) == []
