"""Measures recall straight through the pipeline: quality, abstention, and speed by size.

Usage::

    python benchmarks/recall_offline.py [--cache DIR] [--words-only] [--questions FILE ...]
    python benchmarks/recall_offline.py --scale 5000 50000

Quality is measured on LoCoMo conversations and on agents' transcripts, as
`recall_bench.py` does over HTTP: turn-level recall against the evidence, and hits among
the first k. It needs the data folder (``MEMCTX_TEST_DATA``) and the installed model. Speed is
measured on invented messages with random vectors, without embedding the question.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
from recall_corpora import Asked, Corpus, data_folder, index_record, locomo, transcripts
from recall_index import MODEL, CachedEmbedder, embed_pending, fill, load_embedder

from memory_core.clock import from_datetime, to_datetime
from memory_core.ids import derive_id
from memory_core.local_index import LocalIndex
from memory_core.recall.pipeline import Answer, Scope, SearchRequest, search
from memory_core.recall.ports import RecordFilter
from memory_core.records import Kind, Ref

NOW = "2026-11-21T12:00:00.000000Z"
Row = dict[str, float]


def ask(
    index: LocalIndex,
    corpus: Corpus,
    text: str,
    embedder: CachedEmbedder | None,
    **fields: object,
) -> Answer:
    request = SearchRequest(
        query=text,
        scopes=[Scope(corpus.project_id)],
        chosen=RecordFilter(kinds=corpus.kinds),
        now=NOW,
        **fields,  # type: ignore[arg-type]
    )
    return search(request, lexical=index, dense=index, records=corpus, embedder=embedder)


def ranked(answer: Answer) -> list[str]:
    return [str(hit.document.get("source_id")) for hit in answer.hits]


def turn_scores(gold: frozenset[str], found: Sequence[str]) -> Row:
    row = {f"R@{k}": len(gold & set(found[:k])) / len(gold) for k in (5, 10, 20)}
    gain = sum(1 / math.log2(i + 2) for i, turn in enumerate(found[:10]) if turn in gold)
    row["nDCG@10"] = gain / sum(1 / math.log2(i + 2) for i in range(min(len(gold), 10)))
    row["MRR"] = next((1 / (i + 1) for i, turn in enumerate(found) if turn in gold), 0.0)
    sessions = list(dict.fromkeys(turn.split(":")[0] for turn in found))[:5]
    wanted = {turn.split(":")[0] for turn in gold}
    row["session R@5"] = len(wanted & set(sessions)) / len(wanted)
    return row


def hit_scores(gold: frozenset[str], found: Sequence[str]) -> Row:
    place = next((i for i, source in enumerate(found) if source in gold), 10**6)
    return {
        "hit@1": place == 0,
        "hit@5": place < 5,
        "hit@10": place < 10,
        "MRR": 1 / (place + 1),
    }


def means(rows: Sequence[Row]) -> dict[str, float]:
    return {name: round(100 * statistics.fmean(row[name] for row in rows), 1) for name in rows[0]}


def percentiles(times: Iterable[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {
        "p50_ms": round(ordered[len(ordered) // 2], 2),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)], 2),
    }


def chat_quality(
    index: LocalIndex, corpora: Sequence[Corpus], embedder: CachedEmbedder | None
) -> dict[str, object]:
    rows: dict[str, list[Row]] = defaultdict(list)
    took = []
    for corpus in corpora:
        for asked in corpus.asked:
            started = time.perf_counter()
            answer = ask(index, corpus, asked.text, embedder, limit=50, min_score=0.0)
            took.append(1e3 * (time.perf_counter() - started))
            row = turn_scores(asked.gold, ranked(answer))
            for group in ("all", asked.kind, *(["no adversarial"][: asked.kind != "adversarial"])):
                rows[group].append(row)
    return {
        **{group: {**means(found), "n": len(found)} for group, found in sorted(rows.items())},
        "search": percentiles(took),
    }


def code_quality(
    index: LocalIndex, corpus: Corpus, embedder: CachedEmbedder | None
) -> dict[str, object]:
    rows: dict[str, list[Row]] = defaultdict(list)
    silent: dict[str, list[bool]] = defaultdict(list)
    missed = []
    for asked in corpus.asked:
        answer = ask(index, corpus, asked.text, embedder, limit=20)
        silent[asked.kind if not asked.gold else "answerable"].append(answer.nothing_relevant)
        if asked.gold:
            row = hit_scores(asked.gold, ranked(answer))
            rows[asked.kind].append(row)
            rows["all"].append(row)
            if not row["hit@10"]:
                missed.append(asked.text)
    return {
        **{kind: {**means(found), "n": len(found)} for kind, found in sorted(rows.items())},
        "nothing relevant": {kind: f"{sum(said)} of {len(said)}" for kind, said in silent.items()},
        "missed": missed,
    }


def abstention(
    index: LocalIndex, chats: Sequence[Corpus], code: Corpus, embedder: CachedEmbedder | None
) -> dict[str, str]:
    """How often nothing is found relevant to questions of another world, and to fitting ones."""
    choose = random.Random(1)
    coding = [asked.text for asked in code.asked if asked.gold]
    chatting = [asked.text for chat in chats for asked in chat.asked if asked.kind != "adversarial"]
    table = {
        "coding questions to transcripts": [(code, text) for text in coding],
        "chat questions to transcripts": [(code, t) for t in choose.sample(chatting, 200)],
        "coding questions to chats": [(chat, text) for chat in chats for text in coding],
        "chat questions to their chat": [
            (chat, asked.text) for chat in chats for asked in choose.sample(chat.asked, 100)
        ],
    }
    counts = {
        name: sum(ask(index, corpus, text, embedder).nothing_relevant for corpus, text in pairs)
        for name, pairs in table.items()
    }
    return {name: f"{count} of {len(table[name])}" for name, count in counts.items()}


def quality(arguments: argparse.Namespace) -> None:
    data = data_folder()
    chats = locomo(data / "locomo-dev.json")
    code = transcripts(data / "transcripts", data / "coding-golden-dev.json")
    for path in arguments.questions:
        code.asked += [
            Asked(row["question"], row["kind"], frozenset(row["gold"]))
            for row in json.loads(path.read_text())
        ]
    embedder = None if arguments.words_only else load_embedder(arguments.model_dir, arguments.cache)
    with tempfile.TemporaryDirectory() as folder:
        index = LocalIndex.open(Path(folder) / "index.db")
        for corpus in (*chats, code):
            fill(index, corpus, embedder)
        result = {
            "chat": chat_quality(index, chats, embedder),
            "transcripts": code_quality(index, code, embedder),
            "nothing relevant": abstention(index, chats, code, embedder),
        }
        index.close()
    if embedder is not None:
        embedder.save()
    print(json.dumps(result, indent=1))


# Speed


class InventedRecords(Corpus):
    """Messages of words with natural frequencies, about 900 characters each: one chunk."""

    def __init__(self, count: int) -> None:
        super().__init__(f"invented-{count}", frozenset({"message"}))
        self._random = np.random.default_rng(7)
        self._words = np.array([_word(number) for number in range(40_000)])
        self._odds = 1.0 / np.arange(10, 40_010)
        self._odds /= self._odds.sum()
        self._start = to_datetime("2026-01-01T00:00:00Z")
        self.extend(count)

    def extend(self, count: int) -> list[Ref]:
        """Adds messages, 200 to a session; returns their names."""
        words = self._random.choice(self._words, size=(count, 130), p=self._odds)
        added = []
        for row in words:
            number = len(self.documents)
            at = from_datetime(self._start + timedelta(minutes=number))
            identity = derive_id(at, self.name, str(number))
            added.append(Ref(Kind.MESSAGE, identity))
            self.add(
                Kind.MESSAGE, identity, session_id=derive_id(NOW, self.name, str(number // 200)),
                position=number % 200, role=("user", "assistant", "tool")[number % 3],
                author="", text=" ".join(row)[:880], source_id=str(number), created_at=at,
            )  # fmt: skip
        return added

    def question(self) -> str:
        """Returns a new question of six words."""
        # The 60 most frequent words stand for stop words: what the others ask about is rarer.
        odds = np.where(np.arange(self._odds.size) < 60, 0.0, self._odds)
        words = self._random.choice(self._words, size=6, p=odds / odds.sum())
        return "why did the " + " ".join(words)


def _word(number: int) -> str:
    text = ""
    number += 26
    while number:
        number, letter = divmod(number, 26)
        text += "aeioubcdfghjklmnpqrstvwxyz"[letter]
    return text + "n"


class RandomEmbedder:
    """Vectors that mean nothing, for measuring time alone."""

    model, dimension = "random-384", 384

    def __init__(self) -> None:
        self._random = np.random.default_rng(3)

    def embed(self, texts: list[str]) -> np.ndarray:  # type: ignore[type-arg]
        """Returns random directions."""
        rows = self._random.standard_normal((len(texts), self.dimension), dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_query(self, text: str) -> np.ndarray:  # type: ignore[type-arg]
        """Returns a random direction."""
        return self.embed([text])[0]


def speed(count: int) -> dict[str, object]:
    corpus, embedder = InventedRecords(count), RandomEmbedder()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.db"
        index = LocalIndex.open(path)
        started = time.perf_counter()
        fill(index, corpus, embedder)  # type: ignore[arg-type]
        filled = time.perf_counter() - started
        index.close()
        before = psutil.Process().memory_info().rss
        index = LocalIndex.open(path)
        started = time.perf_counter()
        view = index.view(corpus.project_id)
        loaded = time.perf_counter() - started
        memory = psutil.Process().memory_info().rss - before
        took, stages = _searches(index, corpus, embedder, 300)
        result: dict[str, object] = {
            "chunks": view.size,
            "index_per_s": round(count / filled),
            "load_ms": round(1e3 * loaded, 1),
            "view_mb": round(memory / 1e6, 1),
            "search": percentiles(took),
            "stages_p50_ms": {
                name: round(statistics.median(values), 2) for name, values in stages.items()
            },
            "file_mb": round(path.stat().st_size / 1e6, 1),
        }
        result["after 100 new messages"] = _refresh(index, corpus, embedder)
        index.close()
    return result


def _searches(
    index: LocalIndex, corpus: InventedRecords, embedder: RandomEmbedder, count: int
) -> tuple[list[float], dict[str, list[float]]]:
    took: list[float] = []
    stages: dict[str, list[float]] = defaultdict(list)
    for number in range(count + 20):
        question = corpus.question()
        started = time.perf_counter()
        answer = ask(index, corpus, question, embedder, min_score=0.0)  # type: ignore[arg-type]
        spent = 1e3 * (time.perf_counter() - started)
        if number >= 20:
            took.append(spent)
            for name, part in answer.timings.items():
                stages[name].append(part)
    return took, stages


def _refresh(
    index: LocalIndex, corpus: InventedRecords, embedder: RandomEmbedder
) -> dict[str, float]:
    words, vectors, applied = [], [], []
    for _ in range(10):
        refs = corpus.extend(100)
        seq = len(corpus.documents)
        records = [index_record(ref, corpus.documents[ref], seq) for ref in refs]
        started = time.perf_counter()
        index.apply(corpus.project_id, seq, records, [])
        applied.append(1e3 * (time.perf_counter() - started))
        started = time.perf_counter()
        index.view(corpus.project_id)
        words.append(1e3 * (time.perf_counter() - started))
        embed_pending(index, embedder)  # type: ignore[arg-type]
        started = time.perf_counter()
        index.view(corpus.project_id)
        vectors.append(1e3 * (time.perf_counter() - started))
    return {
        "apply_ms": round(statistics.median(applied), 2),
        "words_refresh_ms": round(statistics.median(words), 2),
        "words_refresh_max_ms": round(max(words), 2),
        "vectors_refresh_ms": round(statistics.median(vectors), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=MODEL)
    parser.add_argument("--cache", type=Path, help="folder where vectors are kept between runs")
    parser.add_argument("--words-only", action="store_true", help="as without a model")
    parser.add_argument("--questions", type=Path, nargs="*", default=[], help="more, same form")
    parser.add_argument("--scale", type=int, nargs="*", help="measure speed at so many chunks")
    arguments = parser.parse_args()
    if arguments.scale is None:
        quality(arguments)
        return
    for count in arguments.scale or [5_000, 10_000, 20_000, 50_000, 100_000]:
        print(json.dumps(speed(count)), flush=True)


if __name__ == "__main__":
    main()
