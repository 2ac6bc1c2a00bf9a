"""What differs between a hub on one machine and one on servers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from context_api.application.index_care_source import IndexSource
from context_api.application.indexes import IndexStores
from context_api.application.services import Services
from context_api.application.vectors import VectorIndex

if TYPE_CHECKING:
    from context_api.adapters.sql.database import Asks

Job = Coroutine[Any, Any, None]


@dataclass(frozen=True, slots=True)
class IndexParts:
    """The indexes, and what runs beside the requests to keep them."""

    stores: IndexStores
    jobs: Callable[[Services], list[Job]]
    vectors: Callable[[str, str], tuple[VectorIndex, IndexSource]] | None = None
    asks: Asks | None = None
