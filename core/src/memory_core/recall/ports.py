"""What recall needs of its indexes and of the store that decides, in recall's own words.

Everything is synchronous; the hub calls it in a thread. An index proposes, the
`RecordSource` decides: what it does not return does not exist for the asker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from memory_core.records import Document, Ref

if TYPE_CHECKING:
    # A replica names a filter without ever searching: numpy would be a third of its agent.
    import numpy as np
    from numpy.typing import NDArray

    from memory_core.recall.view import ProjectView


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRecord:
    """What of a record is indexed: one unit of recall.

    ``position`` orders the messages of a session. ``owner_id`` is set only for PRIVATE
    records. ``quality`` is a pattern's, in 0..1. ``seq`` is the record's last event.
    ``tool_name`` is set on the call of a tool and on its result.
    """

    kind: str
    id: str
    project_id: str
    session_id: str | None
    position: int
    role: str
    author: str
    title: str
    text: str
    created_at: str
    owner_id: str | None
    quality: float
    seq: int
    tool_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a project is indexed: positions of its log, and what waits or has failed."""

    lexical_seq: int = 0
    vector_seq: int = 0
    pending: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFilter:
    """What of the candidates may come out; the store applies all of it."""

    kinds: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    all_tags: bool = False
    since: str | None = None
    until: str | None = None
    as_of: int | None = None
    without_session: str | None = None


class RecordSource(Protocol):
    """The store that decides what a candidate is, and whether it may be seen."""

    def load(self, refs: Sequence[Ref], chosen: RecordFilter) -> Mapping[Ref, Document]:
        """Returns the documents of those ``refs`` that are visible and pass the filter."""
        ...


class LexicalIndex(Protocol):
    """The words of every record, by project."""

    def view(self, project_id: str) -> ProjectView:
        """Returns what is indexed of a project: a snapshot that later writes do not change.

        It holds everything applied before the call; a project that was never indexed gives an
        empty view.
        """
        ...


class DenseIndex(Protocol):
    """The vectors of every chunk, by project and model."""

    def similarities(
        self, view: ProjectView, model: str, query: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """Returns the cosine of ``query`` and each chunk of ``view``, (chunks,) float32.

        Chunks whose vector is not known, or not among the nearest if the index searches
        approximately, are NaN. None if the index holds no vector of this model.
        """
        ...
