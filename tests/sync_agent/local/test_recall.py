"""A replica answers as the hub does with the same data: hits, order, scores, packs."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from memory_core.clock import from_datetime, now, to_datetime
from memory_core.embedding.hashing import HashingEmbedder
from memory_core.ids import derive_id
from memory_core.local_index import LocalIndex
from memory_core.operations import Erase, Operation
from memory_core.recall.context import SHARED_PROJECT
from memory_core.recall.moment import moment_of
from memory_core.records import Kind
from sync_agent.client import HubClient
from sync_agent.errors import NotHeld
from sync_agent.local import LocalClient
from sync_agent.local.indexing import embed_waiting
from sync_agent.places import index_of
from sync_agent.replica import NewProject, Replica
from tests.sync_agent.local.conftest import SLUG

AT = "2026-11-01T12:00:00.000000Z"
QUERIES = 200
INDEX_SECONDS = 60.0
SUBJECTS = ["parser", "token cache", "payment queue", "schema migration", "login form", "cursor"]
VERBS = ["fails", "is slow", "was split", "was moved", "leaks memory", "drops events", "retries"]
PLACES = ["in src/api.py", "on PostgreSQL", "in production", "after the release", "under load"]
CAUSES = ["a missing index", "a race", "the old client", "a wrong timeout", "an empty page"]
ASKED = [
    "why {}",
    "how did we fix {}",
    "what did ada say about {}",
    "{} last week",
    "{}",
    "when {}",
]


def phrase(rng: random.Random) -> str:
    return f"the {rng.choice(SUBJECTS)} {rng.choice(VERBS)} {rng.choice(PLACES)}"


def text(rng: random.Random) -> str:
    said = [f"{phrase(rng).capitalize()} because of {rng.choice(CAUSES)}." for _ in range(3)]
    return " ".join(said[: rng.randint(1, 3)])


def fill(client: HubClient | LocalClient) -> None:
    """Writes 30 sessions of 20 turns, checkpoints and lessons; the same for everybody."""
    rng = random.Random(7)
    for number in range(30):
        began = to_datetime(AT).replace(day=1 + number % 20, hour=number % 24)
        session = derive_id(AT, f"session {number}")
        messages: list[Mapping[str, Any]] = [
            {
                "id": derive_id(AT, f"message {number} {turn}"),
                "role": ("user", "assistant", "tool")[turn % 3],
                "author": ("ada", "claude", "")[turn % 3],
                "tool_name": "Bash" if turn % 3 == 2 else None,
                "text": text(rng),
                "created_at": from_datetime(began.replace(minute=turn)),
            }
            for turn in range(20)
        ]
        client.sessions.create(
            {
                "project": SLUG,
                "id": session,
                "title": phrase(rng),
                "summary": text(rng),
                "tags": [("db", "web", "ci")[number % 3]],
                "privacy_level": "PRIVATE" if number % 5 == 0 else "TEAM",
                "started_at": from_datetime(began),
                "messages": [*messages],
            }
        )
        client.checkpoints.create(
            {
                "project": SLUG,
                "id": derive_id(AT, f"checkpoint {number}"),
                "session_id": session,
                "description": text(rng),
                "next_steps": phrase(rng),
                "created_at": from_datetime(began.replace(minute=40)),
            }
        )
        client.patterns.create(
            {
                "project": SLUG,
                "id": derive_id(AT, f"pattern {number}"),
                "pattern_type": "error",
                "name": phrase(rng),
                "body": text(rng),
                "confidence": number / 30,
                "created_at": from_datetime(began.replace(minute=50)),
            }
        )
    client.sessions.delete(derive_id(AT, "session 29"))
    client.patterns.update(derive_id(AT, "pattern 3"), {"deprecated": True})


@pytest.fixture(scope="module")
def filled(at_hub: HubClient, here: LocalClient) -> tuple[HubClient, LocalClient]:
    fill(at_hub)
    fill(here)
    wait_until_indexed(at_hub)
    here.search("parser")  # indexes the words
    assert here._recalling._index.pending_texts(1)
    embed_waiting(here._recalling._index, HashingEmbedder())
    return at_hub, here


def wait_until_indexed(client: HubClient) -> None:
    end = time.monotonic() + INDEX_SECONDS
    while True:
        answer = client.search("parser")
        index = client.status()["index"]
        if not answer["degraded"] and all(each["pending"] == 0 for each in index):
            return
        assert time.monotonic() < end, index
        time.sleep(0.05)


def queries() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields questions with filters, and some about nothing that is known."""
    rng = random.Random(11)
    for number in range(QUERIES):
        query = rng.choice(ASKED).format(phrase(rng))
        if number % 20 == 0:
            query = rng.choice(["quokka marsupial habitat", "recipe for sourdough", "xyzzy plugh"])
        options: dict[str, Any] = {"limit": rng.choice([1, 5, 10, 30])}
        match number % 8:
            case 1:
                options["kinds"] = rng.sample(["session", "message", "checkpoint", "pattern"], 2)
            case 2:
                options["tags"] = rng.sample(["db", "web", "ci"], rng.randint(1, 2))
            case 3:
                options |= {"tags": ["db", "web"], "tags_match": "all"}
            case 4:
                options["since"] = from_datetime(to_datetime(AT).replace(day=rng.randint(1, 20)))
            case 5:
                options["until"] = from_datetime(to_datetime(AT).replace(day=rng.randint(2, 20)))
            case 6:
                options["min_score"] = rng.choice([0.0, 0.2, 0.9])
            case 7:
                options["explain"] = True
        yield query, options


