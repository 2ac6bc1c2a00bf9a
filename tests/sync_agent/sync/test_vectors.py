"""A replica's index gets its vectors from the hub, as the hub has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from memory_core.local_index import LocalIndex
from memory_core.sync.vectors import VectorBatch
from sync_agent.errors import InvalidAnswer
from sync_agent.exchange import ModelName
from sync_agent.local.indexing import catch_up
from sync_agent.sync import fetch_vectors
from tests.support.hub import Hub
from tests.sync_agent.sync.sides import Side, World, world

PATIENCE_S = 60.0


@pytest.fixture
def here(hub: Hub, tmp_path: Path) -> Iterator[World]:
    with world(hub, tmp_path) as made:
        yield made


@pytest.fixture
def index(tmp_path: Path) -> Iterator[LocalIndex]:
    made = LocalIndex.open(tmp_path / "index.db")
    yield made
    made.close()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def indexed(side: Side, index: LocalIndex, *texts: str) -> ModelName:
    """Pulls and indexes a session of these texts; returns the hub's model."""
    side.create("About the login", *texts)
    report = side.synced()
    catch_up(side.replica, index, side.project_id)
    assert report.model is not None
    return report.model


def test_what_the_hub_has_embedded_is_not_embedded_again(here: World, index: LocalIndex) -> None:
    ann = here.side("ann")
    model = indexed(ann, index, "the token expired", "the clock was wrong")
    waiting = index.progress(ann.project_id).pending
    assert waiting > 0
    stored = 0

    def is_complete() -> bool:
        nonlocal stored
        stored += fetch_vectors(index, ann.line, ann.project_id, model)
        return index.progress(ann.project_id).pending == 0

    until(is_complete)
    assert stored == waiting
    assert index.model() == model
    view = index.view(ann.project_id)
    query = np.ones(model.dimension, dtype=np.float32)
    products = index.similarities(view, model.name, query)
    assert products is not None
    assert not np.isnan(products).any()


def test_what_was_not_pushed_waits_and_holds_nothing_up(here: World, index: LocalIndex) -> None:
    ann, bob = here.side("ann"), here.side("bob")
    bob.create("From elsewhere", "a text of somebody else")
    bob.synced()
    model = ann.synced().model
    assert model is not None
    ann.create("Only here so far", "nobody else knows this")
    catch_up(ann.replica, index, ann.project_id)

    def only_own_waits() -> bool:
        fetch_vectors(index, ann.line, ann.project_id, model)
        left = {text for _, text in index.pending_texts(100)}
        return bool(left) and all("elsewhere" not in text for text in left)

    until(only_own_waits)
    assert any("nobody else knows this" in text for _, text in index.pending_texts(100))


def test_a_cycle_brings_the_index_up_and_makes_a_damaged_one_anew(here: World) -> None:
    ann = here.side("ann")
    path = ann.path.with_name("index.db")
    path.write_bytes(b"this is no index of anything" * 100)
    ann.create("About the login", "the token expired")
    stored = 0

    def has_vectors() -> bool:
        nonlocal stored
        report = ann.synced(index=path)
        assert report.index_problem is None
        stored += report.vectors
        return stored > 0

    until(has_vectors)
    with closing(LocalIndex.open(path)) as index:
        assert index.progress(ann.project_id).lexical_seq > 0


def test_an_index_that_cannot_be_brought_up_stops_no_sync(here: World) -> None:
    ann = here.side("ann")
    ann.create("About the login", "the token expired")
    report = ann.synced(index=ann.path.parent / "nowhere" / "index.db")
    assert report.index_problem is not None
    assert report.outcomes == {"accepted": 1}


class Answers:
    """A hub that answers with what it likes."""

    def __init__(self, batch: VectorBatch) -> None:
        self.batch = batch

    def vectors(self, project_id: str, hashes: Sequence[str]) -> VectorBatch:
        return self.batch


@pytest.mark.parametrize(("model", "hashed"), [("another", "00" * 32), ("asked-for", "11" * 32)])
def test_vectors_that_were_not_asked_for_are_refused(
    here: World, index: LocalIndex, model: str, hashed: str
) -> None:
    ann = here.side("ann")
    indexed(ann, index, "one text")
    batch = VectorBatch(model, 4, [(hashed, np.ones(4, np.float32))])
    with pytest.raises(InvalidAnswer):
        fetch_vectors(index, Answers(batch), ann.project_id, ModelName("asked-for", 4))  # type: ignore[arg-type]
    assert index.progress(ann.project_id).pending > 0
