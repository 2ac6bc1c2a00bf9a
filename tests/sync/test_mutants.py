"""The test of the test: a machine that finds no planted fault would prove nothing.

`make test` plants a few, `make test-long` all. A fault counts as found when histories with it do
not hold; those without it do (`test_machine`).
"""

from __future__ import annotations

import pytest

from tests.sync.hosting import running_hubs
from tests.sync.machine import Tally
from tests.sync.mutants import OF_HUB, OF_REPLICA, planted
from tests.sync.playing import play
from tests.sync.test_machine import LENGTH, STEPS

HISTORIES = 120
QUICK = ("erased_bodies_kept", "refusals_dropped", "nothing_withheld")
ALL = sorted({*OF_REPLICA, *OF_HUB})

pytestmark = pytest.mark.timeout(1_800)


@pytest.mark.parametrize("name", ALL if STEPS else QUICK)
def test_a_planted_fault_is_found(name: str) -> None:
    tally = Tally()
    with running_hubs(name) as hub, planted(name), pytest.raises(AssertionError):
        play(hub, tally, 1, histories=HISTORIES, length=LENGTH)
    print(f"{name}: found in history {tally.histories}, after {tally.steps} steps")
