"""How much one answer may hold: pages end by their content, not by their rows alone."""

from __future__ import annotations

from collections.abc import Iterable

MAX_CHARS = 8 << 20
"""Characters of content after which a page ends. As UTF-8 in JSON, each with 6 bytes at most, they
stay below the 64 MiB that a client takes."""


def fitting(sizes: Iterable[int], held: int = 0) -> int:
    """Returns how many of the first ``sizes`` (characters) fit beside ``held`` in one page.

    Where nothing is held yet, the first fits whatever its size, so that every page gets on.
    """
    count = 0
    for size in sizes:
        held += size
        if held > MAX_CHARS and held > size:
            break
        count += 1
    return count
