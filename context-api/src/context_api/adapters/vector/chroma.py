"""Vectors in a Chroma server, over its HTTP API v2."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from context_api.adapters.vector.breaker import BreakerState, CircuitBreaker
from context_api.adapters.vector.checking import checked_items, checked_vector
from context_api.adapters.vector.chroma_answers import (
    Collection,
    Collections,
    Found,
    Page,
    PreFlight,
    metadata_text,
)
from context_api.adapters.vector.chroma_canary import CANARY, sings
from context_api.adapters.vector.chroma_deaths import Deaths
from context_api.adapters.vector.chroma_http import ChromaHttp, Gone, Patience
from context_api.adapters.vector.listing import Listing
from context_api.adapters.vector.naming import collection_name, space_metadata, space_of
from context_api.application.vectors import Space, VectorItem
from memory_core.errors import Corrupt, Unavailable

HNSW: Final = {
    "space": "cosine",
    "ef_construction": 100,
    "ef_search": 200,
    "max_neighbors": 16,
}
"""How the graph of a collection is built and searched; chosen in ADR 14."""

_UPSERT_BATCH: Final = 256
_DELETE_BATCH: Final = 1000
_PAGE: Final = 2000
_SEARCH_ATTEMPTS: Final = 2
"""A search would rather answer without vectors than late; the second is for a connection that
the server had closed meanwhile."""

_BULK_ATTEMPTS: Final = 4

T = TypeVar("T")


class ChromaVectors:
    """The vector index of a Chroma server. Threads may share it.

    A space is a collection. Everything sent may be sent twice: vectors are upserted under
    their ids, since Chroma ignores an `add` of an id that it holds.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        tenant: str = "default_tenant",
        database: str = "default_database",
        connect_timeout: float = 0.5,
        read_timeout: float = 2.0,
        bulk_timeout: float = 10.0,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        """Makes the index; nothing is sent until it is used.

        Args:
            url: of the server, such as ``http://chroma:8000``.
            token: sent with each request when given.
            tenant: Chroma's own, not ours.
            database: Chroma's own.
            connect_timeout: seconds for a connection.
            read_timeout: seconds for a whole search, repetitions included.
            bulk_timeout: seconds for one batch written or one page read, repetitions included.
            breaker: in front of the server; None makes one.

        Raises:
            InvalidInput: the URL is not one of http or https.
        """
        self.losses = 0
        self._breaker = breaker or CircuitBreaker("Chroma")
        self._http = ChromaHttp(
            url, token=token, connect_timeout=connect_timeout, breaker=self._breaker
        )
        root = f"/tenants/{quote(tenant, safe='')}/databases/{quote(database, safe='')}"
        self._collections = f"{root}/collections"
        self._search = Patience(read_timeout, _SEARCH_ATTEMPTS)
        self._bulk = Patience(bulk_timeout, _BULK_ATTEMPTS)
        self._ids: dict[Space, str] = {}
        self._deaths = Deaths()
        self._listing = Listing(self._all_spaces)
        self._limits: PreFlight | None = None
        self._canary: str | None = None

    def state(self) -> BreakerState:
        """Returns whether the server is asked, or left alone for a moment."""
        return self._breaker.state()

    def upsert(self, space: Space, items: Sequence[VectorItem]) -> None:
        """Stores vectors under their ids, replacing what was there. Any number at once.

        Raises:
            InvalidInput: a vector has another dimension than the space, is not finite or zero;
                nothing was sent.
            Unavailable: the server does not answer, or cannot write; a part may be stored.
            Corrupt: the collection was made for other vectors.
        """
        good = checked_items(space, items)
        if not good:
            return
        limits = self._pre_flight()
        size = min(_UPSERT_BATCH, limits.max_batch_size)
        for start in range(0, len(good), size):
            body = _upsert_body(good[start : start + size], encoded=limits.supports_base64_encoding)
            self._post(space, "upsert", body, self._bulk, create=True)

    def delete(self, space: Space, ids: Sequence[str]) -> None:
        """Removes vectors; those that are not there are no error.

        Raises:
            Unavailable: the server does not answer; a part may be removed.
        """
        if not ids:
            return
        size = min(_DELETE_BATCH, self._pre_flight().max_batch_size)
        for start in range(0, len(ids), size):
            self._post(space, "delete", {"ids": list(ids[start : start + size])}, self._bulk)

    def nearest(
        self, space: Space, query: NDArray[np.float32], limit: int
    ) -> list[tuple[str, float]]:
        """Returns ids with their cosine to ``query``, the nearest first, ``limit`` at most.

        Raises:
            InvalidInput: the query has another dimension than the space, is not finite or zero.
            Unavailable: the server does not answer within the read timeout.
            Corrupt: the index of the space is damaged.
        """
        wanted = checked_vector(space, query)
        if limit < 1:
            return []
        body = {"query_embeddings": [wanted], "n_results": limit, "include": ["distances"]}
        answer = self._post(space, "query", body, self._search)
        return [] if answer is None else self._http.read(Found, answer).scores()

    def hashes(self, space: Space) -> Iterator[tuple[str, str]]:
        """Yields the id and content hash of every vector, page by page.

        What is written meanwhile may be missing or come twice.

        Raises:
            Unavailable: the server does not answer.
        """
        offset = 0
        while True:
            body = {"limit": _PAGE, "offset": offset, "include": ["metadatas"]}
            answer = self._post(space, "get", body, self._bulk)
            page = Page() if answer is None else self._http.read(Page, answer)
            for id_, metadata in zip(page.ids, page.metadatas or (), strict=True):
                yield id_, metadata_text(metadata, "hash")
            if len(page.ids) < _PAGE:
                return
            offset += _PAGE

    def spaces(self, tenant_id: str, project_id: str) -> list[Space]:
        """Returns the spaces of a project, of every kind, model and generation.

        What another process made or dropped may show half a minute later.

        Raises:
            Unavailable: the server does not answer.
        """
        return self._listing.of(tenant_id, project_id)

    def drop(self, space: Space) -> None:
        """Removes a space with all it holds; one that is not there is no error.

        Raises:
            Unavailable: the server does not answer.
        """
        self._ids.pop(space, None)
        self._drop(collection_name(space))
        self._deaths.forget(space)
        self._listing.discard(space)

    def check(self) -> None:
        """Writes a new vector to a collection of its own and asks for it.

        A count or a heartbeat would not do: both look right over a ruined index, and an index
        whose vectors stand still while their metadata moves on shows only by a new one.

        Raises:
            Unavailable: the server does not answer.
            CannotWrite: it answers, but takes no write.
            Corrupt: it answers without finding the vector. The collection was dropped, so that
                the next check tells whether a new one works; what others hold is to be verified.
        """
        try:
            found, why = sings(self._canary_put, self._canary_ask), "it is not found"
        except Corrupt as error:
            found, why = False, error.detail
        except Unavailable as error:
            raise self._http.explained(error) from error
        if not found:
            self._canary = None
            self._drop(CANARY)
            raise Corrupt(f"Chroma does not find a vector that it has just stored: {why}")

    def answers(self) -> None:
        """Asks for a sign of life, a small part of what `check` costs; says nothing of the index.

        Raises:
            Unavailable: the server does not answer.
        """
        self._http.call("GET", "/heartbeat", patience=self._search)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def _post(
        self, space: Space, verb: str, body: object, patience: Patience, *, create: bool = False
    ) -> bytes | None:
        """Returns the answer of a collection, or None if there is no such collection."""
        return self._in_collection(
            space,
            lambda id_: self._http.call(
                "POST", f"{self._collections}/{id_}/{verb}", body, patience=patience
            ),
            create=create,
        )

    def _in_collection(
        self, space: Space, act: Callable[[str], T], *, create: bool = False
    ) -> T | None:
        """Runs ``act`` with the collection's id.

        An id dies with its collection. One that is known no more is forgotten and looked up
        again, once: the collection may have been made anew by another process.
        """
        for _ in range(2):
            id_ = self._ids.get(space) or self._look_up(space, create=create)
            if id_ is None:
                return None
            try:
                with self._deaths.watching(space):
                    return act(id_)
            except Gone:
                self._ids.pop(space, None)
        if create:
            raise Unavailable(f"collection {collection_name(space)} is deleted while it is used")
        return None

    def _look_up(self, space: Space, *, create: bool) -> str | None:
        name = collection_name(space)
        if create:
            found = self._made(name, space_metadata(space), self._bulk)
        else:
            try:
                path = f"{self._collections}/{name}"
                answer = self._http.call("GET", path, patience=self._search)
            except Gone:
                return None
            found = self._http.read(Collection, answer)
        _check_collection(space, found)
        self._listing.add(space)
        self._ids[space] = found.id
        return found.id

    def _all_spaces(self) -> Iterator[Space]:
        offset = 0
        while True:
            path = f"{self._collections}?limit={_PAGE}&offset={offset}"
            page = self._http.read(Collections, self._http.call("GET", path, patience=self._bulk))
            for one in page.root:
                space = space_of(one.name, one.metadata)
                if space is not None:
                    yield space
            if len(page.root) < _PAGE:
                return
            offset += _PAGE

    def _made(self, name: str, metadata: dict[str, str | int], patience: Patience) -> Collection:
        body = {
            "name": name,
            "metadata": metadata,
            "configuration": {"hnsw": HNSW},
            "get_or_create": True,
        }
        try:
            answer = self._http.call("POST", self._collections, body, patience=patience)
        except Gone as error:
            raise Unavailable("Chroma does not know the tenant or database") from error
        return self._http.read(Collection, answer)

    def _drop(self, name: str) -> None:
        try:
            self._http.call("DELETE", f"{self._collections}/{name}", patience=self._bulk)
        except Gone:
            return

    def _canary_put(self, id_: str, vector: NDArray[np.float32]) -> None:
        self._canary_call("upsert", {"ids": [id_], "embeddings": [vector]})

    def _canary_ask(self, vector: NDArray[np.float32]) -> list[tuple[str, float]]:
        body = {"query_embeddings": [vector], "n_results": 1, "include": ["distances"]}
        return self._http.read(Found, self._canary_call("query", body)).scores()

    def _canary_call(self, verb: str, body: object) -> bytes:
        for _ in range(2):
            if self._canary is None:
                self._canary = self._made(CANARY, {"purpose": "health"}, self._search).id
            path = f"{self._collections}/{self._canary}/{verb}"
            try:
                return self._http.call("POST", path, body, patience=self._search)
            except Gone:
                # Nobody drops it but who found the server damaged: others may be gone with it.
                self.losses += 1
                self._canary = None
        raise Unavailable("the canary is deleted while it is used")

    def _pre_flight(self) -> PreFlight:
        if self._limits is None:
            answer = self._http.call("GET", "/pre-flight-checks", patience=self._search)
            self._limits = self._http.read(PreFlight, answer)
        return self._limits


def _upsert_body(items: Sequence[VectorItem], *, encoded: bool) -> object:
    """Returns the request; base64 of little-endian float32 is a third of the numbers' text."""
    vectors = [
        base64.b64encode(item.vector.astype("<f4", copy=False).tobytes()).decode("ascii")
        if encoded
        else item.vector
        for item in items
    ]
    return {
        "ids": [item.id for item in items],
        "embeddings": vectors,
        "metadatas": [{"hash": item.content_hash, "record": item.record_id} for item in items],
    }


def _check_collection(space: Space, found: Collection) -> None:
    """Refuses a collection that bears the name of a space and is another's.

    Raises:
        Corrupt: its metadata, metric or dimension are not those of the space.
    """
    if space_of(found.name, found.metadata) != space:
        raise Corrupt(f"collection {found.name} says that it belongs to another space")
    if found.metric != HNSW["space"]:
        raise Corrupt(f"collection {found.name} does not compare by cosine; rebuild the index")
    if found.dimension not in {None, space.dimension}:
        raise Corrupt(
            f"collection {found.name} holds vectors of {found.dimension} numbers,"
            f" not {space.dimension}; rebuild the index"
        )
