"""How much each feature counts.

The weighted sum is a log-odds; the score is its logistic, 0..1. The weights were fitted by
`benchmarks/recall_fit.py` on chat and on agents' transcripts together (a listwise softmax, each
data set counting the same) and rounded. There are two sets, because without vectors words must
carry what both carry otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping

BASE = "base"

WITH_VECTORS: Mapping[str, float] = {
    BASE: -14.2,
    "words_chunk": 1.0,
    "words_window": 8.5,
    "words_session": 2.6,
    "exact_names": 0.5,
    "meaning_chunk": 4.2,
    "meaning_window": 6.2,
    "meaning_session": 4.1,
    "substance": 6.2,
    "long": -4.2,
    "question": -0.8,
    "tool_call": -1.8,
    "tool_result": -2.2,
    "user": 0.0,
    "session": 0.0,
    "checkpoint": 1.0,
    "pattern": 1.0,
    "pattern_quality": 1.0,
    "recent": 0.3,
    "time": 4.0,
    "author": 0.8,
    "at_end": 1.2,
    "at_start": 1.0,
    "project_distance": -0.7,
}

WORDS_ONLY: Mapping[str, float] = {
    **{name: weight for name, weight in WITH_VECTORS.items() if not name.startswith("meaning")},
    BASE: -7.0,
}

RELEVANT = 0.05
"""If not even the best score reaches this, nothing relevant was found."""

FLOOR = 0.01
"""Hits below this are left out even where others are relevant."""
