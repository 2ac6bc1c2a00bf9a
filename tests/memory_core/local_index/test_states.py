"""Whatever is applied in whatever order, the index equals one built afresh."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.local_index import LocalIndex
from memory_core.recall.lexical import score_lexically
from memory_core.recall.ports import IndexRecord
from memory_core.recall.view import ProjectView
from memory_core.records import Kind, Ref
from memory_core.text.tokens import query_terms
from tests.memory_core.recall.records import PROJECT, embed, identity, opened, record

NAMES = st.sampled_from([f"r{number}" for number in range(8)])
TEXTS = st.lists(
    st.sampled_from(["parser", "cache", "stale", "tabs", "broke", "the", "fix"]), max_size=6
).map(" ".join) | st.sampled_from(["parser tabs " * 150, ""])
QUERY = query_terms("parser cache tabs")

Row = tuple[str, ...]


class IndexMachine(RuleBasedStateMachine):
    """Compares an index, asked after every step, with a dict and with a fresh index."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.embedder = HashingEmbedder(16)
        self.index = LocalIndex.open(self.folder / "index.db")
        self.model: dict[str, IndexRecord] = {}
        self.seq = 0

    def teardown(self) -> None:
        self.index.close()
        shutil.rmtree(self.folder)

    @rule(
        named=st.dictionaries(
            NAMES, st.tuples(TEXTS, st.integers(0, 4), st.sampled_from(["one", "two", None])),
            min_size=1, max_size=4,
        ),
        gone=st.sets(NAMES, max_size=3),
        kind=st.sampled_from([Kind.MESSAGE, Kind.CHECKPOINT]),
    )  # fmt: skip
    def apply(
        self, named: dict[str, tuple[str, int, str | None]], gone: set[str], kind: Kind
    ) -> None:
        self.seq += 1
        changed = {
            name: record(name, text, position=position, session=session, kind=kind, seq=self.seq)
            for name, (text, position, session) in named.items()
            if self.model.get(name, record(name, "", kind=kind)).kind == kind.value
        }
        deleted = [
            Ref(Kind(self.model[name].kind), identity(name))
            for name in sorted(gone - changed.keys()) if name in self.model
        ]  # fmt: skip
        self.index.apply(PROJECT, self.seq, list(changed.values()), deleted)
        self.model = {n: r for n, r in self.model.items() if n not in gone - changed.keys()}
        self.model |= changed

    @rule()
    def repeat_all(self) -> None:
        self.index.apply(PROJECT, self.seq, list(self.model.values()), [])

    @rule()
    def embed_all(self) -> None:
        embed(self.index, self.embedder)

    @rule()
    def embed_one(self) -> None:
        for content_hash, text in self.index.pending_texts(1):
            vector = self.embedder.embed([text])[0]
            self.index.put_vectors(self.embedder.model, [(content_hash, vector)])

    @rule()
    def look(self) -> None:
        self.index.view(PROJECT)

    @rule()
    def reopen(self) -> None:
        self.index.close()
        self.index = LocalIndex.open(self.folder / "index.db")

    @rule()
    def reset_and_fill_again(self) -> None:
        self.index.reset(PROJECT)
        assert self.index.progress(PROJECT).lexical_seq == 0
        self.index.apply(PROJECT, self.seq, list(self.model.values()), [])

    @invariant()
    def equals_a_fresh_index(self) -> None:
        view = self.index.view(PROJECT)
        with opened() as fresh:
            fresh.apply(PROJECT, self.seq, list(self.model.values()), [])
            expected = fresh.view(PROJECT)
        assert rows(view) == rows(expected)
        assert scores(view) == scores(expected)
        assert self.index.progress(PROJECT).lexical_seq == self.seq

    @invariant()
    def counts_what_waits(self) -> None:
        view, progress = self.index.view(PROJECT), self.index.progress(PROJECT)
        waiting = np.count_nonzero(view.chunks.alive & ~view.chunks.embedded)
        assert progress.pending == waiting
        assert bool(waiting) == bool(self.index.pending_texts(1))
        assert (progress.vector_seq == progress.lexical_seq) or waiting


def rows(view: ProjectView) -> list[Row]:
    """Returns what the live chunks are, with their neighbours, in an order of their own."""
    units, chunks = view.units, view.chunks
    named = [
        f"{units.refs[unit].id} {start}"
        for unit, start in zip(chunks.unit.tolist(), chunks.start.tolist(), strict=True)
    ] + ["none"]
    found = []
    for chunk in np.flatnonzero(chunks.alive).tolist():
        unit = int(chunks.unit[chunk])
        found.append(
            (
                named[chunk], named[chunks.before[chunk]], named[chunks.after[chunk]],
                view.sessions[units.session[unit]], f"{units.place[unit]:.5f}",
                str(chunks.length[chunk]), str(units.kind[unit]), str(units.fingerprint[unit]),
            )
        )  # fmt: skip
    return sorted(found)


def scores(view: ProjectView) -> dict[str, tuple[float, ...]]:
    lexical = score_lexically(view, QUERY)
    return {
        f"{view.units.refs[view.chunks.unit[chunk]].id} {view.chunks.start[chunk]}": (
            float(lexical.chunk[chunk]),
            float(lexical.window[chunk]),
            round(float(lexical.session[view.chunk_session[chunk]]), 5),
        )
        for chunk in np.flatnonzero(view.chunks.alive).tolist()
    }


IndexMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)
TestIndexMachine = IndexMachine.TestCase
