"""What must hold between a hub's log, the replicas' files and what was acknowledged to whom.

Pure functions: each takes what was read and returns what is wrong, in sentences. They know the
log only through `memory_core.projection`, not through any code of hub or replica.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from memory_core.canonical import canonical_json
from memory_core.events import Event, EventType, genesis, verify_event
from memory_core.projection import apply
from memory_core.records import Document, Kind, Privacy, Ref

Documents = Mapping[Ref, Document]

GONE = frozenset(type_ for type_ in EventType if type_.value.endswith((".deleted", ".erased")))
NO_EFFECT = frozenset({"accepted", "duplicate"})
_SHOWN = frozenset({"create_session", "create_pattern"})
_REMOVALS = frozenset({"delete", "erase"})
_STANDING = frozenset({"pending", "pushed", "settled"})


@dataclass(frozen=True)
class Log:
    """A project's log as the hub holds it."""

    project_id: str
    epoch: str
    events: Sequence[Event]


@dataclass(frozen=True)
class Row:
    """An operation in a replica's journal; ``reason`` is the code of a refusal.

    ``is_erased``: what it said went with its record.
    """

    op_id: str
    type: str
    ref: Ref
    state: str
    outcome: str | None = None
    reason: str | None = None
    is_erased: bool = False


@dataclass(frozen=True)
class Held:
    """What the file of one replica holds of the project.

    ``pulled`` are the operations of which it has read an event.
    """

    name: str
    actor: str
    epoch: str | None
    cursor: int
    base: Documents
    view: Documents
    journal: Sequence[Row]
    pulled: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Acknowledged:
    """An operation that a replica said it has stored, in the journal of ``device`` if it is named.

    ``text`` is a word that stands in it and nowhere else; ``may_change_nothing``: carried out, it
    need not leave an event.
    """

    op_id: str
    device: str
    type: str
    ref: Ref
    text: str = ""
    may_change_nothing: bool = False

    def moved_away(self) -> Acknowledged:
        """Returns it as one that no journal needs to hold."""
        return replace(self, device="")


