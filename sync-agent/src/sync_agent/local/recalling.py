"""Recall over a replica: the core's pipeline with the replica as the store that decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from memory_core.clock import now
from memory_core.errors import Busy, ContextError, Corrupt
from memory_core.ids import uuid7
from memory_core.local_index import LocalIndex
from memory_core.recall import context as packs
from memory_core.recall import pipeline as recall
from memory_core.recall.moment import moment_of
from memory_core.recall.pack import Note
from memory_core.recall.ports import RecordFilter
from memory_core.recall.shown import shown_hit, shown_timings
from memory_core.records import Document, Kind, Ref
from memory_core.requests import ContextRequest, SearchRequest
from sync_agent.local.checked import checked
from sync_agent.local.indexing import FEW, bind, catch_up, embed_waiting
from sync_agent.replica import ProjectRow, Replica

if TYPE_CHECKING:
    from pydantic import JsonValue

    from memory_core.embedding.port import Embedder

Resolve: TypeAlias = Callable[[Sequence[str]], list[ProjectRow]]

FROM_HUB = "run `memctx model install --from-hub`"
INSTALL = "run `memctx model install`"
WAIT = "texts wait for their vectors: `memctx agent start` embeds them"
OTHER_MODEL = "the vectors here are of the hub's model {}, which is not installed on this machine"


class Recalling:
    """Searches and packs; the index is opened when it is first used."""

    def __init__(
        self,
        replica: Replica,
        index: Path,
        embedder: Callable[[], Embedder | None],
        resolve: Resolve,
    ) -> None:
        self._replica = replica
        self._index_path = index
        self._find_embedder = embedder
        self._embedder: Embedder | None = None
        self._looked = False
        self._resolve = resolve
        self._opened: LocalIndex | None = None
        self._marked: set[Ref] = set()

    def close(self) -> None:
        """Closes the index."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def search(self, body: Mapping[str, JsonValue]) -> Document:
        """Answers a search; what was written before the call is found by its words."""
        request = checked(SearchRequest, body)
        projects = self._resolve(request.projects)
        question = recall.SearchRequest(
            query=request.query,
            scopes=[recall.Scope(project.id) for project in projects],
            chosen=RecordFilter(
                kinds=frozenset(request.kinds),
                tags=frozenset(request.tags),
                all_tags=request.tags_match == "all",
                since=request.since,
                until=request.until,
            ),
            limit=request.limit,
            min_score=request.min_score,
            explain=request.explain,
            now=moment_of(now()),
        )
        answer = self._ask(projects, question)
        self._mark([hit.ref for hit in answer.hits], projects)
        indexed, head = self.indexed(projects)
        return {
            "hits": [shown_hit(hit) for hit in answer.hits],
            "nothing_relevant": answer.nothing_relevant,
            **self._degraded(answer, projects),
            "indexed_seq": indexed,
            "head": head,
            **({"timings_ms": shown_timings(answer)} if request.explain else {}),
        }

    def context(self, body: Mapping[str, JsonValue]) -> Document:
        """Packs what is worth knowing of a project, as the hub would pack it."""
        request = checked(ContextRequest, body)
        own = self._resolve([request.project])[0]
        shared = [row for row in self._replica.projects() if row.slug == packs.SHARED_PROJECT]
        projects = [own, *(row for row in shared if row.id != own.id)]
        moment = moment_of(now())
        question = packs.question(
            request.query,
            [row.id for row in projects],
            kinds=request.kinds,
            session_id=request.session_id,
            min_score=None,
            asker=None,
            now=moment,
        )
        answer = self._ask(projects, question)
        packed = packs.pack_context(
            self._standing(projects, request.session_id),
            answer.hits,
            kinds=request.kinds,
            budget=request.budget_tokens,
            project=own.slug,
            now=moment,
            nonce=packs.new_nonce(),
        )
        given = [Ref(Kind(held.note.kind), held.note.id) for held in packed.notes]
        self._mark(given, projects)
        budget, found = request.budget_tokens, bool(answer.hits)
        return {
            **packs.shown_pack(packed, query=request.query, budget=budget, found=found),
            **self._degraded(answer, projects),
            "recall_id": uuid7(),
            # Which context took from what is counted at the hub alone.
            "recall_kept": False,
        }

    def indexed(self, projects: Sequence[ProjectRow]) -> tuple[int, int]:
        """Returns how far projects are indexed, and how far they could be, in changes."""
        reached = [self._index.progress(row.id).lexical_seq for row in projects]
        heads = [self._replica.project(row.id).change_no for row in projects]
        return sum(map(min, reached, heads)), sum(heads)

    def waiting(self, project_id: str) -> int:
        """Returns how many texts of a project wait for their vectors."""
        return self._index.progress(project_id).pending

    def forget(self, project_id: str) -> None:
        """Takes out of the index at once what was erased."""
        bind(self._replica, self._index)
        catch_up(self._replica, self._index, project_id)
        self._index.purge()

    def _standing(self, projects: Sequence[ProjectRow], session_id: str | None) -> list[Note]:
        own = projects[0].id
        lessons: list[Document] = []
        for project in projects:
            lessons += self._replica.patterns(
                project_id=project.id, deprecated=False, limit=packs.CANDIDATE_PATTERNS
            ).items
        return packs.standing_notes(
            checkpoints=self._replica.checkpoints(
                project_id=own, limit=packs.CANDIDATE_CHECKPOINTS
            ).items,
            sessions=self._replica.sessions(project_id=own, limit=packs.CANDIDATE_SESSIONS).items,
            lessons=lessons,
            session_id=session_id,
        )

    def _ask(self, projects: Sequence[ProjectRow], question: recall.SearchRequest) -> recall.Answer:
        try:
            return self._asked(projects, question)
        except Corrupt:
            # The index is made of the replica, which has not been found damaged.
            self._discard()
            return self._asked(projects, question)

    def _asked(
        self, projects: Sequence[ProjectRow], question: recall.SearchRequest
    ) -> recall.Answer:
        index = self._index
        # While another process indexes, what it has not come to yet is not found; the answer
        # says how far the index is.
        with suppress(Busy):
            bind(self._replica, index)
            for project in projects:
                catch_up(self._replica, index, project.id)
        embedder = self._model() if question.query.strip() else None
        if embedder is not None:
            # Texts that cannot be embedded wait on, and are found by their words.
            with suppress(ContextError):
                embed_waiting(index, embedder, most=FEW)
        return recall.search(
            question, lexical=index, dense=index, records=self._replica, embedder=embedder
        )

    def _mark(self, refs: Sequence[Ref], projects: Sequence[ProjectRow]) -> None:
        """Notes that records were of use: what is not used leaves a full replica first.

        Once for each in the life of this client. Without a hub nothing ever leaves.
        """
        fresh = [ref for ref in refs if ref not in self._marked]
        if not fresh or not any(row.hub for row in projects):
            return
        # An answer is worth more than the note that it was given.
        with suppress(ContextError):
            self._replica.mark_used(fresh)
            self._marked.update(fresh)

    def _degraded(self, answer: recall.Answer, projects: Sequence[ProjectRow]) -> Document:
        if not answer.degraded:
            return {"degraded": []}
        return {"degraded": [*answer.degraded], "mend": self._mend(projects)}

    def _mend(self, projects: Sequence[ProjectRow]) -> str:
        if self._embedder is None:
            return FROM_HUB if any(row.hub for row in projects) else INSTALL
        model = self._index.model()
        if model is not None and model[0] != self._embedder.model:
            return OTHER_MODEL.format(model[0])
        return WAIT

    def _model(self) -> Embedder | None:
        if not self._looked:
            self._looked = True
            self._embedder = self._find_embedder()
        return self._embedder

    @property
    def _index(self) -> LocalIndex:
        if self._opened is None:
            self._opened = LocalIndex.open(self._index_path, keep_views=True)
        return self._opened

    def _discard(self) -> None:
        """Deletes a damaged index; it is made anew of the replica."""
        self.close()
        for file in self._index_path.parent.glob(f"{self._index_path.name}*"):
            file.unlink(missing_ok=True)
