"""Turns the results in ``benchmarks/results`` into ``docs/benchmarks.md`` and its charts.

Run from the repository root::

    python -m benchmarks.report [--check]

With ``--check`` nothing is written; it fails where a file is not what the results give.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import charts, report_log, report_sync, report_team
from benchmarks.pages import Result, command, picture, table
from tools.diagrams import DARK, LIGHT, Picture, Theme

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = "docs/benchmarks.md"
CHARTS = "docs/charts"

OTHERS = "cores busy elsewhere"
INTRODUCTION = """\
# Benchmarks

What was measured, on what, and with which command. Each benchmark starts a real hub
(`memctx serve`) in its own process on a free loopback port over a temporary data folder, and
asks it over HTTP.

The machine need not be idle. *Cores busy elsewhere* says how many of its cores other programs took
during a measurement, the load average how many programs wanted one; with all cores busy, times
are those of a crowded machine, several times what an idle one gives. Floors and ratios are
therefore measured in the same run, and the processor time that the hub itself took is given too.

Measure again with `make bench`; `python -m benchmarks.report` then writes this page and its
charts from the JSON in `benchmarks/results/`.
"""
SEARCH = """\
One project grows by synthetic messages of developers (40 to 150 words, a Zipf-like vocabulary of
24,000 words, sessions of 60). A client asks {n} questions it has not asked before, one after the
other over one connection; embedding each question with the real model is part of the time. The
vectors of the first {real:,} texts are real ones; the others are normalised mixtures of two real
ones with noise: embedding all would take many minutes, and exact search costs the same.
*First* is the first search after the start of the hub, which reads the project into memory.
*Floor* is the sum of the medians of three things no search can do without: answering a request
(`GET /health/live`), embedding the question, an exact search by numpy over as many vectors.
"""
STORING = """\
Messages of {characters} characters on average go out in batches of {batch}; a batch counts when
the hub has answered, that is, after the commit. *Words only* is a hub without a model, *with the
model* one that embeds in the background on the same cores at the same time.
"""
INDEXING = """\
How fast the index follows: {chunks:,} messages are stored and the clock runs from the first
request until the index has reached the head of the log. The bare embedder takes the same texts
in a process of its own, before and after.
"""
STARTING = """\
*Ready* is the time from starting the process until `GET /health/ready` answers 200. Commands are
whole processes, from start to end; bare Python is their floor.
"""
RECALL = """\
Recall without any LLM, asked over HTTP by a program that knows the answers. The questions and
conversations are not part of this repository; LoCoMo is Maharana et al., 2024
(github.com/snap-research/locomo, CC BY-NC 4.0).
"""


def search(result: Result) -> Iterator[str]:
    figures = result["figures"]
    stages = figures["stages"]
    yield "## Search\n"
    yield SEARCH.format(n=stages[-1]["search"]["client"]["n"], real=figures["real_vectors"])
    yield picture("search", "Time of a search by size of the project")
    rows = []
    for stage in stages:
        floor = sum(part["p50_ms"] for part in stage["floors"].values())
        client, hub = stage["search"]["client"], stage["search"]["hub"]
        again = stage["search_again"]["client"]
        rows.append(
            [
                f"{stage['chunks']:,}",
                client["p50_ms"],
                client["p95_ms"],
                f"{again['p50_ms']} / {again['p95_ms']}",
                hub["p50_ms"],
                f"{floor:.2f}",
                f"{client['p50_ms'] / floor:.1f}",
                stage["first_search_ms"],
                stage["search"]["hub_cpu_ms"],
                stage["rss_mb"],
                stage["others_cores"],
            ]
        )
    yield table(
        [
            "chunks",
            "p50 ms",
            "p95 ms",
            "second round",
            "p50 in the hub",
            "floor ms",
            "p50 / floor",
            "first ms",
            "hub CPU ms",
            "RSS MB",
            OTHERS,
        ],
        rows,
    )
    yield ""
    yield table(
        ["chunks", "health p50 ms", "embed p50 ms", "exact top 10 p50 ms"],
        (
            [f"{s['chunks']:,}"]
            + [s["floors"][part]["p50_ms"] for part in ("health", "embed", "exact_top10")]
            for s in stages
        ),
    )
    yield "\nWhere the time of a search goes, median milliseconds in each stage of recall:\n"
    parts = list(stages[-1]["explained"]["parts_p50_ms"])
    yield table(
        ["chunks", *parts],
        (
            [f"{s['chunks']:,}", *(s["explained"]["parts_p50_ms"].get(p, "") for p in parts)]
            for s in stages
        ),
    )
    yield "\n" + command(result)


def ingest(result: Result) -> Iterator[str]:
    figures = result["figures"]
    yield "## Storing and indexing\n"
    yield STORING.format(characters=figures["characters_mean"], batch=figures["batch_size"])
    yield picture("storing", "Messages stored and chunks indexed a second")
    names = {"words_only": "words only", "with_model": "with the model"}
    rows = [
        [
            f"{name}, {clients.removeprefix('clients_')} at once",
            f"{found['messages_per_s']:,}",
            f"{found['hub_cpu_us_per_message']:,}",
            found["batch"]["p50_ms"],
            found["batch"]["p95_ms"],
            found["rss_mb"],
            found["others_cores"],
        ]
        for key, name in names.items()
        for clients, found in figures[key].items()
    ]
    yield table(
        [
            "clients",
            "messages/s",
            "hub CPU µs/message",
            "batch p50 ms",
            "batch p95 ms",
            "RSS MB",
            OTHERS,
        ],
        rows,
    )
    indexing = figures["indexing"]
    yield "\n" + INDEXING.format(chunks=indexing["chunks"])
    before, after = indexing["bare_texts_per_s"]
    yield table(
        ["", "chunks/s"],
        [
            ["the bare embedder, before", before],
            ["the hub, storing and indexing", indexing["chunks_per_s"]],
            ["the bare embedder, after", after],
            ["**share**", f"**{indexing['share']:.0%}**"],
        ],
    )
    yield "\n" + command(result)


def start(result: Result) -> Iterator[str]:
    figures = result["figures"]
    started, imported = figures["start"], figures["imported"]
    yield "## Starting, memory, commands\n"
    yield STARTING
    rows: list[Sequence[object]] = [
        ["ready, first start (makes the database)", f"{started['first_s']} s"],
        ["ready, p50 of later starts", f"{started['again']['p50_ms'] / 1e3:.2f} s"],
        ["ready, worst of later starts", f"{started['again']['max_ms'] / 1e3:.2f} s"],
        ["RSS after start, with the model", f"{started['rss_mb']} MB"],
    ]
    if "skipped" not in imported:
        rows += [
            ["import of two real transcripts", f"{imported['import_s']} s"],
            ["… until all is indexed", f"{imported['indexed_s']} s"],
            ["RSS when all is indexed", f"{imported['rss_indexed_mb']} MB"],
            ["RSS after twenty searches", f"{imported['rss_mb']} MB"],
        ]
    yield table(["hub", ""], rows)
    yield ""
    timed = {name: spread for name, spread in figures["commands"].items() if name != "load"}
    yield table(
        ["whole process", "p50 ms", "p95 ms", "runs"],
        ([f"`{name}`", s["p50_ms"], s["p95_ms"], s["n"]] for name, s in timed.items()),
    )
    loaded = figures["loaded_by_import"]["memctx"]
    heavy = ", ".join(loaded) if loaded else "none"
    yield (
        "\nOf torch, chromadb, fastapi, sqlalchemy, onnxruntime, numpy and httpx,"
        f" `import memctx` loads: {heavy}.\n"
    )
    yield command(result)


def recall(result: Result) -> Iterator[str]:
    modes = result["figures"]["modes"]
    yield "## Recall\n"
    yield RECALL
    names = ["R@5", "R@10", "R@20", "nDCG@10", "MRR", "session R@5"]
    yield table(
        ["LoCoMo, three conversations", "hub", *names],
        (
            [part, mode, *(found["locomo"][key][name] for name in names)]
            for mode, found in modes.items()
            for part, key in (
                (f"all {found['locomo']['questions']} questions", "all"),
                ("without category 5", "without category 5"),
            )
        ),
    )
    yield ""
    names = ["n", "hit@1", "hit@5", "hit@10", "MRR"]
    yield table(
        ["questions on coding sessions", "hub", *names],
        (
            [kind, mode, *(each[name] for name in names)]
            for mode, found in modes.items()
            for kind, each in found["coding"]["kinds"].items()
        ),
    )
    told = next(iter(modes.values()))["coding"]["abstained"]
    yield (
        f"\nThe hub says that nothing is relevant for {told.get('unanswerable', 0)} of"
        f" {told.get('unanswerable n', 0)} questions that nothing answers, and wrongly for"
        f" {told.get('answerable', 0)} of {told.get('answerable n', 0)} others.\n"
    )
    yield command(result)


SECTIONS: dict[str, Callable[[Result], Iterator[str]]] = {
    "search": search,
    "ingest": ingest,
    "start": start,
    "team": report_team.section,
    "log": report_log.section,
    "sync": report_sync.section,
    "recall": recall,
}


def goals(results: dict[str, Result]) -> Iterator[Sequence[object]]:
    """Yields figure, target, what was measured and whether it is reached."""
    if found := results.get("search"):
        targets, stage = found["figures"]["targets"], found["figures"]["stages"][-1]
        for name in ("p50_ms", "p95_ms"):
            value = stage["search"]["client"][name]
            title = f"search at {stage['chunks']:,} chunks, {name[:3]}"
            yield title, f"≤ {targets[name]:g} ms", f"{value} ms", value <= targets[name]
    if found := results.get("ingest"):
        figures, targets = found["figures"], found["figures"]["targets"]
        value = figures["with_model"]["clients_1"]["messages_per_s"]
        goal = targets["messages_per_s"]
        yield "messages stored a second", f"≥ {goal:,}", f"{value:,}", value >= goal
        share, goal = figures["indexing"]["share"], targets["indexing_share"]
        yield "indexing, of the bare embedder", f"≥ {goal:.0%}", f"{share:.0%}", share >= goal
    if found := results.get("start"):
        yield from start_goals(found["figures"])
    if found := results.get("team"):
        yield from report_team.goals(found["figures"])
    if found := results.get("log"):
        yield from report_log.goals(found["figures"])
    if found := results.get("sync"):
        yield from report_sync.goals(found["figures"])
    if found := results.get("recall"):
        targets = found["figures"]["targets"]
        for mode, figures in found["figures"]["modes"].items():
            value, goal = figures["locomo"]["all"]["R@10"], targets["locomo_turn_recall_at_10"]
            yield f"LoCoMo, turn-level R@10, {mode}", f"≥ {goal:g}", value, value >= goal
            value, goal = figures["coding"]["kinds"]["all"]["hit@10"], targets["coding_hit_at_10"]
            yield f"coding questions, hit@10, {mode}", f"≥ {goal:g}", value, value >= goal


def start_goals(figures: Result) -> Iterator[Sequence[object]]:
    """Yields the goals of starting, memory and commands."""
    targets = figures["targets"]
    value = max(figures["start"]["first_s"], figures["start"]["again"]["max_ms"] / 1e3)
    goal = targets["ready_s"]
    yield "hub ready, worst", f"≤ {goal:g} s", f"{value:.2f} s", value <= goal
    if "skipped" not in figures["imported"]:
        value, goal = figures["imported"]["rss_mb"], targets["rss_mb"]
        yield "RSS after two transcripts", f"≤ {goal} MB", f"{value} MB", value <= goal
    value, goal = figures["commands"]["memctx search"]["p50_ms"], targets["search_command_ms"]
    yield "`memctx search`, p50", f"≤ {goal:g} ms", f"{value} ms", value <= goal


def page(results: dict[str, Result]) -> str:
    """Returns the page."""
    parts = [INTRODUCTION, "## At a glance\n"]
    rows = [
        (name, target, measured, "yes" if reached else "**no**")
        for name, target, measured, reached in goals(results)
    ]
    parts += [table(["figure", "target", "measured", "reached"], rows), "", "## Machine\n"]
    facts = next(iter(results.values()))["machine"]
    parts += [table(["", ""], ([name.replace("_", " "), value] for name, value in facts.items()))]
    parts.append("")
    for name, section in SECTIONS.items():
        if name in results:
            parts += section(results[name])
    return "\n".join(parts).rstrip() + "\n"


def drawn(results: dict[str, Result]) -> dict[str, str]:
    """Returns the charts by path."""
    made: dict[str, Callable[[Theme, Result], Picture]] = {
        "search": charts.search_growth,
        "ingest": charts.storing,
        "team": report_team.chart,
    }
    names = {"search": "search", "ingest": "storing", "team": "team"}
    return {
        f"{CHARTS}/{names[key]}{theme.suffix}.svg": draw(theme, results[key]["figures"]).svg()
        for key, draw in made.items()
        if key in results
        for theme in (LIGHT, DARK)
    }


def render() -> dict[str, str]:
    """Returns every file that the results give, by path from the repository root."""
    results = {
        name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        for name in SECTIONS
        if (RESULTS / f"{name}.json").exists()
    }
    return {PAGE: page(results), **drawn(results)} if results else {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    stale = 0
    for path, text in render().items():
        file = ROOT / path
        if check:
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                stale += 1
                print(f"{path} is not what benchmarks/results gives", file=sys.stderr)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(path)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
