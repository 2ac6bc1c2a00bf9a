"""Questions with known answers, and what they are asked of, for measuring recall offline."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from memory_core.clock import from_datetime
from memory_core.ids import derive_id
from memory_core.recall.documents import happened_at, text_of, title_of
from memory_core.recall.ports import IndexRecord, RecordFilter
from memory_core.records import Document, Kind, Ref
from memory_core.transcripts import (
    CheckpointItem,
    MessageItem,
    SessionEnd,
    SessionItem,
    find_transcripts,
    read,
)

DEFAULT_DATA = Path(__file__).parents[1] / "../shared/data"
START = "2023-01-01T00:00:00.000000Z"


def data_folder() -> Path:
    return Path(os.environ.get("MEMCTX_TEST_DATA") or DEFAULT_DATA).resolve()


@dataclass(frozen=True)
class Asked:
    """A question; ``gold`` are source ids, empty if nothing answers it."""

    text: str
    kind: str
    gold: frozenset[str]


@dataclass
class Corpus:
    """A project's records as documents, and the questions asked of it."""

    name: str
    kinds: frozenset[str]
    project_id: str = ""
    documents: dict[Ref, Document] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.project_id = derive_id(START, "project", self.name)

    def add(self, kind: Kind, identity: str, **fields: object) -> None:
        """Adds a record."""
        document: Document = {"id": identity, "project_id": self.project_id, **fields}  # type: ignore[dict-item]
        self.documents[Ref(kind, identity)] = document

    def records(self) -> list[IndexRecord]:
        """Returns what of the documents is indexed, as the hub's indexer gives it."""
        return [
            index_record(ref, document, seq)
            for seq, (ref, document) in enumerate(self.documents.items(), 1)
        ]

    def load(self, refs: Sequence[Ref], chosen: RecordFilter) -> Mapping[Ref, Document]:
        """Returns documents; every record is visible here."""
        return {
            ref: self.documents[ref]
            for ref in refs
            if not chosen.kinds or ref.kind.value in chosen.kinds
        }


def index_record(ref: Ref, document: Document, seq: int) -> IndexRecord:
    return IndexRecord(
        kind=ref.kind.value,
        id=ref.id,
        project_id=str(document["project_id"]),
        session_id=ref.id if ref.kind is Kind.SESSION else str(document["session_id"]),
        position=int(str(document.get("position") or 0)),
        role=str(document.get("role") or ""),
        author=str(document.get("author") or ""),
        title=title_of(ref.kind, document),
        text=text_of(ref.kind, document),
        created_at=happened_at(document),
        owner_id=None,
        quality=0.0,
        seq=seq,
        tool_name=str(document.get("tool_name") or ""),
    )


def locomo(path: Path) -> list[Corpus]:
    """Returns one corpus for each conversation of a LoCoMo file."""
    return [_conversation(conversation) for conversation in json.loads(path.read_text())]


def _conversation(conversation: dict) -> Corpus:  # type: ignore[type-arg]
    talk = conversation["conversation"]
    corpus = Corpus(conversation["sample_id"], frozenset({"message"}))
    names = sorted(
        (name for name in talk if re.fullmatch(r"session_\d+", name)),
        key=lambda name: int(name[8:]),
    )
    turns = set()
    for name in names:
        at = _moment(talk.get(f"{name}_date_time"))
        session = derive_id(START, corpus.name, name)
        title = f"{name.replace('_', ' ')}, {at:%d %B %Y}"
        corpus.add(Kind.SESSION, session, title=title, started_at=from_datetime(at))
        for position, turn in enumerate(talk[name]):
            shared = turn.get("blip_caption")
            turns.add(turn["dia_id"])
            corpus.add(
                Kind.MESSAGE,
                derive_id(START, corpus.name, turn["dia_id"]),
                session_id=session,
                position=position,
                role="user" if turn["speaker"] == talk["speaker_a"] else "assistant",
                author=turn["speaker"],
                text=turn["text"] + (f" [shares a photo: {shared}]" if shared else ""),
                source_id=turn["dia_id"],
                created_at=from_datetime(at + dt.timedelta(seconds=30 * position)),
            )
    for asked in conversation["qa"]:
        gold = _evidence(asked.get("evidence")) & turns
        if gold:
            kind = "adversarial" if asked["category"] == 5 else f"category {asked['category']}"
            corpus.asked.append(Asked(asked["question"], kind, frozenset(gold)))
    return corpus


def _moment(text: str | None) -> dt.datetime:
    found = re.match(r"\s*(\d+):(\d+)\s*(am|pm) on (\d+) (\w+),? (\d{4})", text or "")
    if not found:
        return dt.datetime(2023, 1, 1, tzinfo=dt.UTC)
    clock = f"{found[4]} {found[5]} {found[6]} {found[1]}:{found[2]} {found[3]}"
    return dt.datetime.strptime(clock, "%d %B %Y %I:%M %p").replace(tzinfo=dt.UTC)


def _evidence(raw: Iterable[str] | None) -> set[str]:
    pairs = re.findall(r"D:?(\d+):(\d+)", " ".join(raw or []))
    return {f"D{int(session)}:{int(turn)}" for session, turn in pairs}


def transcripts(folder: Path, questions: Path) -> Corpus:
    """Returns the transcripts of a folder as one project, with the questions of a file."""
    corpus = Corpus("transcripts", frozenset({"message", "checkpoint"}))
    for transcript in find_transcripts([folder]).transcripts:
        _add_transcript(corpus, transcript.path)
    for asked in json.loads(questions.read_text()):
        corpus.asked.append(Asked(asked["question"], asked["kind"], frozenset(asked["gold"])))
    return corpus


def _add_transcript(corpus: Corpus, path: Path) -> None:
    positions: dict[str, int] = {}
    started: dict[str, str] = {}
    for item in read(path):
        match item:
            case SessionItem():
                started[item.id] = item.started_at
            case MessageItem():
                position = positions[item.session_id] = positions.get(item.session_id, -1) + 1
                corpus.add(
                    Kind.MESSAGE, item.id, session_id=item.session_id, position=position,
                    role=item.role, author=item.author, text=item.text, source_id=item.source_id,
                    created_at=item.created_at, tool_name=item.tool_name or "",
                )  # fmt: skip
            case CheckpointItem():
                corpus.add(
                    Kind.CHECKPOINT, item.id, session_id=item.session_id,
                    description=item.description, next_steps=item.next_steps,
                    tasks_completed=list(item.tasks_completed), source_id=item.source_id,
                    created_at=item.created_at,
                )  # fmt: skip
            case SessionEnd():
                corpus.add(
                    Kind.SESSION, item.id, title=item.title, summary=item.summary,
                    started_at=started[item.id],
                )  # fmt: skip
