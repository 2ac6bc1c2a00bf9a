"""What a hub acknowledged, and where its servers must agree with it when all is quiet."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from typing import Any

from sync_agent.client import HubClient
from tests.faults.team.team import eventually
from tests.faults.team.world import TOKEN, World

HISTORIES = int(os.environ.get("MEMCTX_TEST_HISTORIES", "0"))
"""How many long histories are wanted; without, a few short ones, always the same."""

LONG = HISTORIES > 0
TAKEN_OVER_S = 60.0 + 3.0
"""A lease of a worker that was killed, and the time until another one looks."""

MARGIN_S = 60.0
"""For a machine that is busy with other things."""

GENERAL = "the parser and the cache"
"""What every text has a word of."""


@dataclass
class Told:
    """A text that was written: where, when, and under which record."""

    project: str
    record: str
    kind: str
    text: str

    @property
    def token(self) -> str:
        return str(TOKEN.findall(self.text)[0])


@dataclass
class Known:
    """What the hub acknowledged, of all histories of a run."""

    live: dict[str, Told] = field(default_factory=dict)
    gone: list[Told] = field(default_factory=list)
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)
    wiped: bool = False


def settle(world: World, known: Known) -> None:
    """Waits until all is quiet, for a bounded time (D12), and compares (D1, D3)."""
    world.started()
    if not LONG:
        world.let_leases_of_the_dead_end()
        world.let_audits_be_due()
    eventually(world.is_quiet, TAKEN_OVER_S + MARGIN_S)
    indexed = {record for record, _ in world.indexed()}
    assert {told.record for told in known.live.values()} <= indexed <= world.live()
    for project, records in known.acknowledged.items():
        events = world.rows(
            "SELECT seq, record_id::text FROM events WHERE project_id = %s ORDER BY seq", project
        )
        head = world.rows("SELECT head FROM projects WHERE id = %s", project)[0][0]
        assert [row[0] for row in events] == list(range(1, head + 1))
        first: dict[str, int] = {}
        for seq, record in events:
            first.setdefault(record, seq)
        order = [first[record] for record in records]
        assert order == sorted(order)


def ranked(client: HubClient, question: str, **options: Any) -> list[tuple[str, float]]:
    """Returns ids and scores of an answer that lacks nothing."""
    answer = client.search(question, limit=20, **options)
    assert answer["degraded"] == []
    return [(hit["id"], hit["score"]) for hit in answer["hits"]]


def questions(known: Known) -> list[str]:
    """Returns some of what was written, and what many texts are about."""
    return [*(told.text for told in list(known.live.values())[:3]), GENERAL]


def replaying_changes_nothing(world: World) -> None:
    """D7: a suffix of every log is indexed again."""
    before, held = world.indexed(), {row[1:] for row in world.held()}
    world.rows("UPDATE index_state SET applied_seq = applied_seq / 2, changes = changes + 1")
    eventually(world.is_quiet, TAKEN_OVER_S + MARGIN_S)
    assert world.indexed() == before
    assert {row[1:] for row in world.held()} == held


def redis_changes_no_answer(world: World, client: HubClient, known: Known) -> None:
    """D8: kept, computed, and computed without what was kept: the same."""

    def are_equal() -> bool:
        """The time that answers are of may move on between two of them."""
        found = []
        for question in questions(known):
            kept = [ranked(client, question) for _ in range(2)]
            world.redis.flushall()
            kept += [ranked(client, question), ranked(client, question, explain=True)]
            found.append(all(one == kept[0] for one in kept))
        return all(found)

    assert are_equal() or are_equal()


def generations_never_mix(world: World, client: HubClient, known: Known) -> None:
    """D11: while the vectors are built anew, every answer is that of before and after."""
    told = next(iter(known.live.values()))
    before = ranked(client, told.text, projects=[told.project], explain=True)
    with world.client() as carer:
        rebuilding = world.pool.submit(carer.index_care, "rebuild", told.project)
        while True:
            is_over = rebuilding.done()
            assert ranked(client, told.text, projects=[told.project], explain=True) == before
            if is_over:
                break
    assert rebuilding.result()["ok"]


def without_vectors_words_answer(world: World, client: HubClient, known: Known) -> None:
    """D9: flagged, and only what shares a word with the question."""
    world.stack.servers.chroma.stop(signal.SIGKILL)
    for question in questions(known):
        # What was kept is whole; what is explained is computed.
        answer = client.search(question, limit=20, explain=True)
        assert answer["degraded"] == ["vector"]
        asked = set(question.split())
        for hit in answer["hits"]:
            # A session's title is found by what was said in it.
            said = [one.text for one in known.live.values() if one.record == hit["id"]]
            assert asked & set(" ".join([hit["title"], hit["snippet"], *said]).split())


def what_is_lost_is_built_again(world: World) -> None:
    """D10: Chroma and Redis come back empty; the same vectors, as near as numpy finds them."""
    world.stack.servers.chroma.stop(signal.SIGKILL)
    before = world.wanted()
    world.wipe_chroma()
    world.redis.flushall()
    if not LONG:
        world.let_audits_be_due()
    eventually(world.is_quiet, TAKEN_OVER_S + MARGIN_S)
    assert world.wanted() == before
    assert world.recall() >= 0.95
