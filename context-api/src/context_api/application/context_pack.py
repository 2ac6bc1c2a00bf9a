"""The context pack: what an agent should know of a project, inside a token budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from context_api.application.asking import Asked, ask
from context_api.application.caching import Computed
from context_api.application.ports import ContextLoad, Recalled, Records, Window
from context_api.application.query_vectors import SharedVector
from context_api.application.searching import degraded
from context_api.application.services import Services
from context_api.application.standing import answer_key
from context_api.application.viewing import no_project, viewer_of
from context_api.domain.caller import READ, Caller
from memory_core.clock import now
from memory_core.errors import ContextError
from memory_core.ids import uuid7
from memory_core.recall import context
from memory_core.recall.context import SHARED_PROJECT
from memory_core.recall.pack import Note
from memory_core.records import Document
from memory_core.requests import CheckpointFilter, ContextRequest, PatternFilter, SessionFilter

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

    vector = SharedVector(services.indexes.embedder, caller.tenant_id, request.query)
    made = await services.caches.answer(key, compute, vector)
    recall_id = uuid7()
    loads = _loads(made, recall_id, str(projects[0]["id"]), caller.actor)
    return {
        **{name: value for name, value in made.items() if name not in _KEPT_ONLY},
        "text": str(made["text"]).replace(
            f'nonce="{made["nonce"]}"', f'nonce="{context.new_nonce()}"'
        ),
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
        standing = await _standing(tx.records, request, projects)
    asked = await _asked(services, caller, request, projects, moment)
    answer = asked.answer
    nonce = context.new_nonce()
    packed = context.pack_context(
        standing,
        answer.hits,
        kinds=request.kinds,
        budget=request.budget_tokens,
        project=str(projects[0]["slug"]),
        now=moment,
        nonce=nonce,
    )
    document: Document = {
        **context.shown_pack(
            packed, query=request.query, budget=request.budget_tokens, found=bool(answer.hits)
        ),
        "scores": [held.note.score for held in packed.notes],
        "nonce": nonce,
        **degraded(services, answer, asked.standing),
    }
    return Computed(document, asked.lasting)


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


async def _standing(
    records: Records, request: ContextRequest, projects: Sequence[Document]
) -> list[Note]:
    own = str(projects[0]["id"])
    lessons: list[Document] = []
    for project in projects:
        lessons += await records.patterns(
            PatternFilter(project=str(project["id"]), deprecated=False),
            Window(limit=context.CANDIDATE_PATTERNS),
        )
    return context.standing_notes(
        checkpoints=await records.checkpoints(
            CheckpointFilter(project=own), Window(limit=context.CANDIDATE_CHECKPOINTS)
        ),
        sessions=await records.sessions(
            SessionFilter(project=own), Window(limit=context.CANDIDATE_SESSIONS)
        ),
        lessons=lessons,
        session_id=request.session_id,
    )


async def _asked(
    services: Services,
    caller: Caller,
    request: ContextRequest,
    projects: Sequence[Document],
    moment: str,
) -> Asked:
    question = context.question(
        request.query,
        [str(project["id"]) for project in projects],
        kinds=request.kinds,
        session_id=request.session_id,
        min_score=services.min_score,
        asker=caller.actor,
        now=moment,
    )
    return await ask(services, caller, projects, question)


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
