"""Growing columns: what a view is built of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from memory_core.records import RECALLED_KINDS, Ref

ID_CHARS = 36
"""Characters of an id that `Refs` keeps in a column: those of a UUID."""

_FIRST_CAPACITY = 256

Scalar = TypeVar("Scalar", bound=np.generic)


class Column(Generic[Scalar]):
    """A growing array."""

    def __init__(self, dtype: type[Scalar]) -> None:
        self._buffer: NDArray[Scalar] = np.zeros(_FIRST_CAPACITY, dtype=dtype)
        self._size = 0

    @property
    def values(self) -> NDArray[Scalar]:
        """The rows so far; a view of the buffer."""
        return self._buffer[: self._size]

    def restore(self, values: NDArray[Any]) -> None:
        """Takes rows as they are; they are copied when more come."""
        self._buffer, self._size = values, values.size

    def extend(self, values: Sequence[float] | NDArray[Any]) -> None:
        """Appends rows."""
        size = self._size + len(values)
        if size > self._buffer.size:
            grown = np.zeros(max(size, self._buffer.size * 3 // 2), dtype=self._buffer.dtype)
            grown[: self._size] = self.values
            self._buffer = grown
        self._buffer[self._size : size] = values
        self._size = size


class Codes:
    """Numbers for texts, in order of appearance."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = [*names]
        self._codes: dict[str, int] = {}

    def of(self, name: str) -> int:
        """Returns the number of ``name``, a new one if it is new."""
        if len(self._codes) < len(self.names):
            self._codes = {known: code for code, known in enumerate(self.names)}
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = len(self.names)
            self.names.append(name)
        return code


class Refs(Sequence[Ref]):
    """The names of records in order: kept ones as columns, later ones as they come."""

    def __init__(self, ids: NDArray[np.bytes_], kinds: NDArray[np.uint8]) -> None:
        """Holds the ids (records,), at most 36 ASCII characters each, and codes of kinds."""
        self._ids = ids
        self._kinds = kinds
        self._more: list[Ref] = []

    def __len__(self) -> int:
        return self._ids.size + len(self._more)

    @overload
    def __getitem__(self, place: int) -> Ref: ...
    @overload
    def __getitem__(self, place: slice) -> list[Ref]: ...
    def __getitem__(self, place: int | slice) -> Ref | list[Ref]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if place < 0:
            place += len(self)
        if place >= self._ids.size:
            return self._more[place - self._ids.size]
        return Ref(RECALLED_KINDS[int(self._kinds[place])], self._ids[place].decode("ascii"))

    def extend(self, refs: Iterable[Ref]) -> None:
        """Appends names."""
        self._more.extend(refs)
