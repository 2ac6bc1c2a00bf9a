"""Care of a vector index: verify it against SQL, repair the difference, rebuild it beside itself.

A rebuild never reads the index that it replaces, and searches go on meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from context_api.application.index_care_difference import (
    Difference,
    Task,
    difference,
    mend,
    put,
    unfound,
)
from context_api.application.index_care_source import (
    SPACE_KINDS,
    Generation,
    IndexSource,
    Progress,
    silent,
)
from context_api.application.vectors import Space, VectorIndex
from memory_core.errors import Conflict, ContextError, Corrupt, Unavailable
from memory_core.records import Document

SAMPLE: Final = 200
"""Vectors asked for: damage of 2 % of an index is missed in 1.8 % of the looks at it."""

LOOK: Final = 64
"""Vectors asked for by an audit, which comes every few minutes: 0.2 s of each project's time."""

GRACE_SECONDS: Final = 2.0
"""The deadline of a search, which may still ask the generation that was left."""

_ROUNDS: Final = 3


def verify(
    index: VectorIndex,
    source: IndexSource,
    *,
    sample: int = SAMPLE,
    progress: Progress = silent,
) -> Document:
    """Compares a project's vectors with SQL and says what is wrong; changes nothing.

    Returns:
        ``verdict`` (ok, drifted, damaged), the counts of `Difference.counts`, ``canary`` (why
        the server's own check failed, or None) and ``strays``, spaces that no search asks.

    Raises:
        Unavailable: SQL or the vector server does not answer.
        Busy: the indexer did not pause.
    """
    task = Task(index, source, source.generation(), progress)
    canary = _canary(index)
    found = difference(task, sample=sample)
    if found.verdict == "drifted":
        # What an indexer is writing just now looks like drift; standing still it does not.
        with source.paused():
            task = Task(index, source, source.generation(), progress)
            found = difference(task, sample=sample)
    return {**_report(task, found), "canary": canary, "strays": len(_strays(task))}


def repair(
    index: VectorIndex,
    source: IndexSource,
    *,
    sample: int = SAMPLE,
    progress: Progress = silent,
) -> Document:
    """Mends what differs and nothing else, then asks for what it mended.

    What is damaged is left as it is: writing into a ruined graph mends nothing.

    Returns:
        The counts found before with ``upserted`` and ``deleted``, and the ``verdict`` after.

    Raises:
        Unavailable: SQL or the vector server does not answer; what is mended stays mended.
        Busy: the indexer did not pause.
    """
    with source.paused():
        task = Task(index, source, source.generation(), progress)
        found = difference(task, sample=sample)
        report = _report(task, found)
        upserted, deleted, verdict = 0, 0, found.verdict
        if verdict == "drifted":
            upserted, deleted = mend(task, found)
            verdict = _after(task, found, sample)
        if verdict == "ok":
            source.note_equal(task.generation)
    return {**report, "verdict": verdict, "upserted": upserted, "deleted": deleted}


def rebuild(
    index: VectorIndex,
    source: IndexSource,
    *,
    model: tuple[str, int] | None = None,
    keep_old: bool = False,
    sample: int = SAMPLE,
    grace: float = GRACE_SECONDS,
    progress: Progress = silent,
) -> Document:
    """Builds the next generation from SQL alone, proves it equal, and switches to it.

    Args:
        index: searched all the while in the generation that is in use.
        source: of the project.
        model: name and dimension of another embedding model to switch to.
        keep_old: leaves the former generation, to switch back to; else it is dropped.
        sample: how many vectors the new generation is asked for.
        grace: seconds between the switch and the end of the former generation.
        progress: told how far it is.

    Returns:
        ``from_generation``, ``generation``, ``copied``, the counts of the new one and ``dropped``.

    Raises:
        Unavailable: SQL or the vector server does not answer, or the copy did not become equal.
        Conflict: another rebuild was first, or the new model's vectors are not all there yet.
        Corrupt: the new generation does not find its own vectors either.
        Busy: the indexer did not pause.
    """
    old = source.generation()
    task = Task(index, source, _next(index, source, old, model), progress)
    try:
        copied = put(task, source.chunks(), "copying")
        with source.paused():
            found = _settled(task, sample)
            if found.waiting and model is not None:
                raise Conflict(f"{found.waiting} chunks have no vector by {model[0]} yet")
            source.switch(old, task.generation)
    except ContextError:
        _give_up(task)
        raise
    progress("switching", 1)
    time.sleep(grace)
    kept = {old.number} if keep_old else set()
    dropped = _drop_all(index, [one for one in _strays(task) if one.generation not in kept])
    report = _report(task, found)
    return {**report, "from_generation": old.number, "copied": copied, "dropped": dropped}


