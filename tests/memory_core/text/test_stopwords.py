"""The stems of the stop words are written down; they are those that the stemmer gives."""

from __future__ import annotations

import subprocess
import sys

from memory_core.text.stemming import stem
from memory_core.text.stopwords import STEMMED_STOP_WORDS, STOP_WORDS


def test_the_written_stems_are_the_stemmers() -> None:
    assert {stem(word) for word in STOP_WORDS} - STOP_WORDS == STEMMED_STOP_WORDS


def test_only_the_english_stemmer_is_loaded() -> None:
    code = (
        "import sys; from memory_core.text.stemming import stem; assert stem('running') == 'run';"
        "print(*[name for name in sys.modules if name.endswith('_stemmer')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert [name.rpartition(".")[2] for name in done.stdout.split()] == ["english_stemmer"]