@dataclass
class Verdict:
    """What is wrong, by what it means to a user."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    resurrected: list[str] = field(default_factory=list)
    diverged: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        """Everything that is wrong."""
        return [*self.lost, *self.doubled, *self.resurrected, *self.diverged]

    def add(self, other: Verdict) -> None:
        """Takes over what another one found."""
        self.lost += other.lost
        self.doubled += other.doubled
        self.resurrected += other.resurrected
        self.diverged += other.diverged


def replay(events: Iterable[Event]) -> dict[Ref, Document]:
    """Returns all records, also deleted ones, as a log makes them from nothing."""
    documents: dict[Ref, Document] = {}
    for event in events:
        effects = apply(event, documents.get)
        documents.update(effects.documents)
        erased = effects.erased_record
        if erased is not None:
            for ref in [ref for ref, held in documents.items() if _goes_with(ref, held, erased)]:
                del documents[ref]
    return documents


def _goes_with(ref: Ref, document: Document, erased: Ref) -> bool:
    if ref.kind is Kind.CONFLICT:
        return document.get("record_id") == erased.id
    return erased.kind is Kind.SESSION and document.get("session_id") == erased.id


def hidden_from(actor: str, documents: Documents) -> set[Ref]:
    """Returns the records that are PRIVATE to others, with what belongs to them."""
    private = {
        ref
        for ref, held in documents.items()
        if held.get("privacy_level") == Privacy.PRIVATE.value and held.get("owner") != actor
    }
    ids = {ref.id for ref in private}
    for ref, held in documents.items():
        name = "record_id" if ref.kind is Kind.CONFLICT else "session_id"
        if held.get(name) in ids and ref.kind not in {Kind.SESSION, Kind.PATTERN}:
            private.add(ref)
    return private


def live(documents: Documents) -> dict[Ref, Document]:
    """Returns what is there for a reader: nothing deleted, nothing of what is deleted."""
    found: dict[Ref, Document] = {}
    for ref, held in documents.items():
        session = held.get("session_id") if ref.kind is not Kind.PATTERN else None
        parent = documents.get(Ref(Kind.SESSION, str(session))) if session else None
        if not held.get("deleted") and not (parent is not None and parent.get("deleted")):
            found[ref] = held
    return found


def seen_by(actor: str, log: Log) -> dict[Ref, Document]:
    """Returns the live records of a project as one person may see them."""
    documents = replay(log.events)
    hidden = hidden_from(actor, documents)
    return {ref: held for ref, held in live(documents).items() if ref not in hidden}


def log_is_sound(log: Log) -> Verdict:
    """The log has no gap, its digests chain, and no operation stands in it twice."""
    verdict = Verdict()
    previous = genesis(log.project_id)
    for place, event in enumerate(log.events, start=1):
        if event.seq != place:
            verdict.lost.append(f"the log has {event.seq} at place {place}")
        verify_event(previous, event)
        previous = event.digest
    places: dict[str, list[Event]] = defaultdict(list)
    for event in log.events:
        places[event.op_id].append(event)
    for op_id, events in places.items():
        first = events[0].seq
        expected = [(first + index, index) for index in range(len(events))]
        if [(event.seq, event.op_index) for event in events] != expected:
            verdict.doubled.append(f"operation {op_id} stands at {[e.seq for e in events]}")
    return verdict


def nothing_is_made_up(log: Log, asked: Container[str]) -> Verdict:
    """Every operation in the log is one that somebody asked for, under the id it was given."""
    strange = {event.op_id for event in log.events if event.op_id not in asked}
    return Verdict(doubled=[f"nobody asked for operation {op_id}" for op_id in sorted(strange)])


def nothing_comes_back(log: Log, replicas: Sequence[Held]) -> Verdict:
    """A record that the log says is deleted is not live, in the log's own replay nor anywhere."""
    verdict = Verdict()
    gone: dict[Ref, int] = {}
    for event in log.events:
        if event.type in GONE:
            gone.setdefault(Ref(event.kind, event.record_id), event.seq)
    states: list[tuple[str, int, Documents]] = [("the hub", len(log.events), replay(log.events))]
    states += [
        (f"{replica.name}'s {what}", replica.cursor, documents)
        for replica in replicas
        if replica.epoch == log.epoch
        for what, documents in (("base", replica.base), ("view", replica.view))
    ]
    for where, upto, documents in states:
        alive = live(documents)
        verdict.resurrected += [
            f"{ref.kind.value} {ref.id} is live in {where}, deleted at {seq}"
            for ref, seq in gone.items()
            if seq <= upto and ref in alive
        ]
    return verdict


def replicas_equal(log: Log, replicas: Sequence[Held]) -> Verdict:
    """At rest every replica is at the head, shows no pending work and equals the log's replay."""
    verdict = Verdict()
    for replica in replicas:
        if (replica.epoch, replica.cursor) != (log.epoch, len(log.events)):
            verdict.diverged.append(
                f"{replica.name} is at {replica.cursor} of {replica.epoch},"
                f" the hub at {len(log.events)} of {log.epoch}"
            )
        expected = seen_by(replica.actor, log)
        for what, documents in (("base", replica.base), ("view", replica.view)):
            verdict.diverged += [
                f"{replica.name}'s {what}: {difference}"
                for difference in differences(live(documents), expected)
            ]
    return verdict


def differences(found: Documents, expected: Documents) -> Iterator[str]:
    """Yields where two states differ, byte for byte of their canonical JSON."""
    for ref in sorted({*found, *expected}):
        mine, theirs = found.get(ref), expected.get(ref)
        name = f"{ref.kind.value} {ref.id}"
        if mine is None:
            yield f"{name} is missing"
        elif theirs is None:
            yield f"{name} should not be there"
        elif canonical_json(mine) != canonical_json(theirs):
            fields = {key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key)}
            shown = [f"{key}: {mine.get(key)!r} for {theirs.get(key)!r}" for key in sorted(fields)]
            yield f"{name} differs: {', '.join(shown)}"[:400]