def without_place(answer: Mapping[str, Any]) -> dict[str, Any]:
    unlike = {"took_ms", "indexed_seq", "head", "timings_ms", "recall_id", "recall_kept", "text"}
    return {name: value for name, value in answer.items() if name not in unlike}


def at_one_moment(ask: Any) -> tuple[Any, Any]:
    """Returns both answers of one stretch of time; asked again where it ended in between."""
    while True:
        began = moment_of(now())
        found = ask()
        if moment_of(now()) == began:
            return found


def test_the_same_hits_in_the_same_order(filled: tuple[HubClient, LocalClient]) -> None:
    hub, replica = filled
    found = nothing = 0
    for query, options in queries():
        theirs, ours = at_one_moment(
            lambda q=query, o=options: (hub.search(q, **o), replica.search(q, **o))
        )
        assert without_place(ours) == without_place(theirs), (query, options)
        found += len(ours["hits"])
        nothing += ours["nothing_relevant"]
    assert found > QUERIES
    assert nothing >= 5


@pytest.mark.parametrize("budget", [200, 1_000, 4_000])
@pytest.mark.parametrize("query", ["", "why the payment queue drops events", "quokka marsupial"])
def test_the_same_pack(filled: tuple[HubClient, LocalClient], query: str, budget: int) -> None:
    hub, replica = filled
    options: dict[str, Any] = {"query": query or None, "budget_tokens": budget}
    project = replica.projects.get(SLUG)["id"]
    theirs, ours = at_one_moment(
        lambda: (hub.context(project, **options), replica.context(SLUG, **options))
    )
    assert without_place(ours) == without_place(theirs)
    assert _without_nonce(ours["text"]) == _without_nonce(theirs["text"])
    assert len(ours["items"]) > 0


def _without_nonce(packed: str) -> list[str]:
    return [line for line in packed.splitlines() if "nonce=" not in line]


def test_what_is_written_is_found_at_once(here: LocalClient) -> None:
    word = "zanzibarian"
    here.patterns.create(
        {"project": SLUG, "pattern_type": "error", "name": f"The {word} converter", "body": word}
    )
    hits = here.search(word)["hits"]
    assert hits[0]["title"] == f"The {word} converter"
    here.patterns.delete(hits[0]["id"])
    assert hits[0]["id"] not in str(here.search(word)["hits"])


def test_erased_text_leaves_the_index(here: LocalClient) -> None:
    word = "quetzalcoatlus"
    saved = here.sessions.create({"project": SLUG, "title": f"About the {word}"})
    assert here.search(word)["hits"][0]["id"] == saved["id"]
    here.sessions.delete(saved["id"], erase=True)
    for file in index_of(here.replica.path).parent.glob("index.db*"):
        assert word.encode() not in file.read_bytes(), file
    assert here.search(word)["nothing_relevant"] or word not in str(here.search(word)["hits"])


def test_what_a_hub_erases_is_in_no_file_of_the_index_after_the_next_question(
    tmp_path: Path,
) -> None:
    """The text leaves the replica without a word to this client, as a pull does it."""
    word, path = "chinchilla", tmp_path / "replica.db"
    with client_of(path) as client:
        saved = client.sessions.create({"project": SLUG, "title": f"About the {word}"})
        assert client.search(word)["hits"][0]["id"] == saved["id"]
        body = Operation(
            op_id=derive_id(AT, "e"), kind=Kind.SESSION, record_id=saved["id"], body=Erase()
        )
        client.replica.write(client.own.id, body, at=AT, redactions={})
        client.search("something else")
        for file in index_of(path).parent.glob("index.db*"):
            assert word.encode() not in file.read_bytes(), file


