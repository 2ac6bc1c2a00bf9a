"""What replicas push: each operation is carried out once, in the order of its replica.

An operation, and where its replica stands after it, are one transaction. Whatever is lost on the
way, sending it again gives the same result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from context_api.application.services import Services
from context_api.application.sync.applying import Overtaken, Push, carried, passes
from context_api.application.sync.greeting import check_owner, greet_if_due
from context_api.application.sync.grouping import carried_together
from context_api.application.sync.ports import Result
from context_api.application.sync.pushed import Pushed, PushRequest, check_follows
from context_api.application.sync.results import acked, problem_of, result_of, shown
from context_api.application.viewing import project_named, viewer_of
from context_api.domain.caller import WRITE, Caller
from memory_core.errors import Busy, ContextError, EpochChanged, ReplicaForked
from memory_core.records import Document
from memory_core.sync.protocol import PROTOCOL, check_protocol


async def push(services: Services, caller: Caller, project: str, asked: PushRequest) -> Document:
    """Carries out a replica's operations in their order and returns what each came to.

    What the hub cannot do now (``stopped`` in the answer) ends the batch; what is refused for good
    is a result, and the next operation follows.

    Raises:
        UpgradeRequired: hub and replica speak different versions of the protocol.
        ProjectNotFound: there is no such project for the caller.
        EpochChanged: the log was restored since the replica read it.
        OperationsMissing: there is a gap before the first operation.
        ReplicaForked: an operation's number stands for another one here.
        Forbidden: the replica is somebody else's.
    """
    caller.require(WRITE)
    check_protocol(asked.greeting.protocol, side="replica")
    under_way = await _standing(services, caller, project, asked)
    check_follows(asked.operations, under_way.last)
    stopped = None
    try:
        with services.wakeup.writing():
            await _carry_out(under_way, asked.operations)
    except ContextError as error:
        if not passes(error):
            raise
        stopped = problem_of(error)
    finally:
        await _tell(under_way)
    return _answer(under_way, stopped)


async def _standing(services: Services, caller: Caller, project: str, asked: PushRequest) -> Push:
    """Returns where the replica stands, and keeps what it says about itself."""
    said = asked.greeting
    numbers = [one.number for one in asked.operations] or [0]
    async with services.uow.read(viewer_of(caller)) as tx:
        found = await project_named(tx.records, project)
        project_id, epoch = str(found["id"]), str(found["epoch"])
        if asked.epoch not in {None, epoch}:
            raise EpochChanged
        known = await tx.replicas.get(project_id, said.id)
        await check_owner(tx.replicas, known, said.id, caller)
        kept: Mapping[int, Result] = {}
        if known is not None and numbers[0] <= known.last_number:
            kept = await tx.replicas.results(project_id, said.id, numbers[0], numbers[-1])
    await greet_if_due(services, caller, project_id, known, said)
    return Push(
        services=services,
        caller=caller,
        project_id=project_id,
        epoch=epoch,
        head=int(str(found["head"])),
        replica_id=said.id,
        upto=numbers[-1],
        last=0 if known is None else known.last_number,
        last_hash=None if known is None else known.last_hash,
        kept=kept,
    )


async def _carry_out(push: Push, operations: Sequence[Pushed]) -> None:
    """Adds the result of each operation, of as many at once as can be."""
    while waiting := operations[len(push.results) :]:
        done: list[Result] = []
        if waiting[0].number > push.last:
            with suppress(Overtaken):
                done = await carried_together(push, waiting)
        for result, one in zip(done or [await _result(push, waiting[0])], waiting, strict=False):
            push.results.append(result)
            push.bases[one.op_id] = one.base


async def _result(push: Push, one: Pushed) -> Result:
    if one.number > push.last:
        try:
            return await carried(push, one)
        except Overtaken:
            await _look_again(push, one)
    return await _known(push, one)


async def _known(push: Push, one: Pushed) -> Result:
    """Returns what an operation came to that was carried out before.

    Raises:
        ReplicaForked: its number stands for another operation.
    """
    found = push.kept.get(one.number)
    if found is not None:
        if found.hash == one.hash:
            return found
        raise _forked(one)
    if one.number == push.last and push.last_hash != one.hash:
        raise _forked(one)
    async with push.services.uow.read(viewer_of(push.caller)) as tx:
        stored = await tx.log.operation(one.op_id)
    if stored is None or stored.project_id != push.project_id:
        # Either it was never here, or what it came to was confirmed by another replica.
        raise _forked(one)
    return result_of(one, "duplicate", seq=stored.last_seq, head=push.head)


def _forked(one: Pushed) -> ReplicaForked:
    return ReplicaForked(f"operation {one.number} of this replica is another one here")


async def _look_again(push: Push, one: Pushed) -> None:
    """Reads how far another request has brought the replica.

    Raises:
        Busy: not past this operation.
    """
    async with push.services.uow.read(viewer_of(push.caller)) as tx:
        known = await tx.replicas.get(push.project_id, push.replica_id)
        await check_owner(tx.replicas, known, push.replica_id, push.caller)
        if known is None or known.last_number < one.number:
            raise Busy("another push of this replica was in the way")
        # Of all that it was overtaken by: none of it is carried out here any more.
        push.kept = await tx.replicas.results(
            push.project_id, push.replica_id, one.number, min(known.last_number, push.upto)
        )
    push.last, push.last_hash = known.last_number, known.last_hash


async def _tell(push: Push) -> None:
    """Wakes those who wait for the log, and moves what was erased out of the files."""
    if push.results:
        await push.services.wakeup.notify()
    if push.erased:
        await push.services.uow.checkpoint()


def _answer(push: Push, stopped: Document | None) -> Document:
    done: Document = {
        "protocol": PROTOCOL,
        "epoch": push.epoch,
        "head": push.head,
        "acked": acked(push.last, push.last_hash),
        "expected": push.last + 1,
        "results": [shown(result) for result in push.results],
    }
    return done if stopped is None else {**done, "stopped": stopped}
