"""When recall takes it to be: hub and replica share the moment, so that their scores agree."""

from __future__ import annotations

from datetime import timedelta

from memory_core.clock import from_datetime, to_datetime

BUCKET_S = 300
"""Seconds for which recall takes it to be the same moment.

Recency moves a score by at most 2e-5 in that time. It divides the distance of every zone from
UTC, so that "today" and "yesterday" never change within.
"""


def moment_of(time: str) -> str:
    """Returns the beginning of the stretch of time that holds ``time``; both are canonical."""
    at = to_datetime(time)
    into = (at.minute * 60 + at.second) % BUCKET_S
    return from_datetime(at.replace(microsecond=0) - timedelta(seconds=into))
