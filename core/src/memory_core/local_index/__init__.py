"""The local index: words and vectors of all projects in one SQLite file, without extensions."""

from memory_core.local_index.index import LocalIndex

__all__ = ["LocalIndex"]