def test_an_index_of_another_project_id_is_made_anew(tmp_path: Path) -> None:
    """A hub may have known the project by another id; what is kept by the old one must go."""
    path = tmp_path / "replica.db"
    old, new = derive_id(AT, "p"), derive_id(AT, "q")
    with client_of(path) as client:
        client.sessions.create({"project": SLUG, "title": "The parser was split"})
        assert client.search("parser")["hits"]
        client.replica.rekey(old, new)
        assert len(client.search("parser")["hits"]) == 1
    with closing(LocalIndex.open(index_of(path))) as index:
        assert index.progress(old).lexical_seq == 0
        assert index.progress(new).lexical_seq > 0


def test_an_earlier_position_is_left_to_the_hub(here: LocalClient) -> None:
    with pytest.raises(NotHeld):
        here.search("parser", as_of=3)


def client_of(path: Path, **fields: Any) -> LocalClient:
    project = NewProject(id=derive_id(AT, "p"), slug=SLUG, **fields)
    return LocalClient(Replica.create(path, project), embedder=lambda: None)


def test_without_a_model_words_are_searched_and_it_is_said(tmp_path: Path) -> None:
    with client_of(tmp_path / "replica.db") as client:
        client.sessions.create({"project": SLUG, "title": "The parser was split"})
        answer = client.search("parser")
        assert [hit["title"] for hit in answer["hits"]] == ["The parser was split"]
        assert answer["degraded"] == ["vector"]
        assert answer["mend"] == "run `memctx model install`"
    with client_of(tmp_path / "two.db", hub="http://127.0.0.1:1") as client:
        assert "--from-hub" in str(client.search("parser").get("mend"))


def test_an_index_of_another_replica_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "replica.db"
    with client_of(path) as client:
        for number in range(5):
            client.sessions.create({"project": SLUG, "title": f"The parser number {number}"})
        assert len(client.search("parser")["hits"]) == 5
    for file in tmp_path.glob("replica.db*"):
        file.unlink()
    with client_of(path) as client:
        client.sessions.create({"project": SLUG, "title": "A parser alone"})
        assert [hit["title"] for hit in client.search("parser")["hits"]] == ["A parser alone"]


def test_lessons_of_the_team_are_packed_too(tmp_path: Path) -> None:
    with client_of(tmp_path / "replica.db") as client:
        team = NewProject(id=derive_id(AT, "team"), slug=SHARED_PROJECT, role="shared")
        client.replica.add_project(team)
        client.patterns.create(
            {"project": SHARED_PROJECT, "pattern_type": "decision", "name": "Rebase, never merge"}
        )
        pack = client.context(SLUG)
    assert [item["kind"] for item in pack["items"]] == [Kind.PATTERN.value]
    assert "Rebase, never merge" in pack["text"]


@pytest.mark.parametrize("damage", [b"no database at all" * 500, b""])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "replica.db"
    with client_of(path) as client:
        client.sessions.create({"project": SLUG, "title": "The parser was split"})
        client.search("parser")
    index_of(path).write_bytes(damage)
    with LocalClient(Replica.open(path), embedder=lambda: None) as client:
        assert [hit["title"] for hit in client.search("parser")["hits"]] == ["The parser was split"]


def test_while_another_process_indexes_the_answer_says_how_far_it_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "replica.db"
    with client_of(path) as client:
        client.sessions.create({"project": SLUG, "title": "The parser was split"})
        client.search("parser")
        client.sessions.create({"project": SLUG, "title": "Another parser"})
        with sqlite3.connect(index_of(path), isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            answer = client.search("parser")
            other.execute("ROLLBACK")
        assert [hit["title"] for hit in answer["hits"]] == ["The parser was split"]
        assert answer["indexed_seq"] < answer["head"]
        assert len(client.search("parser")["hits"]) == 2


def test_what_is_given_out_stays_when_a_full_replica_forgets(tmp_path: Path) -> None:
    path = tmp_path / "replica.db"
    with client_of(path, hub="http://127.0.0.1:1") as client:
        saved = client.sessions.create({"project": SLUG, "title": "The parser was split"})
        other = client.sessions.create({"project": SLUG, "title": "The queue was moved"})
        client.search("parser split", limit=1)
    with sqlite3.connect(path) as connection:
        used = dict(connection.execute("SELECT id, used_at FROM records WHERE kind = 'session'"))
    assert used[saved["id"]] > used[other["id"]]
