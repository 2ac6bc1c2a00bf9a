"""Plays histories of the machine from a seed."""

from __future__ import annotations

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sync.hosting import TestHub
from tests.sync.machine import SyncMachine, Tally


def play(
    hub: TestHub,
    tally: Tally,
    seed: int,
    *,
    histories: int,
    length: int,
    shrinks: bool = False,
) -> None:
    """Plays so many histories of at most so many steps; raises what does not hold.

    The search does not make smaller what it finds: that takes minutes where finding takes seconds.
    """
    machine = type("Machine", (SyncMachine,), {"hub": hub, "tally": tally})
    phases = (Phase.generate, Phase.shrink) if shrinks else (Phase.generate,)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        hypothesis.seed(seed)(machine),
        settings=settings(
            max_examples=histories,
            stateful_step_count=length,
            deadline=None,
            derandomize=False,
            database=None,
            phases=phases,
            suppress_health_check=[*HealthCheck],
        ),
    )
