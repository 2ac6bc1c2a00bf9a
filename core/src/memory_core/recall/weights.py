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
    BASE: -11.35,
    "words_chunk": 0.45,
    "words_window": 9.7,
    "words_session": 3.1,
    "exact_names": 0.25,
    "meaning_chunk": 4.0,
    "meaning_window": 5.6,
    "meaning_session": 4.9,
    "substance": 4.9,
    "long": -3.5,
    "question": -0.9,
    "tool_call": -1.5,
    "tool_result": -2.1,
    "checkpoint": 0.5,
    "pattern": 1.0,
    "pattern_quality": 1.0,
    "recent": 0.3,
    "time": 4.4,
    "author": 0.75,
    "at_end": 1.3,
    "at_start": 0.9,
    "project_distance": -0.7,
}

WORDS_ONLY: Mapping[str, float] = {
    BASE: -6.0,
    "words_chunk": 1.4,
    "words_window": 15.3,
    "words_session": 2.8,
    "exact_names": 0.3,
    "substance": 2.6,
    "long": -3.4,
    "question": -1.0,
    "tool_call": -1.6,
    "tool_result": -2.3,
    "checkpoint": 0.5,
    "pattern": 1.0,
    "pattern_quality": 1.0,
    "recent": 0.3,
    "time": 4.6,
    "author": 0.9,
    "at_end": 1.4,
    "at_start": 0.9,
    "project_distance": -0.7,
}

RELEVANT = 0.25
"""If not even the best score reaches this, nothing relevant was found."""

FLOOR = 0.005
"""Hits below this are left out even where others are relevant."""