def mend_index(
    index: VectorIndex,
    source: IndexSource,
    *,
    sample: int = SAMPLE,
    grace: float = GRACE_SECONDS,
    progress: Progress = silent,
) -> Document:
    """Does what is needed and no more: nothing, a repair or a rebuild; ``done`` says which.

    What could not be embedded is tried again by the indexer; ``retried`` says how much that is.

    Raises:
        Unavailable, Busy, Conflict, Corrupt: as `repair` and `rebuild` do.
    """
    retried = source.retry_dead()
    found = verify(index, source, sample=sample, progress=progress)
    if found["verdict"] == "ok":
        return {**found, "done": "nothing", "retried": retried}
    if found["verdict"] == "drifted":
        report = repair(index, source, sample=sample, progress=progress)
        if report["verdict"] == "ok":
            return {**report, "done": "repair", "retried": retried}
    report = rebuild(index, source, sample=sample, grace=grace, progress=progress)
    return {**report, "done": "rebuild", "retried": retried}


def look(index: VectorIndex, source: IndexSource, *, grace: float = GRACE_SECONDS) -> int:
    """Asks for some of the vectors, and mends as `mend_index` does if one is not found.

    For who has just compared the hashes: Chroma also shows by its hash what it does not find.

    Returns:
        How many of `LOOK` were not found; the one when the graph was damaged as a whole.

    Raises:
        Unavailable, Busy, Conflict, Corrupt: as `rebuild` does.
    """
    task = Task(index, source, source.generation(), silent)
    found = Difference({})
    found.unfound = unfound(task, source.some(LOOK), found)
    if found.verdict == "drifted":
        put(task, found.unfound, "mending")
    if found.verdict == "damaged" or (found.unfound and _after(task, found, LOOK) != "ok"):
        rebuild(index, source, grace=grace)
    return len(found.unfound) or len(found.damage)


def _canary(index: VectorIndex) -> str | None:
    try:
        index.check()
    except Corrupt as error:
        return error.detail
    return None


def _after(task: Task, found: Difference, sample: int) -> str:
    """Returns the verdict on what was mended: what is acknowledged must also be found."""
    mended = [c for one in found.spaces.values() for c in (*one.missing, *one.stale)]
    again = Difference({})
    again.unfound = unfound(task, [*found.unfound, *mended[: max(sample, 1)]], again)
    return "damaged" if again.damage or again.unfound else "ok"


def _next(
    index: VectorIndex, source: IndexSource, old: Generation, model: tuple[str, int] | None
) -> Generation:
    """Returns a generation that no space has: what a rebuild left behind may be ruined."""
    there = index.spaces(source.tenant_id, source.project_id)
    number = max([source.unused_number(), *(1 + one.generation for one in there)])
    name, dimension = model or (old.model, old.dimension)
    return Generation(number, name, dimension)


def _settled(task: Task, sample: int) -> Difference:
    """Catches up with what was written during the copy; returns the proof that it is equal."""
    for _ in range(_ROUNDS):
        found = difference(task, sample=sample)
        if found.verdict == "ok":
            return found
        if found.verdict == "damaged":
            why = "; ".join(found.damage) or f"{len(found.unfound)} of {found.asked} not found"
            raise Corrupt(f"the new generation does not find its own vectors: {why}")
        mend(task, found)
    raise Unavailable("the new generation did not become equal to SQL")


def _give_up(task: Task) -> None:
    """Drops what was built, unless another rebuild of the same number was first and is in use."""
    with suppress(ContextError):
        if task.source.generation() != task.generation:
            _drop_all(task.index, (task.space(kind) for kind in SPACE_KINDS))


def _strays(task: Task) -> list[Space]:
    in_use = {task.space(kind) for kind in SPACE_KINDS}
    there = task.index.spaces(task.source.tenant_id, task.source.project_id)
    return [one for one in there if one not in in_use]


def _drop_all(index: VectorIndex, spaces: Iterable[Space]) -> int:
    """Drops spaces; one that cannot be dropped now is dropped by the next rebuild."""
    dropped = 0
    for space in spaces:
        with suppress(ContextError):
            index.drop(space)
            dropped += 1
    return dropped


def _report(task: Task, found: Difference) -> Document:
    return {
        "project_id": task.source.project_id,
        "generation": task.generation.number,
        "model": task.generation.model,
        "dimension": task.generation.dimension,
        "verdict": found.verdict,
        **found.counts(),
    }
