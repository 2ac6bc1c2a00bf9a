"""The machine: any order of work, syncs, faults and disasters, and what must hold after each."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from tests.sync.devices import shared_memory
from tests.sync.history import Act, Choice
from tests.sync.hosting import ACTORS, TestHub
from tests.sync.lines import Loss, Plan
from tests.sync.oracle import Verdict
from tests.sync.world import World

DEVICES = st.integers(0, 4)
CHOICES = st.builds(Choice, st.sampled_from(Act), st.integers(0, 20), st.booleans(), st.booleans())
WORK = st.lists(CHOICES, max_size=3)


class Broken(AssertionError):
    """Something that must hold does not."""


@dataclass
class Tally:
    """What all histories of a run came to."""

    histories: int = 0
    steps: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)
    most_rounds: int = 0

    def line(self) -> str:
        """Returns the line that a run ends with."""
        found = self.verdict
        counts = f"{len(found.lost)} lost, {len(found.doubled)} doubled"
        return (
            f"{counts}, {len(found.resurrected)} resurrected:"
            f" {self.operations.total()} operations and {self.faults.total()} faults"
            f" in {self.histories} histories of {self.steps} steps,"
            f" at rest within {self.most_rounds} rounds"
            f" ({', '.join(f'{count} {name}' for name, count in sorted(self.faults.items()))})"
        )


class Step(StrEnum):
    """What can come next; a user's work comes first, if there is any."""

    WORK = "nothing but work"
    SYNC = "a replica syncs"
    SYNC_ALL = "all replicas sync, twice"
    LOSE_REQUEST = "a cycle loses a request"
    LOSE_ANSWER = "a cycle loses an answer after the commit"
    KILL_WRITER = "kill -9 of a process that writes"
    KILL_SYNC = "kill -9 of a process that syncs"
    LEAVE = "the network goes"
    RETURN = "the network comes back, and delivers what it held in disorder"
    ELSEWHERE = "somebody works at the hub, without a replica"
    CLOCK = "a clock is set"
    BACK_UP = "hub and file are backed up"
    FILE_BACK = "the file of yesterday takes the place of the file"
    FILE_OVER = "the file of yesterday is written over the file"
    COPY = "the folder is copied, and both are used"
    RESTORE = "the hub is restored from its backup"
    ROLL_BACK = "the hub's disk is put back as it was, under the same epoch"
    RESTART = "the hub stops and starts"


OFTEN = {
    Step.WORK: 4, Step.SYNC: 4, Step.SYNC_ALL: 2, Step.LOSE_REQUEST: 2, Step.LOSE_ANSWER: 4,
    Step.KILL_WRITER: 2, Step.KILL_SYNC: 3, Step.ELSEWHERE: 2, Step.BACK_UP: 2,
}  # fmt: skip
"""How many times as often as the others; all in one rule, so that each history has of all."""

STEPS = st.sampled_from([step for step in Step for _ in range(OFTEN.get(step, 1))])


class SyncMachine(RuleBasedStateMachine):
    """One history: a hub, three replicas of two people, and more when folders are copied."""

    hub: ClassVar[TestHub]
    tally: ClassVar[Tally]

    @initialize(works=st.lists(WORK, min_size=3, max_size=3))
    def begin(self, works: list[list[Choice]]) -> None:
        """Makes a project and its replicas, which have all seen the first work."""
        self.folder = tempfile.TemporaryDirectory(prefix="sync-", dir=shared_memory())
        self.world = World(self.hub, Path(self.folder.name))
        self.is_broken = False
        self.world.begin()
        for device, work in zip(self.world.devices, works, strict=True):
            self.world.write(device, work)
        self.world.sync_all()

    @rule(
        step=STEPS,
        where=DEVICES,
        work=WORK,
        number=st.integers(0, 119),
        limit=st.sampled_from([None, None, 1, 3]),
    )
    def step(
        self, step: Step, where: int, work: list[Choice], number: int, limit: int | None
    ) -> None:
        """One step. ``number`` is a request, a statement, a day or a seed, as the step needs."""
        world = self.world
        device = world.device(where)
        if step is Step.KILL_WRITER and work:
            world.write_and_die(device, work[0], 1 + number % 40)
            return
        world.write(device, work)
        match step:
            case Step.SYNC:
                world.sync(device, Plan(limit=limit))
            case Step.SYNC_ALL:
                world.sync_all()
            case Step.LOSE_REQUEST:
                world.sync(device, Plan(1 + number % 5, Loss.REQUEST, limit))
            case Step.LOSE_ANSWER:
                world.sync(device, Plan(1 + number % 5, Loss.ANSWER, limit))
            case Step.KILL_SYNC:
                # Most of what a cycle writes comes soon.
                world.sync_and_die(device, 1 + (number % 40 if number % 2 else number))
            case Step.LEAVE:
                world.leave(device)
            case Step.RETURN:
                world.come_back(device, number)
            case Step.ELSEWHERE:
                world.write_at_hub(number, ACTORS[number % 2])
            case Step.CLOCK:
                world.set_clock(device, number % 11 - 5)
            case Step.BACK_UP:
                world.back_up_hub()
                world.back_up_file(device)
            case Step.FILE_BACK | Step.FILE_OVER:
                world.restore_file(device, in_place=step is Step.FILE_OVER)
            case Step.COPY:
                world.copy_folder(device)
            case Step.RESTORE:
                world.restore_hub()
            case Step.ROLL_BACK:
                world.roll_back_hub()
            case Step.RESTART:
                world.restart_hub()

    @invariant()
    def holds(self) -> None:
        """What must hold after every step."""
        if hasattr(self, "world"):
            self.tally.steps += 1
            self.judge(self.world.check_now())

    def teardown(self) -> None:
        """Heals, lets all come to rest, and compares."""
        if not hasattr(self, "world"):
            return
        try:
            if not self.is_broken:
                self.judge(self.world.settle())
        finally:
            self.note()
            self.world.end()
            self.folder.cleanup()

    def judge(self, verdict: Verdict) -> None:
        """Raises what is wrong."""
        if verdict.all:
            self.is_broken = True
            self.tally.verdict.add(verdict)
            raise Broken("\n".join(verdict.all[:20]))

    def note(self) -> None:
        """Adds this history to the tally."""
        history = self.world.history
        self.tally.histories += 1
        self.tally.operations += history.operations
        self.tally.faults += history.faults
        self.tally.most_rounds = max(self.tally.most_rounds, self.world.rounds)
