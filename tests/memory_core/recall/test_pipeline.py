"""Recall as a whole: order, filters, explanations, what is missing, and who may see what."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from memory_core.embedding.hashing import HashingEmbedder
from memory_core.errors import EmbeddingFailed
from memory_core.recall.pipeline import Answer, Scope
from memory_core.recall.ports import RecordFilter
from memory_core.records import Kind, Ref
from tests.memory_core.recall.records import (
    PROJECT,
    Store,
    ask,
    embed,
    filled,
    identity,
    opened,
    record,
    small_embedder,
)

WORDS = ["parser", "cache", "token", "stale", "review", "sandbox", "deploy", "why", "config.toml"]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)


def names(answer: Answer) -> list[str]:
    return [hit.ref.id for hit in answer.hits]


def store_of(texts: Sequence[str], tags: Sequence[str] = ("even", "odd")) -> Store:
    store = Store()
    for number, text in enumerate(texts):
        at = f"2026-01-{number % 28 + 1:02d}T00:00:00.000000Z"
        store.message(
            f"m{number}", text, number, tags=[tags[number % len(tags)]], created_at=at,
            session_id=identity(f"s{number % 3}"),
        )  # fmt: skip
    return store


def test_the_answer_comes_first() -> None:
    store = store_of(
        [
            "We changed the parser because tabs broke it.",
            "The cache is stale after a deploy.",
            "Lunch was good.",
        ]
    )
    with filled(store, small_embedder()) as index:
        answer = ask(index, store, "why did we change the parser?", embedder=small_embedder())
    assert names(answer)[0] == identity("m0")
    assert "parser because tabs" in answer.hits[0].snippet
    assert answer.degraded == ()


def test_an_exact_name_finds_its_message() -> None:
    store = store_of([f"edited lib/module_{number}.ex and ran it" for number in range(20)])
    with filled(store) as index:
        assert names(ask(index, store, "lib/module_7.ex"))[0] == identity("m7")
        assert names(ask(index, store, "module_13.ex"))[0] == identity("m13")


@given(st.lists(TEXTS, min_size=1, max_size=20), TEXTS, st.sampled_from(["even", "odd"]))
@settings(max_examples=40, deadline=None)
def test_filters_act_before_the_limit_and_keep_the_order(
    texts: list[str], query: str, tag: str
) -> None:
    store = store_of([f"{text} {number}" for number, text in enumerate(texts)])
    embedder = small_embedder()
    with filled(store, embedder) as index:
        everything = ask(index, store, query, embedder=embedder, limit=100)
        tagged = ask(
            index, store, query, embedder=embedder, limit=3,
            chosen=RecordFilter(tags=frozenset({tag})),
        )  # fmt: skip
        since = "2026-01-04T00:00:00.000000Z"
        recent = ask(
            index, store, query, embedder=embedder, limit=100, chosen=RecordFilter(since=since)
        )
    wanted = [h for h in everything.hits if h.document["tags"] == [tag]]
    assert names(tagged) == [hit.ref.id for hit in wanted[:3]]
    assert [hit.score for hit in tagged.hits] == [hit.score for hit in wanted[:3]]
    later = [h.ref.id for h in everything.hits if str(h.document["created_at"]) >= since]
    assert names(recent) == later


def test_a_rare_record_is_found_behind_many_better_ones() -> None:
    texts = ["parser parser parser " + str(number) for number in range(300)]
    store = store_of([*texts, "something else entirely"], tags=["common"])
    last = Ref(Kind.MESSAGE, identity("m300"))
    store.documents[last]["tags"] = ["rare"]
    with filled(store) as index:
        answer = ask(index, store, "parser", chosen=RecordFilter(tags=frozenset({"rare"})), limit=1)
    assert names(answer) == [last.id]


@given(st.lists(TEXTS, min_size=1, max_size=12), TEXTS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_explanations_add_up(texts: list[str], query: str, with_vectors: bool) -> None:
    store = store_of(texts)
    embedder = small_embedder() if with_vectors else None
    with filled(store, embedder) as index:
        answer = ask(index, store, query, embedder=embedder, explain=True, limit=50)
    for hit in answer.hits:
        assert hit.explain is not None
        parts = hit.explain["parts"]
        assert isinstance(parts, list)
        total = math.fsum(part["contribution"] for part in parts)  # type: ignore[arg-type,call-overload,index,misc]
        assert total == pytest.approx(hit.explain["log_odds"], abs=1e-12)
        assert hit.score == pytest.approx(1 / (1 + math.exp(-total)), abs=1e-12)
        for part in parts:
            assert part["contribution"] == part["weight"] * part["value"]  # type: ignore[call-overload,index,operator]


def test_what_the_store_hides_never_comes_out() -> None:
    store = store_of(["parser one", "parser two", "parser three"])
    with filled(store) as index:
        store.hidden.add(Ref(Kind.MESSAGE, identity("m1")))
        del store.documents[Ref(Kind.MESSAGE, identity("m2"))]
        assert names(ask(index, store, "parser")) == [identity("m0")]


def test_private_records_of_others_are_not_even_asked_for() -> None:
    store = Store()
    mine = store.message("mine", "parser secret", 0, owner_id="ada")
    other = store.message("other", "parser secret two", 1, owner_id="bob")
    shared = store.message("shared", "parser open", 2)
    with filled(store) as index:
        assert set(names(ask(index, store, "parser", asker="ada"))) == {mine.id, shared.id}
    assert other not in store.asked


def test_the_session_that_asks_is_left_out() -> None:
    store = store_of(["parser now", "parser then", "parser later"])
    with filled(store) as index:
        chosen = RecordFilter(without_session=identity("s0"))
        assert set(names(ask(index, store, "parser", chosen=chosen))) == {
            identity("m1"),
            identity("m2"),
        }


def test_kinds_are_chosen() -> None:
    store = store_of(["parser"])
    lesson = store.add(Kind.PATTERN, "p", name="Parser rule", body="use spaces", session_id="")
    with filled(store) as index:
        chosen = RecordFilter(kinds=frozenset({"pattern"}))
        assert names(ask(index, store, "parser", chosen=chosen)) == [lesson.id]


def test_a_proven_pattern_stands_above_an_unproven_one() -> None:
    store = Store()
    store.add(Kind.PATTERN, "weak", name="Parser", body="use tabs", session_id="")
    store.add(
        Kind.PATTERN, "strong", name="Parser", body="use spaces", session_id="", quality_score=0.9
    )
    with filled(store) as index:
        assert names(ask(index, store, "parser")) == [identity("strong"), identity("weak")]


def test_time_words_prefer_what_was_said_then() -> None:
    store = Store()
    for day in (10, 20, 30):
        at = f"2026-03-{day}T10:00:00.000000Z"
        store.message(
            f"d{day}", f"we deployed build {day}x", created_at=at, session_id=identity(at)
        )
    with filled(store) as index:
        assert names(ask(index, store, "what was deployed on 20 March?"))[0] == identity("d20")


def test_a_named_author_is_preferred_but_not_a_model() -> None:
    store = Store()
    store.message("a", "the parser is slow", 0, author="Ada Byron", session_id=identity("x"))
    store.message("b", "the parser is slow!", 0, author="claude-opus-4", session_id=identity("y"))
    with filled(store) as index:
        answer = ask(index, store, "what did Ada say of the parser?", explain=True)
        assert names(answer)[0] == identity("a")
        other = ask(index, store, "what did claude say of the parser?", explain=True)
    assert all("'author'" not in str(hit.explain) for hit in other.hits)


def test_an_equal_score_is_decided_by_id() -> None:
    store = Store()
    for number in range(10, 40):
        store.message(f"t{number}", f"parser {number}", session_id=identity(f"own{number}"))
    with filled(store) as index:
        answers = [names(ask(index, store, "parser", limit=limit)) for limit in (5, 30)]
    assert answers[1] == sorted(answers[1])
    assert answers[0] == answers[1][:5]


def test_repeats_are_named_by_the_hit_that_stays() -> None:
    store = store_of(["parser is broken by tabs", "other words", "parser is broken by tabs"])
    with filled(store) as index:
        answer = ask(index, store, "parser tabs")
    first = answer.hits[0]
    assert len(answer.hits) == 2
    assert {first.ref.id, first.repeats[0].id} == {identity("m0"), identity("m2")}


def test_nothing_relevant_is_said_and_a_low_threshold_overrides_it() -> None:
    store = store_of(["We changed the parser because tabs broke it for the nightly build."])
    with filled(store) as index:
        assert ask(index, store, "sourdough recipe with rye", min_score=None).nothing_relevant
        assert not ask(index, store, "sourdough recipe", min_score=0.0).nothing_relevant
        kept = ask(index, store, "why did we change the parser: tabs?", min_score=None)
    assert len(kept.hits) == 1
    assert not kept.nothing_relevant


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9, 1.0])
def test_no_hit_is_below_the_threshold(threshold: float) -> None:
    store = store_of(["parser", "parser tabs", "cache", "parser tabs broke the nightly build"])
    with filled(store) as index:
        every = ask(index, store, "parser tabs")
        some = ask(index, store, "parser tabs", min_score=threshold)
    assert names(some) == [hit.ref.id for hit in every.hits if hit.score >= threshold]


def test_words_answer_without_an_embedder() -> None:
    store = store_of(["the parser choked on tabs", "the cache is stale"])
    with filled(store) as index:
        answer = ask(index, store, "parser")
    assert names(answer)[0] == identity("m0")
    assert answer.degraded == ("vector",)


class Broken(HashingEmbedder):
    def embed_query(self, text: str) -> NDArray[np.float32]:
        raise EmbeddingFailed("no answer")


class NotFinite(HashingEmbedder):
    def embed_query(self, text: str) -> NDArray[np.float32]:
        return np.full(self.dimension, np.nan, dtype=np.float32)


@pytest.mark.parametrize("embedder", [Broken(64), NotFinite(64)])
def test_words_answer_when_the_embedder_fails(embedder: HashingEmbedder) -> None:
    store = store_of(["the parser choked on tabs", "the cache is stale"])
    with filled(store, small_embedder()) as index:
        answer = ask(index, store, "parser", embedder=embedder)
    assert names(answer)[0] == identity("m0")
    assert answer.degraded == ("vector",)


def test_what_waits_for_its_vector_is_found_beside_what_has_one() -> None:
    store = store_of(["the cache is stale", "deploy on friday"])
    embedder = small_embedder()
    with filled(store, embedder) as index:
        store.message("new", "the parser choked on tabs", session_id=identity("new session"))
        index.apply(PROJECT, 2, store.records()[-1:], [])
        answer = ask(index, store, "parser tabs", embedder=embedder)
        assert names(answer)[0] == identity("new")
        assert answer.degraded == ()


def test_projects_are_merged_by_score_and_distance() -> None:
    shared = identity("shared project")
    store = Store()
    own = store.message("own", "parser choked on tabs")
    far = store.add(Kind.MESSAGE, "far", text="parser choked on spaces", project_id=shared)
    with opened() as index:
        records = store.records()
        index.apply(PROJECT, 1, records[:1], [])
        index.apply(shared, 1, records[1:], [])
        scopes = [Scope(PROJECT), Scope(shared, 1)]
        answer = ask(index, store, "parser choked", scopes=scopes)
        assert names(answer) == [own.id, far.id]
        assert [hit.project_id for hit in answer.hits] == [PROJECT, shared]
        swapped = ask(index, store, "parser choked", scopes=[Scope(PROJECT, 1), Scope(shared)])
        assert names(swapped) == [far.id, own.id]


@pytest.mark.parametrize(
    "query", ["", "   \n", "\x00", "🙂", "?" * 10_000, "\ud800", "a" * 100_000]
)
def test_odd_questions_are_answered(query: str) -> None:
    store = store_of(["the parser choked on tabs"])
    embedder = small_embedder()
    with filled(store, embedder) as index:
        answer = ask(index, store, query, embedder=embedder)
    assert len(answer.hits) <= 1


def test_an_unknown_project_and_a_limit_of_none() -> None:
    store = store_of(["parser"])
    with filled(store) as index:
        unknown = ask(index, store, "parser", scopes=[Scope(identity("elsewhere"))])
        assert unknown.nothing_relevant
        assert ask(index, store, "parser", limit=0).hits == ()


def test_asking_twice_gives_the_same(tmp_path: object) -> None:
    store = store_of([f"parser {word} {number}" for number, word in enumerate(WORDS * 4)])
    embedder = small_embedder()
    answers = []
    for order in (1, -1):
        with opened() as index:
            for item in store.records()[::order]:
                index.apply(PROJECT, 1, [item], [])
                embed(index, embedder)
            answers.append(ask(index, store, "parser cache", embedder=embedder, limit=20))
    first, second = answers
    assert names(first) == names(second)
    assert [h.score for h in first.hits] == pytest.approx([h.score for h in second.hits], abs=1e-6)


def test_a_long_record_is_found_by_its_best_passage() -> None:
    filler = "nothing of interest happened in this part of the log. " * 200
    store = Store()
    store.message("long", filler + "The zeppelin parser choked on tabs. " + filler)
    with filled(store) as index:
        (hit,) = ask(index, store, "zeppelin parser").hits
    assert "zeppelin parser choked" in hit.snippet
    assert "zeppelin" in hit.text[slice(*hit.span)]


def test_a_record_of_another_kind_of_text_is_indexed_as_given() -> None:
    with opened() as index:
        index.apply(PROJECT, 1, [record("a", "parser", kind=Kind.CHECKPOINT)], [])
        assert index.view(PROJECT).units.refs[0] == Ref(Kind.CHECKPOINT, identity("a"))
