"""The index in PostgreSQL, for a hub of several processes: words, vectors, leases.

Words and vectors lie in tables and are searched in memory, by the same code that searches a
local index: so both answer alike.
"""

from context_api.adapters.index.database import open_pool
from context_api.adapters.index.leases import SqlLeases
from context_api.adapters.index.pushing import SqlVectorPush
from context_api.adapters.index.store import SqlIndexes, SqlIndexStore
from context_api.adapters.index.vector_work import SqlVectorWork

__all__ = [
    "SqlIndexStore",
    "SqlIndexes",
    "SqlLeases",
    "SqlVectorPush",
    "SqlVectorWork",
    "open_pool",
]