def everything_is_accounted_for(
    log: Log, acknowledged: Iterable[Acknowledged], replicas: Sequence[Held]
) -> Verdict:
    """At rest every acknowledged operation is in the log, or was refused with a reason.

    Who takes away what is gone already has what was wanted.
    """
    verdict = Verdict()
    ended = [event for event in log.events if event.type in GONE]
    gone = {Ref(event.kind, event.record_id) for event in ended}
    erased = {
        Ref(event.kind, event.record_id) for event in ended if event.type.value.endswith(".erased")
    }
    contents: dict[str, list[Event]] = defaultdict(list)
    for event in log.events:
        contents[event.op_id].append(event)
    rows: dict[str, list[Row]] = defaultdict(list)
    for replica in replicas:
        for row in replica.journal:
            rows[row.op_id].append(row)
            if row.state not in {"settled", "rejected", "discarded"}:
                verdict.lost.append(f"{row.type} {row.op_id} is still {row.state} at rest")
    for one in acknowledged:
        if events := contents.get(one.op_id):
            verdict.lost += _what_it_said(one, events)
        elif not any(_answers_for(one, row, gone, erased) for row in rows[one.op_id]):
            states = [(row.state, row.outcome, row.reason) for row in rows[one.op_id]]
            verdict.lost.append(
                f"{one.type} {one.op_id} of {one.device} on {one.ref.kind.value} {one.ref.id}:"
                f" not in the log; journals say {states}"
            )
    return verdict


def _what_it_said(one: Acknowledged, events: Sequence[Event]) -> list[str]:
    if not one.text or any(event.content is None for event in events):
        return []
    said = b"".join(canonical_json(event.content) for event in events)
    if one.text.encode() in said:
        return []
    return [f"{one.type} {one.op_id} of {one.device} does not say {one.text!r} in the log"]


def _answers_for(one: Acknowledged, row: Row, gone: set[Ref], erased: set[Ref]) -> bool:
    if row.state == "rejected":
        return bool(row.reason)
    wanted_away = row.type in _REMOVALS and row.outcome == "duplicate" and row.ref in gone
    # What is erased before any hub has it keeps its numbers, and says nothing any more.
    if row.is_erased or wanted_away or one.ref in erased:
        return row.state == "settled"
    return one.may_change_nothing and row.state == "settled" and row.outcome in NO_EFFECT


def journal_keeps(acknowledged: Iterable[Acknowledged], replica: Held) -> Verdict:
    """At any time: what a replica acknowledged is in its journal, once, and shown to its user.

    A record that was made here is in the view, unless it was taken away: by the log as far as it
    was pulled, by another operation of this journal, by an erasure (which a hub restored from a
    backup may have forgotten, and the journal has not), or by the hub's refusal.
    """
    verdict = Verdict()
    counts = Counter(row.op_id for row in replica.journal)
    verdict.doubled += [
        f"{replica.name}'s journal holds {op_id} {count} times"
        for op_id, count in counts.items()
        if count > 1
    ]
    verdict.lost += [
        f"{replica.name}'s journal has lost {one.type} {one.op_id}"
        for one in acknowledged
        if one.op_id not in counts
    ]
    taken = {row.ref for row in replica.journal if row.type in _REMOVALS}
    for row in replica.journal:
        if row.type not in _SHOWN or row.state not in _STANDING or row.outcome == "rejected":
            continue
        if row.is_erased or row.op_id in replica.pulled:
            # What was pulled is compared with the log at rest: it may be of a record that was
            # erased further on. What was erased here a restored hub may not even have.
            continue
        known = replica.base.get(row.ref)
        is_gone = row.ref in taken or (known is not None and bool(known.get("deleted")))
        if row.ref not in replica.view and not is_gone and not row.is_erased:
            verdict.lost.append(f"{replica.name} does not show {row.type} {row.op_id}, {row.state}")
    return verdict


def cursor_moved(before: tuple[str | None, int] | None, replica: Held) -> Verdict:
    """Within an epoch a cursor never runs backwards."""
    if before is not None and before[0] == replica.epoch and replica.cursor < before[1]:
        back = f"{replica.name}'s cursor went from {before[1]} back to {replica.cursor}"
        return Verdict(diverged=[back])
    return Verdict()


def words_of_erased(log: Log, acknowledged: Iterable[Acknowledged]) -> set[str]:
    """Returns the words that only erased content said."""
    events: dict[str, list[Event]] = defaultdict(list)
    for event in log.events:
        events[event.op_id].append(event)
    erased = {event.record_id for event in log.events if event.type.value.endswith(".erased")}
    found = set()
    for one in acknowledged:
        said = events.get(one.op_id)
        is_gone = all(event.content is None for event in said) if said else one.ref.id in erased
        if one.text and is_gone:
            found.add(one.text)
    return found
