"""A hub and three replicas in any order of work and faults: nothing lost, doubled, resurrected.

`make test` plays a few histories. `make test-long` plays at least MEMCTX_TEST_STEPS steps with a
seed of its own, which the last line names; MEMCTX_TEST_SEED plays those of that seed again, and
MEMCTX_TEST_SHRINK=1 makes what was found smaller.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.sync.hosting import TestHub
from tests.sync.machine import Tally
from tests.sync.playing import play

STEPS = int(os.environ.get("MEMCTX_TEST_STEPS", "0"))
"""How many steps are wanted; without, a few short histories, always the same."""

SHORT = 6
BATCH = 10
LENGTH = 30

pytestmark = pytest.mark.timeout(6 * 3600 if STEPS else 300)


def test_nothing_is_lost_doubled_or_resurrected(
    hub: TestHub, record_property: pytest.RecordProperty
) -> None:
    tally, began = Tally(), time.monotonic()
    seed = int(os.environ.get("MEMCTX_TEST_SEED") or _seed())
    print(f"MEMCTX_TEST_SEED={seed}")
    shrinks = os.environ.get("MEMCTX_TEST_SHRINK") == "1"
    try:
        play(hub, tally, seed, histories=SHORT, length=LENGTH, shrinks=shrinks)
        while tally.steps < STEPS:
            seed += 1
            print(f"MEMCTX_TEST_SEED={seed}", flush=True)
            play(hub, tally, seed, histories=BATCH, length=LENGTH, shrinks=shrinks)
    finally:
        per_s = tally.steps / (time.monotonic() - began)
        line = f"sync: {tally.line()}; seed {seed}, {per_s:.0f} steps/s"
        record_property("summary", line)


def _seed() -> int:
    return random.SystemRandom().randrange(2**32) if STEPS else 4
