"""The oracle bites: each kind of damage, planted in what was read, is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memory_core.events import Event, EventDraft, EventType, genesis, seal, unsealed
from memory_core.ids import uuid7
from memory_core.records import Document, Kind, Ref
from tests.sync import oracle
from tests.sync.oracle import Acknowledged, Held, Log, Row

AT = "2026-11-21T12:00:00.000000Z"
PROJECT, SESSION, PATTERN = uuid7(), uuid7(), uuid7()
MADE, TAUGHT, GONE = uuid7(), uuid7(), uuid7()


def draft(type_: EventType, kind: Kind, record: str, content: Document) -> EventDraft:
    return EventDraft(type=type_, kind=kind, record_id=record, occurred_at=AT, content=content)


def log_of(*operations: tuple[str, str, Sequence[EventDraft]]) -> Log:
    """Returns a log of (operation, actor, drafts)."""
    events: list[Event] = []
    for op_id, actor, drafts in operations:
        events += unsealed(
            drafts,
            project_id=PROJECT,
            after_seq=len(events),
            op_id=op_id,
            actor=actor,
            recorded_at=AT,
        )
    return Log(PROJECT, "e1", seal(events, genesis(PROJECT)))


def pattern(level: str = "TEAM") -> EventDraft:
    content: Document = {"name": "wd1x", "privacy_level": level, "frequency": 1}
    return draft(EventType.PATTERN_CREATED, Kind.PATTERN, PATTERN, content)


def session() -> EventDraft:
    content: Document = {"title": "wd2x", "privacy_level": "TEAM"}
    return draft(EventType.SESSION_CREATED, Kind.SESSION, SESSION, content)


LOG = log_of((MADE, "ada", [session()]), (TAUGHT, "bob", [pattern()]))
MINE = [
    Acknowledged(MADE, "laptop", "create_session", Ref(Kind.SESSION, SESSION), "wd2x"),
    Acknowledged(TAUGHT, "desk", "create_pattern", Ref(Kind.PATTERN, PATTERN), "wd1x"),
]


def held(log: Log = LOG, actor: str = "ada", **more: object) -> Held:
    """Returns a replica that is level with a log."""
    documents = oracle.seen_by(actor, log)
    level = Held("laptop", actor, log.epoch, len(log.events), documents, documents, [])
    return replace(level, **more)  # type: ignore[arg-type]


def row(op_id: str, state: str, reason: str | None = None) -> Row:
    return Row(op_id, "create_pattern", Ref(Kind.PATTERN, PATTERN), state, None, reason)


def test_what_is_right_passes() -> None:
    assert oracle.log_is_sound(LOG).all == []
    assert oracle.replicas_equal(LOG, [held()]).all == []
    assert oracle.nothing_comes_back(LOG, [held()]).all == []
    assert oracle.everything_is_accounted_for(LOG, MINE, [held()]).all == []


def test_an_operation_twice_in_the_log_is_doubled() -> None:
    again = draft(EventType.PATTERN_OUTCOME_RECORDED, Kind.PATTERN, PATTERN, {"success": True})
    log = log_of((MADE, "ada", [session()]), (TAUGHT, "bob", [pattern()]), (TAUGHT, "bob", [again]))
    assert len(oracle.log_is_sound(log).doubled) == 1


def test_an_operation_that_nobody_asked_for_is_doubled() -> None:
    assert oracle.nothing_is_made_up(LOG, {MADE, TAUGHT}).all == []
    assert len(oracle.nothing_is_made_up(LOG, {MADE}).doubled) == 1


def test_an_operation_that_is_nowhere_is_lost() -> None:
    log = log_of((MADE, "ada", [session()]))
    assert len(oracle.everything_is_accounted_for(log, MINE, [held(log)]).lost) == 1


def test_an_operation_that_waits_at_rest_is_lost() -> None:
    waiting = held(journal=[row(TAUGHT, "pending")])
    assert len(oracle.everything_is_accounted_for(LOG, MINE, [waiting]).lost) == 1


def test_a_refusal_needs_a_reason() -> None:
    log = log_of((MADE, "ada", [session()]))
    with_reason = held(log, journal=[row(TAUGHT, "rejected", "deleted")])
    without = held(log, journal=[row(TAUGHT, "rejected")])
    assert oracle.everything_is_accounted_for(log, MINE, [with_reason]).all == []
    assert len(oracle.everything_is_accounted_for(log, MINE, [without]).lost) == 1


def test_another_text_under_the_same_operation_is_a_loss() -> None:
    other = [replace(MINE[0], text="wd9x"), MINE[1]]
    assert len(oracle.everything_is_accounted_for(LOG, other, [held()]).lost) == 1


def test_a_deleted_record_that_is_live_has_come_back() -> None:
    gone = draft(EventType.PATTERN_DELETED, Kind.PATTERN, PATTERN, {})
    log = log_of((TAUGHT, "bob", [pattern()]), (GONE, "bob", [gone]))
    before = oracle.replay(log.events[:1])
    assert len(oracle.nothing_comes_back(log, [held(log, view=before)]).resurrected) == 1
    behind = held(log, view=before, base=before, cursor=1)
    assert oracle.nothing_comes_back(log, [behind]).all == []


def test_a_field_that_differs_a_record_too_many_and_one_too_few_diverge() -> None:
    documents = oracle.seen_by("ada", LOG)
    ref = Ref(Kind.PATTERN, PATTERN)
    other = {**documents, ref: {**documents[ref], "name": "other"}}
    assert len(oracle.replicas_equal(LOG, [held(base=other)]).diverged) == 1
    fewer = {key: value for key, value in documents.items() if key != ref}
    assert len(oracle.replicas_equal(LOG, [held(view=fewer)]).diverged) == 1
    more = {**documents, Ref(Kind.PATTERN, uuid7()): documents[ref]}
    assert len(oracle.replicas_equal(LOG, [held(base=more)]).diverged) == 1
    assert len(oracle.replicas_equal(LOG, [held(cursor=1)]).diverged) == 1


def test_what_is_private_to_others_should_not_be_there() -> None:
    log = log_of((MADE, "ada", [session()]), (TAUGHT, "bob", [pattern("PRIVATE")]))
    assert oracle.replicas_equal(log, [held(log, "ada"), held(log, "bob")]).all == []
    curious = held(log, "ada", base=oracle.seen_by("bob", log))
    assert len(oracle.replicas_equal(log, [curious]).diverged) == 1


def test_a_journal_keeps_what_was_acknowledged_once() -> None:
    assert len(oracle.journal_keeps(MINE[1:], held(journal=[])).lost) == 1
    twice = held(journal=[row(TAUGHT, "pending"), row(TAUGHT, "pending")])
    assert len(oracle.journal_keeps(MINE[1:], twice).doubled) == 1
    nothing: dict[Ref, Document] = {}
    unseen = held(journal=[row(TAUGHT, "pushed")], base=nothing, view=nothing)
    assert len(oracle.journal_keeps(MINE[1:], unseen).lost) == 1


def test_a_cursor_runs_back_only_into_another_epoch() -> None:
    assert len(oracle.cursor_moved(("e1", 5), held()).diverged) == 1
    assert oracle.cursor_moved(("e0", 5), held()).all == []


def test_words_of_erased_content() -> None:
    gone = draft(EventType.PATTERN_ERASED, Kind.PATTERN, PATTERN, {})
    log = log_of((MADE, "ada", [session()]), (TAUGHT, "bob", [pattern()]), (GONE, "bob", [gone]))
    stripped = [
        replace(event, content=None, salt=None) if event.op_id == TAUGHT else event
        for event in log.events
    ]
    assert oracle.words_of_erased(replace(log, events=stripped), MINE) == {"wd1x"}
