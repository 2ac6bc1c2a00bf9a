"""What users do on replicas: operations with words by which each can be found again."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from memory_core.ids import uuid7
from memory_core.operations import (
    AppendMessages,
    Body,
    CreateCheckpoint,
    CreatePattern,
    CreateSession,
    Delete,
    Erase,
    NewMessage,
    Operation,
    RecordOutcome,
    ResolveConflict,
    UpdatePattern,
    UpdateSession,
)
from memory_core.records import Document, Kind, PatternType, Privacy, Ref, Role
from memory_core.sync.operations import type_of
from tests.sync.oracle import Acknowledged, live

FEW = 3
"""Records of a kind that a user makes before changing those there are: so they meet."""


class Act(StrEnum):
    """What a user can do."""

    CREATE_SESSION = "create_session"
    APPEND = "append_messages"
    UPDATE_SESSION = "update_session"
    CHECKPOINT = "create_checkpoint"
    CREATE_PATTERN = "create_pattern"
    UPDATE_PATTERN = "update_pattern"
    OUTCOME = "record_outcome"
    DELETE = "delete"
    ERASE = "erase"
    RESOLVE = "resolve_conflict"


_WORDS = itertools.count(1)


def word() -> str:
    """Returns a word that no other text of this process holds."""
    return f"wd{next(_WORDS):08d}x"


@dataclass(frozen=True)
class Choice:
    """What was drawn: an act, which of the records there are, and two coins."""

    act: Act
    which: int
    coin: bool
    other: bool


@dataclass(frozen=True)
class Asked:
    """An operation, and the word in it."""

    operation: Operation
    text: str = ""
    may_change_nothing: bool = False

    def acknowledged(self, device: str) -> Acknowledged:
        """Returns what the oracle is told once a device has stored it."""
        return Acknowledged(
            op_id=self.operation.op_id,
            device=device,
            type=type_of(self.operation),
            ref=Ref(self.operation.kind, self.operation.record_id),
            text=self.text,
            may_change_nothing=self.may_change_nothing,
        )


@dataclass
class History:
    """What was asked for, what of it replicas acknowledged, and how often what happened."""

    asked: set[str] = field(default_factory=set)
    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, one: Acknowledged) -> None:
        """Notes an acknowledged operation."""
        self.acknowledged[one.op_id] = one
        self.operations[one.type] += 1

    def forget_all_but(self, op_ids: Iterable[str]) -> None:
        """Notes that a disk or a backup is gone: only these operations are anywhere still."""
        kept = set(op_ids)
        for op_id in [op_id for op_id in self.acknowledged if op_id not in kept]:
            del self.acknowledged[op_id]


def asked(choice: Choice, view: Mapping[Ref, Document]) -> Asked:
    """Returns the operation that a user who sees ``view`` asks for.

    Where there is nothing to act on, something is made; where there is enough, it is changed.
    """
    there = live(view)
    found = _ASKED[choice.act](choice, there)
    return found or (_session(choice) if choice.coin else _pattern(choice))


def _work_on_session(choice: Choice, there: Mapping[Ref, Document]) -> Asked | None:
    sessions = _of(there, Kind.SESSION)
    if choice.act is Act.CREATE_SESSION and len(sessions) < FEW:
        return _session(choice)
    if choice.act is Act.APPEND and sessions:
        return _messages(_pick(sessions, choice), 1 + choice.coin)
    return _session_update(choice, _pick(sessions, choice)) if sessions else None


def _work_on_pattern(choice: Choice, there: Mapping[Ref, Document]) -> Asked | None:
    patterns = _of(there, Kind.PATTERN)
    if choice.act is Act.CREATE_PATTERN and len(patterns) < FEW:
        return _pattern(choice)
    if choice.act is Act.OUTCOME and patterns:
        outcome = RecordOutcome(success=choice.coin)
        return Asked(_on(Kind.PATTERN, _pick(patterns, choice), outcome))
    return _pattern_update(choice, _pick(patterns, choice)) if patterns else None


def _of(documents: Mapping[Ref, Document], *kinds: Kind) -> list[Document]:
    return [documents[ref] for ref in sorted(documents) if ref.kind in kinds]


def _pick(documents: Sequence[Document], choice: Choice) -> Document:
    return documents[choice.which % len(documents)]


def _on(kind: Kind, document: Document, body: Body, base: str | None = None) -> Operation:
    return Operation(op_id=uuid7(), kind=kind, record_id=str(document["id"]), body=body, base=base)


def _base(choice: Choice, document: Document) -> str | None:
    return str(document["last_op"]) if choice.other or choice.coin else None


def _session(choice: Choice) -> Asked:
    text, identity = word(), uuid7()
    body = CreateSession(
        id=identity,
        title=f"about {text}",
        privacy_level=Privacy.PRIVATE if choice.coin and choice.other else Privacy.TEAM,
        tags=["red"] if choice.coin else [],
        messages=_new_messages(text, choice.which % 3),
    )
    return Asked(Operation(op_id=uuid7(), kind=Kind.SESSION, record_id=identity, body=body), text)


def _new_messages(text: str, count: int) -> list[NewMessage]:
    return [NewMessage(id=uuid7(), role=Role.USER, text=f"{text} {n}") for n in range(count)]


def _messages(session: Document, count: int) -> Asked:
    text = word()
    return Asked(
        _on(Kind.SESSION, session, AppendMessages(messages=_new_messages(text, count))), text
    )


def _session_update(choice: Choice, session: Document) -> Asked:
    text = word()
    if choice.which % 7 == 0:
        body = UpdateSession(title=text, privacy_level=Privacy.PRIVATE)
    elif choice.other:
        body = UpdateSession(title=text, tags_add=["blue"], tags_remove=["red"])
    else:
        body = UpdateSession(summary=text)
    return Asked(_on(Kind.SESSION, session, body, _base(choice, session)), text)


def _checkpoint(choice: Choice, there: Mapping[Ref, Document]) -> Asked:
    text, identity = word(), uuid7()
    sessions = _of(there, Kind.SESSION)
    session = str(_pick(sessions, choice)["id"]) if sessions and choice.coin else None
    body = CreateCheckpoint(
        id=identity,
        session_id=session,
        description=text,
        privacy_level=Privacy.PRIVATE if choice.other else Privacy.TEAM,
    )
    return Asked(
        Operation(op_id=uuid7(), kind=Kind.CHECKPOINT, record_id=identity, body=body), text
    )


def _pattern(choice: Choice) -> Asked:
    text, identity = word(), uuid7()
    body = CreatePattern(
        id=identity,
        name=text,
        pattern_type=PatternType.DECISION,
        privacy_level=Privacy.PRIVATE if choice.coin and choice.other else Privacy.TEAM,
        tags=["red"],
    )
    return Asked(Operation(op_id=uuid7(), kind=Kind.PATTERN, record_id=identity, body=body), text)


def _pattern_update(choice: Choice, pattern: Document) -> Asked:
    text = word()
    if choice.other:
        body = UpdatePattern(name=text, tags_add=["green"])
    else:
        body = UpdatePattern(body=text, confidence=0.75)
    return Asked(_on(Kind.PATTERN, pattern, body, _base(choice, pattern)), text)


def _removal(choice: Choice, there: Mapping[Ref, Document]) -> Asked | None:
    refs = [ref for ref in sorted(there) if ref.kind not in {Kind.PROJECT, Kind.CONFLICT}]
    if not refs:
        return None
    ref = refs[choice.which % len(refs)]
    body: Body = Erase() if choice.act is Act.ERASE else Delete()
    return Asked(_on(ref.kind, there[ref], body))


def _resolution(choice: Choice, there: Mapping[Ref, Document]) -> Asked | None:
    conflicts = [found for found in _of(there, Kind.CONFLICT) if found["resolution"] is None]
    if not conflicts:
        return None
    conflict = _pick(conflicts, choice)
    about = {"record_kind": conflict["record_kind"], "record_id": conflict["record_id"]}
    if choice.coin and conflict["field"] in {"title", "name", "summary", "body"}:
        text = word()
        given = {**about, "resolution": "edited", "value": text}
    else:
        text = ""
        given = {**about, "resolution": "pushed" if choice.other else "kept"}
    body = ResolveConflict.model_validate(given)
    return Asked(_on(Kind.CONFLICT, conflict, body), text, may_change_nothing=True)


_ASKED: Mapping[Act, Callable[[Choice, Mapping[Ref, Document]], Asked | None]] = {
    Act.CREATE_SESSION: _work_on_session,
    Act.APPEND: _work_on_session,
    Act.UPDATE_SESSION: _work_on_session,
    Act.CHECKPOINT: _checkpoint,
    Act.CREATE_PATTERN: _work_on_pattern,
    Act.UPDATE_PATTERN: _work_on_pattern,
    Act.OUTCOME: _work_on_pattern,
    Act.DELETE: _removal,
    Act.ERASE: _removal,
    Act.RESOLVE: _resolution,
}
