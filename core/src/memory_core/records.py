"""Records as documents: JSON-native dictionaries with fixed keys.

A document is what a row, an answer of the REST API and a replica's stored JSON hold alike.
Times are canonical texts (`memory_core.clock`), ids lower-case UUIDs (`memory_core.ids`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeAlias

from pydantic import JsonValue

Document: TypeAlias = dict[str, JsonValue]


class Kind(StrEnum):
    """The kinds of record that a project's log speaks of."""

    PROJECT = "project"
    SESSION = "session"
    MESSAGE = "message"
    CHECKPOINT = "checkpoint"
    PATTERN = "pattern"
    CONFLICT = "conflict"


RECALLED_KINDS = (Kind.SESSION, Kind.MESSAGE, Kind.CHECKPOINT, Kind.PATTERN)


class Privacy(StrEnum):
    """Who may read a record, and how much of it is redacted."""

    PUBLIC = "PUBLIC"
    TEAM = "TEAM"
    PRIVATE = "PRIVATE"
    EPHEMERAL = "EPHEMERAL"


class Role(StrEnum):
    """Who speaks in a message."""

    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class SessionStatus(StrEnum):
    """The life of a session."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


class PatternType(StrEnum):
    """What a pattern teaches."""

    WORKFLOW = "workflow"
    DECISION = "decision"
    CODE = "code"
    ERROR = "error"
    ARCHITECTURE = "architecture"
    CONFIGURATION = "configuration"


class Ref(NamedTuple):
    """Names one record of a project."""

    kind: Kind
    id: str


def quality_score(successes: int, failures: int, frequency: int, reuse_count: int) -> float:
    """Returns the quality of a pattern in 0..1.

    ``0.40 * success rate + 0.30 * min(frequency / 20, 1) + 0.30 * min(reuse / 10, 1)``; without
    outcomes the success rate is 0. Rounded to six places so that every machine stores the same.
    """
    outcomes = successes + failures
    rate = successes / outcomes if outcomes else 0.0
    score = 0.40 * rate + 0.30 * min(frequency / 20, 1.0) + 0.30 * min(reuse_count / 10, 1.0)
    return round(score, 6)
