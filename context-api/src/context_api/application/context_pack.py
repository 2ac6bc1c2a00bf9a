"""The context pack: what an agent should know of a project, inside a token budget."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from string import ascii_letters, digits
from typing import cast

from context_api.application.asking import Asked, ask
from context_api.application.caching import Computed
from context_api.application.ports import ContextLoad, Recalled, Records, Window
from context_api.application.requests import (
    CheckpointFilter,
    ContextRequest,
    PatternFilter,
    SessionFilter,
)
from context_api.application.searching import degraded
from context_api.application.services import Services
from context_api.application.standing import answer_key
from context_api.application.viewing import no_project, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.clock import now
from memory_core.errors import ContextError
from memory_core.ids import uuid7
from memory_core.recall import pipeline as recall
from memory_core.recall.documents import happened_at, text_of, title_of
from memory_core.recall.pack import Note, PackedNote, Reason, pack
from memory_core.recall.ports import RecordFilter
from memory_core.records import Document, Kind, Ref

SHARED_PROJECT = "_team"
HITS = 20
CHECKPOINTS = 4
PATTERNS = 12
CANDIDATES = 100

_KEPT_ONLY = frozenset({"nonce", "scores"})


async def build(services: Services, caller: Caller, request: ContextRequest) -> Document:
    """Returns the notes that fit the budget, most useful first, and keeps what it gave out.

    First where work stopped, then what answers the question, lessons of this project and the
    team, the last session, and earlier states. ``nothing_relevant`` says that the question
    found nothing, or that nothing is known at all. An equal request gets the kept pack until
    something is written or indexed, under a nonce and a ``recall_id`` of its own.

    Raises:
        ProjectNotFound: there is no such project for the caller.
    """
    caller.require(READ)

    records = services.uow.recalled(viewer_of(caller))
    moment = services.caches.moment()
    projects = await _projects(records, request.project)
    asked = request.model_dump(mode="json", exclude={"project"})
    key = answer_key("context", services, caller, projects, asked=asked, moment=moment)

    async def compute() -> Computed:
        return await _made(services, caller, request, projects, moment)

    made = await services.caches.answer(key, compute)
    recall_id = uuid7()
    loads = _loads(made, recall_id, str(projects[0]["id"]), caller.actor)
    return {
        **{name: value for name, value in made.items() if name not in _KEPT_ONLY},
        "text": str(made["text"]).replace(f'nonce="{made["nonce"]}"', f'nonce="{_new_nonce()}"'),
        "recall_id": recall_id,
        "recall_kept": await _keep(services, caller, loads),
    }


async def _projects(records: Recalled, name: str) -> list[Document]:
    """Returns the project and the shared one, if it is there."""
    project, shared = await records.look([name, SHARED_PROJECT])
    if project is None:
        raise no_project(name)
    return [project, *([shared] if shared else [])]


async def _made(
    services: Services,
    caller: Caller,
    request: ContextRequest,
    projects: Sequence[Document],
    moment: str,
) -> Computed:
    """Returns the pack with what of it is never shown."""
    async with services.uow.read(viewer_of(caller)) as tx:
        notes = await _standing(tx.records, request, projects)
    asked = await _asked(services, caller, request, projects, moment)
    answer = asked.answer
    hits = [
        _note(hit.ref, hit.document, Reason.ANSWER, hit.score, hit.span[0]) for hit in answer.hits
    ]
    wanted = [*notes[:1], *hits, *notes[1:]] if _starts_with_state(notes) else [*hits, *notes]
    nonce = _new_nonce()
    packed = pack(
        _of_kinds(wanted, request.kinds),
        budget=request.budget_tokens,
        project=str(projects[0]["slug"]),
        now=moment,
        nonce=nonce,
    )
    document: Document = {
        "text": packed.text,
        "items": [_shown(held) for held in packed.notes],
        "scores": [held.note.score for held in packed.notes],
        "nonce": nonce,
        "tokens_used": packed.tokens_used,
        "budget_tokens": request.budget_tokens,
        "nothing_relevant": not packed.notes or (bool(request.query.strip()) and not hits),
        **degraded(services, answer, asked.standing),
    }
    return Computed(document, asked.lasting)


def _new_nonce() -> str:
    """Returns a nonce of 72 random bits.

    Letters and digits take turns, so that its estimated size, and with it what fits into a
    pack, is always the same.
    """
    return "".join(secrets.choice(letters) for letters in (ascii_letters, digits) * 8)


def _loads(made: Document, recall_id: str, project_id: str, actor: str) -> list[ContextLoad]:
    """Returns what a pack gives out, item by item."""
    items = cast("list[dict[str, str]]", made["items"])
    scores = cast("list[float | None]", made["scores"])
    at = now()
    return [
        ContextLoad(
            recall_id=recall_id,
            position=position,
            project_id=project_id,
            kind=item["kind"],
            record_id=item["id"],
            reason=item["reason"],
            score=score,
            tokens=int(item["tokens"]),
            actor=actor,
            loaded_at=at,
        )
        for position, (item, score) in enumerate(zip(items, scores, strict=True))
    ]


def _starts_with_state(notes: Sequence[Note]) -> bool:
    return bool(notes) and notes[0].reason is Reason.LAST_CHECKPOINT


async def _standing(
    records: Records, request: ContextRequest, projects: Sequence[Document]
) -> list[Note]:
    """Returns what matters whatever is asked: checkpoints, lessons, the last session."""
    own = str(projects[0]["id"])
    saved = await records.checkpoints(CheckpointFilter(project=own), Window(limit=CHECKPOINTS + 1))
    saved = [c for c in saved if not request.session_id or c["session_id"] != request.session_id]
    sessions = await records.sessions(SessionFilter(project=own), Window(limit=3))
    last = [s for s in sessions if s["id"] != request.session_id and not s["parent_session_id"]]
    lessons: list[Document] = []
    for project in projects:
        lessons += await records.patterns(
            PatternFilter(project=str(project["id"]), deprecated=False), Window(limit=CANDIDATES)
        )
    lessons.sort(key=lambda lesson: (-_quality(lesson), str(lesson["id"])))
    notes = [
        _note(Ref(Kind.CHECKPOINT, str(c["id"])), c, Reason.LAST_CHECKPOINT) for c in saved[:1]
    ]
    notes += [_note(Ref(Kind.PATTERN, str(p["id"])), p, Reason.PATTERN) for p in lessons[:PATTERNS]]
    notes += [_note(Ref(Kind.SESSION, str(s["id"])), s, Reason.LAST_SESSION) for s in last[:1]]
    notes += [
        _note(Ref(Kind.CHECKPOINT, str(c["id"])), c, Reason.EARLIER_CHECKPOINT)
        for c in saved[1:CHECKPOINTS]
    ]
    return notes


def _quality(lesson: Document) -> float:
    score, confidence = lesson["quality_score"], lesson["confidence"]
    return sum(value for value in (score, confidence) if isinstance(value, float | int))


async def _asked(
    services: Services,
    caller: Caller,
    request: ContextRequest,
    projects: Sequence[Document],
    moment: str,
) -> Asked:
    return await ask(
        services,
        caller,
        projects,
        recall.SearchRequest(
            query=request.query,
            scopes=[
                recall.Scope(str(project["id"]), distance)
                for distance, project in enumerate(projects)
            ],
            chosen=RecordFilter(kinds=frozenset(request.kinds), without_session=request.session_id),
            limit=HITS,
            min_score=services.min_score,
            asker=caller.actor,
            now=moment,
        ),
    )


def _note(
    ref: Ref, document: Document, reason: Reason, score: float | None = None, start: int = 0
) -> Note:
    author = document.get("author") or document.get("role") or document.get("agent")
    return Note(
        kind=ref.kind.value,
        id=ref.id,
        reason=reason,
        title=title_of(ref.kind, document),
        text=text_of(ref.kind, document),
        at=happened_at(document),
        source=str(author or document.get("owner") or ""),
        score=score,
        start=start,
    )


def _of_kinds(notes: list[Note], kinds: Sequence[str]) -> list[Note]:
    return [note for note in notes if not kinds or note.kind in kinds]


async def _keep(services: Services, caller: Caller, loads: Sequence[ContextLoad]) -> bool:
    """Keeps what was given out and why; says if it could.

    An answer is worth more than its record, so it goes out also where the store cannot write.
    """
    if not loads:
        return True
    try:
        async with services.uow.write(caller.tenant_id) as tx:
            await tx.add_loads(loads)
            await tx.commit()
    except ContextError:
        return False
    return True


def _shown(held: PackedNote) -> Document:
    note = held.note
    return {
        "kind": note.kind,
        "id": note.id,
        "title": note.title,
        "reason": note.reason.value,
        "score": None if note.score is None else round(note.score, 6),
        "tokens": held.tokens,
    }
