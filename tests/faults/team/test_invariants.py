"""Any order of writes and faults: nothing foreign, deleted or former is answered, ever.

Two tenants write into three projects while workers are killed, Chroma stands still, is wiped
and garbled, and Redis is flushed and garbled. After every step answers are looked at; when it
is quiet, the indexes are compared with SQL. ``MEMCTX_TEST_HISTORIES=60`` runs as many longer
histories, each with its own end, and waits for what the short run makes due by hand.
"""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from memory_core.ids import uuid7
from sync_agent.client import HubClient
from tests.faults.team.agreement import (
    GENERAL,
    HISTORIES,
    LONG,
    MARGIN_S,
    TAKEN_OVER_S,
    Known,
    Told,
    generations_never_mix,
    redis_changes_no_answer,
    replaying_changes_nothing,
    settle,
    what_is_lost_is_built_again,
    without_vectors_words_answer,
)
from tests.faults.team.team import eventually
from tests.faults.team.world import TOKEN, World, running_world
from tests.support.stack import Servers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3_600 if LONG else 240)]

ACTS = ("write", "learn", "edit", "delete", "erase")
FAULTS = (
    "all is quiet", "a worker is killed", "chroma stands still", "chroma goes on",
    "chroma is wiped", "chroma is garbled", "redis is flushed", "redis is garbled",
)  # fmt: skip
KILLS = 2
"""In a short run: a worker takes seconds to begin."""

WORDS = ("parser", "cache", "lexer", "login", "queue", "index")


