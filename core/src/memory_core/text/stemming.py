"""English stemming: the Snowball ("Porter 2") stemmer with a bounded cache."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from functools import lru_cache
from types import ModuleType
from typing import Protocol

_SHORTEST, _LONGEST = 3, 30
_PACKAGE = f"{__name__}_snowball"
_lock = threading.Lock()


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802 (the library's name)


@lru_cache(maxsize=1)
def _stemmer() -> _Stemmer:
    # The package imports the stemmers of thirty languages when it is imported itself, which
    # takes longer than a search. Under a name of ours only the English one is.
    package = ModuleType(_PACKAGE)
    spec = importlib.util.find_spec("snowballstemmer")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("snowballstemmer is not installed", name="snowballstemmer")
    package.__path__ = [*spec.submodule_search_locations]
    sys.modules.setdefault(_PACKAGE, package)
    english: _Stemmer = importlib.import_module(f"{_PACKAGE}.english_stemmer").EnglishStemmer()
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
