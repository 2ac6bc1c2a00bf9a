"""What a check of `memctx doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found, and what mends it."""

    name: str
    state: State
    detail: str
    mend: str = ""


def ok(name: str, detail: str) -> Check:
    """Returns a check with nothing to mend."""
    return Check(name, State.OK, detail)
