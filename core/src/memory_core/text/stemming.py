"""English stemming: the Snowball ("Porter 2") stemmer with a bounded cache."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Protocol

_SHORTEST, _LONGEST = 3, 30
_lock = threading.Lock()


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802 (the library's name)


@lru_cache(maxsize=1)
def _stemmer() -> _Stemmer:
    # Imported late: a light command must not pay for the stemmers of thirty languages.
    from snowballstemmer import stemmer  # noqa: PLC0415

    english: _Stemmer = stemmer("english")
    return english


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Returns the stem of a lower-case word; what does not look like English is unchanged.

    The algorithm is Porter2 (snowballstem.org/algorithms/english/stemmer.html). In pure
    Python it takes about 35 microseconds a word, hence the cache.
    """
    if not (_SHORTEST <= len(word) <= _LONGEST and word.isascii() and word.isalpha()):
        return word
    # The stemmer keeps the word it works on in itself, so two threads must not share it.
    with _lock:
        return _stemmer().stemWord(word)
