"""Over a line that loses, repeats, delays and reorders nothing is lost and nothing doubled."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import Hub
from tests.sync_agent.sync.lossy import Fault
from tests.sync_agent.sync.sides import Side, World, world

MOST_ROUNDS = 20


@pytest.fixture
def here(hub: Hub, tmp_path: Path) -> Iterator[World]:
    with world(hub, tmp_path) as made:
        yield made


def work(side: Side, chance: random.Random, sessions: list[str]) -> None:
    """Does one thing that may be done offline."""
    own = [one for one in sessions if side.knows(one)]
    match chance.choice(["create", "append", "append", "rename", "delete"]):
        case "append" if own:
            side.append(chance.choice(own), f"message {chance.random()}")
        case "rename" if own:
            side.rename(chance.choice(own), f"title {chance.random()}")
        case "delete" if len(own) > 3:
            side.delete(chance.choice(own), erase=chance.random() < 0.5)
        case _:
            sessions.append(side.create(f"session {chance.random()}", "first"))


def settled(sides: list[Side]) -> int:
    """Syncs all until nothing moves; returns how many rounds that took."""
    for number in range(1, MOST_ROUNDS + 1):
        reports = [side.synced() for side in sides]
        if not any(report.pulled or report.pushed or report.pending for report in reports):
            return number
    raise AssertionError(f"still moving after {MOST_ROUNDS} rounds: {reports}")


@pytest.mark.parametrize("seed", range(4))
def test_replicas_agree_after_the_line_is_good_again(here: World, seed: int) -> None:
    chance = random.Random(seed)
    sides = [here.side(f"side-{number}") for number in range(3)]
    sessions: list[str] = []
    for side in sides:
        side.line.chance = random.Random(f"{seed} {side.path.parent.name}")
        side.line.share = 0.5
    for _ in range(25):
        side = chance.choice(sides)
        for _ in range(chance.randrange(4)):
            work(side, chance, sessions)
        side.sync()
    assert sum((side.line.seen for side in sides[1:]), sides[0].line.seen).keys() == set(Fault)
    for side in sides:
        side.line.heal()
    settled(sides)
    operations = here.operations()
    assert set(operations.values()) <= {1}
    for side in sides:
        assert side.shown() == sides[0].shown()
        assert side.unaccounted(operations) == []
