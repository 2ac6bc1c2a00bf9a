"""Records for tests of recall: a store that decides, and an index that holds what it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.embedding.port import Embedder
from memory_core.ids import derive_id
from memory_core.local_index import LocalIndex
from memory_core.recall.documents import happened_at, text_of, title_of
from memory_core.recall.pipeline import Answer, Scope, SearchRequest, search
from memory_core.recall.ports import IndexRecord, RecordFilter
from memory_core.records import Document, Kind, Ref

START = "2026-01-01T00:00:00.000000Z"
NOW = "2026-11-21T12:00:00.000000Z"
PROJECT = derive_id(START, "project")
IN_8_BITS = 0.005
"""By how much a similarity may be off, since vectors are held in 8 bits."""


def identity(name: str) -> str:
    return derive_id(START, name)


def record(
    name: str,
    text: str,
    *,
    kind: Kind = Kind.MESSAGE,
    session: str | None = "s",
    position: int = 0,
    project_id: str = PROJECT,
    **fields: object,
) -> IndexRecord:
    """Returns a record to index; ``name`` and ``session`` stand for ids."""
    values: dict[str, object] = {
        "role": "user", "author": "", "title": "", "created_at": START, "owner_id": None,
        "quality": 0.0, "seq": 1, **fields,
    }  # fmt: skip
    return IndexRecord(
        kind=kind.value,
        id=identity(name),
        project_id=project_id,
        session_id=None if session is None else identity(session),
        position=position,
        text=text,
        **values,  # type: ignore[arg-type]
    )


class Store:
    """The records that there are, as a store of documents."""

    def __init__(self) -> None:
        self.documents: dict[Ref, Document] = {}
        self.hidden: set[Ref] = set()
        self.asked: list[Ref] = []

    def message(self, name: str, text: str, position: int = 0, **fields: object) -> Ref:
        return self.add(Kind.MESSAGE, name, text=text, position=position, **fields)

    def add(self, kind: Kind, called: str, **fields: object) -> Ref:
        ref = Ref(kind, identity(called))
        values: dict[str, object] = {
            "id": ref.id, "project_id": PROJECT, "session_id": identity("s"), "tags": [],
            "created_at": START, **fields,
        }  # fmt: skip
        self.documents[ref] = values  # type: ignore[assignment]
        return ref

    def records(self) -> list[IndexRecord]:
        return [self._record(ref, document) for ref, document in self.documents.items()]

    def load(self, refs: Sequence[Ref], chosen: RecordFilter) -> Mapping[Ref, Document]:
        self.asked.extend(refs)
        return {
            ref: self.documents[ref]
            for ref in refs
            if ref in self.documents
            and ref not in self.hidden
            and _passes(ref, self.documents[ref], chosen)
        }

    def _record(self, ref: Ref, document: Document) -> IndexRecord:
        session = document.get("session_id")
        quality = document.get("quality_score")
        return IndexRecord(
            kind=ref.kind.value,
            id=ref.id,
            project_id=str(document["project_id"]),
            session_id=str(session) if session else None,
            position=int(str(document.get("position") or 0)),
            role=str(document.get("role") or "user"),
            author=str(document.get("author") or ""),
            title=title_of(ref.kind, document),
            text=text_of(ref.kind, document),
            created_at=happened_at(document),
            owner_id=str(document["owner_id"]) if document.get("owner_id") else None,
            quality=float(str(quality or 0.0)),
            seq=1,
            tool_name=str(document.get("tool_name") or ""),
        )


def _passes(ref: Ref, document: Document, chosen: RecordFilter) -> bool:
    tags = document.get("tags")
    held = {str(tag) for tag in tags} if isinstance(tags, list) else set()
    at = happened_at(document)
    return (
        (not chosen.kinds or ref.kind.value in chosen.kinds)
        and (not chosen.tags or bool(held & chosen.tags))
        and (chosen.since is None or at >= chosen.since)
        and (chosen.until is None or at <= chosen.until)
        and (chosen.without_session is None or document["session_id"] != chosen.without_session)
    )


@contextmanager
def opened(folder: Path | None = None) -> Iterator[LocalIndex]:
    """Yields an index in a file of its own."""
    with TemporaryDirectory() as made:
        index = LocalIndex.open((folder or Path(made)) / "index.db")
        try:
            yield index
        finally:
            index.close()


def embed(index: LocalIndex, embedder: Embedder) -> None:
    """Embeds all that waits."""
    while pending := index.pending_texts(64):
        vectors = embedder.embed([text for _, text in pending])
        hashes = [content_hash for content_hash, _ in pending]
        index.put_vectors(embedder.model, list(zip(hashes, vectors, strict=True)))


@contextmanager
def filled(store: Store, embedder: Embedder | None = None) -> Iterator[LocalIndex]:
    """Yields an index of all that the store holds, with vectors if there is an embedder."""
    with opened() as index:
        index.apply(PROJECT, 1, store.records(), [])
        if embedder is not None:
            embed(index, embedder)
        yield index


def ask(
    index: LocalIndex,
    store: Store,
    query: str,
    *,
    embedder: Embedder | None = None,
    chosen: RecordFilter | None = None,
    scopes: Sequence[Scope] = (Scope(PROJECT),),
    min_score: float | None = 0.0,
    **fields: object,
) -> Answer:
    """Returns the answer to a question; by default nothing is too irrelevant."""
    request = SearchRequest(
        query=query,
        scopes=scopes,
        chosen=chosen or RecordFilter(),
        min_score=min_score,
        now=NOW,
        **fields,  # type: ignore[arg-type]
    )
    return search(request, lexical=index, dense=index, records=store, embedder=embedder)


def small_embedder() -> HashingEmbedder:
    return HashingEmbedder(64)