class Machine(RuleBasedStateMachine):
    """One history in three projects of its own: two of a tenant, one of another."""

    world: World
    known: Known
    clients: dict[str, HubClient]

    @initialize(faults=st.permutations(FAULTS))
    def begin(self, faults: list[str]) -> None:
        """Every history meets every fault, in an order of its own."""
        self.faults = itertools.cycle(faults)
        self.mark = uuid7()[-12:]
        self.projects: list[str] = []
        for number, tenant in enumerate(("ours", "ours", "theirs")):
            made = self.clients[tenant].projects.ensure({"slug": f"{tenant}/{self.mark}-{number}"})
            self.projects.append(str(made["id"]))
        grant: dict[str, Any] = {"name": "one", "scopes": ["read"], "projects": [self.projects[0]]}
        self.narrow = self.world.client(str(self.clients["ours"].keys.create(grant)["key"]))
        self.still = False

    def owner(self, project: str) -> HubClient:
        return self.clients["theirs" if project == self.projects[2] else "ours"]

    def mine(self, kind: str | None = None) -> list[str]:
        """Returns the tokens of this history that are live, the oldest first."""
        known = self.known.live.items()
        return [
            t for t, told in known if told.project in self.projects and kind in (None, told.kind)
        ]

    def text(self, words: list[str]) -> str:
        return f"the {' and the '.join(words)} of tk{uuid7()[-12:]}"

    @rule(
        act=st.sampled_from(ACTS),
        place=st.integers(0, 2),
        words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
        which=st.integers(0, 99),
    )
    def step(self, act: str, place: int, words: list[str], which: int) -> None:
        """Somebody does something, or writes if there is nothing to do it to; something fails."""
        if act in {"write", "learn"}:
            self.add(act, self.projects[place], words)
        elif told := self.one_of("learn" if act == "edit" else None, which):
            self.change(act, told, words)
        else:
            self.add("write" if act == "delete" else "learn", self.projects[place], words)
        self.happens(next(self.faults))

    def add(self, act: str, project: str, words: list[str]) -> None:
        text = self.text(words)
        owner = self.owner(project)
        if act == "write":
            messages: list[Any] = [{"role": "user", "text": text}]
            made = owner.sessions.create(
                {"project": project, "title": "work", "messages": messages}
            )
            record = str(made["id"])
        else:
            body = {"project": project, "pattern_type": "decision", "name": text}
            record = str(owner.patterns.create(body)["id"])
        self.known.acknowledged.setdefault(project, []).append(record)
        told = Told(project, record, act, text)
        self.known.live[told.token] = told

    def change(self, act: str, told: Told, words: list[str]) -> None:
        owner = self.owner(told.project)
        if act == "edit":
            new = Told(told.project, told.record, told.kind, self.text(words))
            owner.patterns.update(told.record, {"name": new.text})
            self.known.live[new.token] = new
        else:
            records = owner.sessions if told.kind == "write" else owner.patterns
            records.delete(told.record, erase=act == "erase")
        self.known.gone.append(self.known.live.pop(told.token))

    def one_of(self, kind: str | None, which: int) -> Told | None:
        """Returns something live of this history; always leaves one."""
        tokens = self.mine(kind)
        if not tokens or len(self.mine()) < 2:
            return None
        return self.known.live[tokens[which % len(tokens)]]

    def happens(self, fault: str) -> None:
        match fault:
            case "all is quiet" if not self.still:
                # Only now are answers kept, which the next steps make untrue.
                eventually(self.world.is_quiet, TAKEN_OVER_S + MARGIN_S)
            case "a worker is killed" if LONG or len(self.world.killed) < KILLS:
                self.world.kill_worker()
            case "chroma stands still" if not self.still:
                self.world.signal_chroma(signal.SIGSTOP)
                self.still = True
            case "chroma goes on" if self.still:
                self.world.signal_chroma(signal.SIGCONT)
                self.still = False
            case "chroma is wiped" if not (self.still or self.known.wiped):
                self.world.wipe_chroma()
                self.known.wiped = not LONG
            case "chroma is garbled" if not self.still:
                self.world.garble_chroma()
                self.world.let_audits_be_due()
            case "redis is flushed":
                self.world.redis.flushall()
            case "redis is garbled":
                self.world.garble_redis()

    # What holds all the while

    @invariant()
    def progress_only_grows(self) -> None:
        """D2; and D11: one generation at a time is asked."""
        statement = "SELECT project_id::text, applied_seq FROM index_state"
        for project, applied in self.world.rows(statement):
            assert applied >= self.known.applied.get(project, 0)
            self.known.applied[project] = applied
        statement = (
            "SELECT count(*) FROM index_state s JOIN projects p ON p.id = s.project_id"
            " WHERE s.applied_seq > p.head"
        )
        assert self.world.rows(statement) == [(0,)]
        asked = "SELECT count(*) FROM index_generations WHERE ready GROUP BY project_id"
        assert all(row == (1,) for row in self.world.rows(asked))

    @invariant()
    def answers_hold_what_may_be_seen_and_nothing_else(self) -> None:
        """D4, D5 and D6: nothing deleted, nothing foreign, and at once what was written last."""
        mine = self.mine()
        if not mine:
            return
        last = self.known.live[mine[-1]]
        client = self.owner(last.project)
        for question in (last.text, GENERAL):
            assert last.token in self.seen(client, question, [last.project])
        if self.still:
            return
        if gone := [told for told in self.known.gone if told.project in self.projects]:
            self.seen(self.owner(gone[-1].project), gone[-1].text, [gone[-1].project])
        for client in (*self.clients.values(), self.narrow):
            self.seen(client, GENERAL, [])

    def seen(self, client: HubClient, question: str, projects: list[str]) -> set[str]:
        """Returns the tokens of an answer, all of which the asker may see."""
        options: dict[str, Any] = {"projects": projects} if projects else {}
        answer = client.search(question, limit=50, min_score=0, **options)
        tokens = {
            token
            for hit in answer["hits"]
            for token in TOKEN.findall(f"{hit['title']} {hit['snippet']}")
        }
        for token in tokens:
            told = self.known.live.get(token)
            assert told is not None, "it was deleted, erased or replaced"
            assert not projects or told.project in projects
            assert self.may_see(client, told.project), "it is another's"
        return tokens

    def may_see(self, client: HubClient, project: str) -> bool:
        if client is self.narrow:
            return project == self.projects[0]
        theirs = self.world.rows(
            "SELECT slug LIKE 'theirs/%%' FROM projects WHERE id = %s", project
        ) == [(True,)]
        return theirs == (client is self.clients["theirs"])

    def teardown(self) -> None:
        if self.still:
            self.world.signal_chroma(signal.SIGCONT)
        self.narrow.close()
        if LONG:
            settle(self.world, self.known)


@pytest.fixture(scope="module")
def world(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("world"), servers) as found:
        yield found


CHOSEN = settings(
    max_examples=HISTORIES or 2,
    stateful_step_count=30 if LONG else 1 + len(FAULTS),
    deadline=None,
    derandomize=not LONG,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_any_order_of_writes_and_faults(world: World) -> None:
    known = Known()
    with world.client() as ours:
        key = str(ours.tenants.create({"name": "another team", "owner": "eve"})["key"])
        with world.client(key) as theirs:
            shared = {"world": world, "known": known, "clients": {"ours": ours, "theirs": theirs}}
            machine = type("Histories", (Machine,), shared)
            run_state_machine_as_test(machine, settings=CHOSEN)
            settle(world, known)
            replaying_changes_nothing(world)
            redis_changes_no_answer(world, ours, known)
            generations_never_mix(world, ours, known)
            without_vectors_words_answer(world, ours, known)
            what_is_lost_is_built_again(world)
