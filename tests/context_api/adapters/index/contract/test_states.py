"""Whatever is applied in whatever order, the store equals one that was filled afresh."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from context_api.adapters.index.database import Pool, open_pool
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.recall.ports import IndexRecord
from memory_core.records import Kind, Ref
from tests.context_api.adapters.index.contract.stores import Held, HeldRows, held_file
from tests.context_api.adapters.index.support import IndexDatabase
from tests.memory_core.local_index.test_states import rows, scores
from tests.memory_core.recall.records import IN_8_BITS, PROJECT, identity, opened, record

NAMES = st.sampled_from([f"r{number}" for number in range(8)])
TEXTS = st.lists(
    st.sampled_from(["parser", "cache", "stale", "tabs", "broke", "the", "fix"]), max_size=6
).map(" ".join) | st.sampled_from(["parser tabs " * 150, ""])
MODELS = [HashingEmbedder(16), HashingEmbedder(24)]


class StoreMachine(RuleBasedStateMachine):
    """Compares a store, asked after every step, with a dict and with a fresh local index."""

    def __init__(self, held: Held) -> None:
        super().__init__()
        self.held = held
        self.model: dict[str, IndexRecord] = {}
        self.log: list[tuple[int, int, list[IndexRecord], list[Ref]]] = []
        self.seq = 0
        self.reached = 0
        self.embedder: HashingEmbedder | None = None

    @rule(
        named=st.dictionaries(
            NAMES, st.tuples(TEXTS, st.integers(0, 4), st.sampled_from(["one", "two", None])),
            min_size=1, max_size=4,
        ),
        gone=st.sets(NAMES, max_size=3),
        kind=st.sampled_from([Kind.MESSAGE, Kind.CHECKPOINT]),
        events=st.integers(1, 3),
    )  # fmt: skip
    def apply(
        self,
        named: dict[str, tuple[str, int, str | None]],
        gone: set[str],
        kind: Kind,
        events: int,
    ) -> None:
        before, self.seq = self.seq, self.seq + events
        changed = {
            name: record(name, text, position=position, session=session, kind=kind, seq=self.seq)
            for name, (text, position, session) in named.items()
            if self.model.get(name, record(name, "", kind=kind)).kind == kind.value
        }
        left = sorted(gone - changed.keys())
        deleted = [Ref(Kind(self.model[n].kind), identity(n)) for n in left if n in self.model]
        batch = (before, self.seq, list(changed.values()), deleted)
        self.log.append(batch)
        self.held.store.apply(PROJECT, batch[1], batch[2], batch[3], after_seq=before)
        self.model = {n: r for n, r in self.model.items() if n not in left} | changed
        self.reached = self.seq

    @rule(back=st.integers(1, 4))
    def replay_a_suffix_with_the_rows_as_they_are(self, back: int) -> None:
        for before, upto, _, _ in self.log[-back:]:
            records = list(self.model.values())
            self.held.store.apply(PROJECT, upto, records, [], after_seq=before)

    @rule(limit=st.integers(1, 50))
    def embed_some(self, limit: int) -> None:
        if self.embedder is not None:
            self.held.embed(self.model, self.embedder, limit)

    @rule(which=st.integers(0, 1))
    def use_model_before_the_first_record(self, which: int) -> None:
        if self.embedder is None:
            self.embedder = MODELS[which]
            self.held.use(self.embedder)

    @rule()
    def reopen(self) -> None:
        self.held.reopen()

    @rule()
    def reset_and_replay_the_log(self) -> None:
        self.held.store.reset(PROJECT)
        assert self.held.store.progress(PROJECT).lexical_seq == 0
        # An indexer reads rows as they are now, whatever the event said.
        for before, upto, _, _ in self.log:
            records = list(self.model.values())
            self.held.store.apply(PROJECT, upto, records, [], after_seq=before)

    @invariant()
    def equals_a_fresh_index(self) -> None:
        view = self.held.store.view(PROJECT)
        with opened() as fresh:
            fresh.apply(PROJECT, self.seq, list(self.model.values()), [])
            expected = fresh.view(PROJECT)
        assert rows(view) == rows(expected)
        assert scores(view) == scores(expected)
        alive = {view.units.refs[unit].id for unit in np.flatnonzero(view.units.alive)}
        assert alive == {identity(name) for name in self.model}

    @invariant()
    def stands_where_it_was_brought(self) -> None:
        progress, view = self.held.store.progress(PROJECT), self.held.store.view(PROJECT)
        assert progress.lexical_seq == self.reached
        waiting = np.count_nonzero(view.chunks.alive & ~view.chunks.embedded)
        assert progress.pending == waiting
        assert progress.vector_seq <= progress.lexical_seq
        assert (progress.vector_seq == progress.lexical_seq) or waiting

    @invariant()
    def similarities_are_those_of_the_texts(self) -> None:
        view = self.held.store.view(PROJECT)
        if self.embedder is None or not view.chunks.embedded.any():
            return
        query = self.embedder.embed_query("parser cache")
        similar = self.held.store.similarities(view, self.embedder.model, query)
        assert similar is not None
        assert (np.isnan(similar) == ~view.chunks.embedded).all()
        texts = {identity(name): record.text for name, record in self.model.items()}
        for chunk in np.flatnonzero(view.chunks.alive & view.chunks.embedded):
            unit = view.chunks.unit[chunk]
            text = texts[view.units.refs[unit].id]
            if len(text) < 200:
                expected = float(self.embedder.embed([text])[0] @ query)
                assert abs(float(similar[chunk]) - expected) < IN_8_BITS


SETTINGS = settings(
    max_examples=15,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_the_file_equals_a_dict() -> None:
    with ExitStack() as stack:

        def machine() -> StoreMachine:
            return StoreMachine(stack.enter_context(held_file()))

        run_state_machine_as_test(machine, settings=SETTINGS)


def test_the_rows_equal_a_dict(database: IndexDatabase, pool: Pool) -> None:
    def machine() -> StoreMachine:
        database.empty()
        return StoreMachine(HeldRows(database, pool, PROJECT))

    # The slow test below does the same for long.
    run_state_machine_as_test(machine, settings=settings(SETTINGS, max_examples=5))


@pytest.mark.slow
def test_the_rows_equal_a_dict_for_long(database: IndexDatabase) -> None:
    with open_pool(database.url, size=2) as pool:

        def machine() -> StoreMachine:
            database.empty()
            return StoreMachine(HeldRows(database, pool, PROJECT))

        many = settings(SETTINGS, max_examples=40, stateful_step_count=25)
        run_state_machine_as_test(machine, settings=many)
