"""The report's section on a team's hub, with its goals and its chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.charts import line
from benchmarks.pages import Result, command, picture, table
from tools.diagrams import Picture, Theme

TEAM = """\
An API process and a worker over PostgreSQL, Chroma and Redis, all on the cores of this machine. One
tenant has two projects with {chunks:,} chunks together. Texts are embedded by hashing, because the
real model would take many minutes for so many; what it takes for one question is given beside, to
be added to a search that is new. *Floor* is what no answer can do without, measured in the same
run over one kept connection each: a row of PostgreSQL by its key, a value of 4 kB from Redis.
"""
MANY = """\
{clients} clients ask at once for {seconds} s, spread over the API processes. *Searching*: four of
five requests search for a question drawn from 2,000, the fifth stores a session of 20 messages.
*Agents*: two of five ask a question (three searches to one context), two read a session, a
checkpoint or a list of sessions by key, the fifth stores a session. *Agents at work*: the same, but
each does other things for five seconds, on the average, before it asks again; the other clients
never stop. Its requests a second are counted over the last pauses too.
"""
KINDS = ("search", "context", "read", "write")
PARTS = {
    "api": "API", "worker": "worker", "postgres": "PostgreSQL", "chroma": "Chroma",
    "redis": "Redis",
}  # fmt: skip
LEFT, WIDTH, STEP = 292.0, 360.0, 30.0


@dataclass(frozen=True)
class Bar:
    """A measured value, and the target it has where there is one."""

    label: str
    value: float
    words: str
    target: float | None = None

    @property
    def reached(self) -> bool:
        """Says whether the target is kept; without one there is nothing to miss."""
        return self.target is None or self.value <= self.target


def section(result: Result) -> Iterator[str]:
    """Yields the section's lines."""
    figures = result["figures"]
    yield "## A team's hub\n"
    yield TEAM.format(chunks=figures["filled"]["chunks"])
    yield picture("team", "Requests a second of 1, 2 and 4 API processes, and times of one client")
    yield table(
        ["one client at a time", "p50 ms", "p95 ms", "target p50", "target p95"],
        (
            [name, spread["p50_ms"], spread["p95_ms"], *targets]
            for name, spread, *targets in _alone(figures)
        ),
    )
    loads = figures["many"]
    first = next(iter(loads.values()))[0]
    yield "\n" + MANY.format(clients=first["clients"], seconds=f"{figures['seconds']:g}")
    for name, runs in loads.items():
        kinds = [kind for kind in KINDS if kind in runs[0]]
        heads = [f"{kind} p50 / p95" for kind in kinds]
        yield table(
            [f"{name}: API processes", "requests/s", "p50 ms", "p95 ms", *heads, "failures"],
            ([run["processes"], *_run(run, kinds)] for run in runs),
        )
        yield ""
        yield from _costs(name, runs)
    filled = figures["filled"]
    yield table(
        ["the hub", ""],
        [
            ["messages stored a second while filling", f"{filled['stored_per_s']:,}"],
            ["chunks stored and indexed a second", f"{filled['indexed_per_s']:,}"],
            ["RSS of the API process", f"{figures['api_rss_mb']} MB"],
            *([_at_rest(run), _shares(run)] for run in figures.get("idle", ())),
        ],
    )
    yield "\n" + command(result)


def _costs(name: str, runs: Sequence[Result]) -> Iterator[str]:
    """Yields which share of a core each part took under a load, where that was measured."""
    found = [(run["processes"], run["shares"]) for run in runs if "shares" in run]
    if found:
        heads = [f"{name}: API processes", *PARTS.values(), "all, of a core"]
        rows = (
            [count, *(f"{shares[part]:.0%}" for part in (*PARTS, "all"))] for count, shares in found
        )
        yield table(heads, rows)
        yield ""


def _at_rest(run: Result) -> str:
    processes = run["processes"]
    return f"processor at rest, {processes} API process{'es' if processes > 1 else ''}, one worker"


def _shares(run: Result) -> str:
    shown = ", ".join(f"{PARTS[name]} {run[name]:.2%}" for name in PARTS)
    return f"{run['all']:.1%} of a core: {shown}"


def _alone(figures: Result) -> Iterator[Sequence[Any]]:
    targets = figures["targets"]
    fresh = (f"≤ {targets['search_p50_ms']}", f"≤ {targets['search_p95_ms']}")
    cached = (f"≤ {targets['cached_p50_ms']}", "")
    for key, name in (("all_projects", "all projects"), ("one_project", "one project")):
        found = figures["search"][key]
        yield f"search of {name}, a new question", found["fresh"], *fresh
        yield f"search of {name}, the same again", found["cached"], *cached
    yield "a session of 20 messages stored", figures["write"], f"≤ {targets['write_p50_ms']}", ""
    yield "the model, one question", figures["embedding"], "", ""
    yield "floor: a row by its key", figures["floors"]["select_by_key"], "", ""
    yield "floor: a value from Redis", figures["floors"]["redis_get"], "", ""


def _run(run: Result, kinds: Sequence[str]) -> list[object]:
    of_kinds = [f"{run[kind]['p50_ms']} / {run[kind]['p95_ms']}" for kind in kinds]
    everything = run["all"]
    per_s = f"{run['requests_per_s']:,}"
    return [per_s, everything["p50_ms"], everything["p95_ms"], *of_kinds, run["failures"]]


def goals(figures: Result) -> Iterator[Sequence[object]]:
    """Yields figure, target, what was measured and whether it is reached."""
    targets, found = figures["targets"], figures["search"]["all_projects"]
    size = f"{figures['filled']['chunks']:,}"
    timed = [
        (f"team's hub, search at {size} chunks, p50", found["fresh"]["p50_ms"], "search_p50_ms"),
        (f"team's hub, search at {size} chunks, p95", found["fresh"]["p95_ms"], "search_p95_ms"),
        ("team's hub, an answer that is kept, p50", found["cached"]["p50_ms"], "cached_p50_ms"),
        ("team's hub, a session of 20 messages, p50", figures["write"]["p50_ms"], "write_p50_ms"),
    ]
    for title, value, name in timed:
        yield title, f"≤ {targets[name]} ms", f"{value} ms", value <= targets[name]
    goal = targets["many_p95_ms"]
    for name, runs in figures["many"].items():
        best = min(runs, key=lambda run: run["all"]["p95_ms"])
        value, failures = best["all"]["p95_ms"], best["failures"]
        title = f"{best['clients']} clients, {name}, {best['processes']} API processes, p95"
        shown = f"{value} ms, {failures} failures"
        yield title, f"< {goal} ms, none", shown, value < goal and not failures
    value, goal = figures["api_rss_mb"], targets["api_rss_mb"]
    yield "team's hub, RSS of the API process", f"≤ {goal} MB", f"{value} MB", value <= goal
    for run in figures.get("idle", ())[:1]:
        value, goal = run["all"], targets["idle_cpu_share"]
        yield "team's hub at rest", f"≤ {goal:.0%} of a core", f"{value:.1%}", value <= goal


def chart(theme: Theme, figures: Result) -> Picture:
    """Requests a second by API processes, and times of one client beside targets and floors."""
    many = [
        Bar(
            f"{run['processes']} API process{'es' * (run['processes'] > 1)}, {name}",
            run["requests_per_s"],
            f"{run['requests_per_s']:,.0f}, p95 {run['all']['p95_ms']:,.0f} ms",
        )
        for name, runs in figures["many"].items()
        for run in runs
    ]
    alone = list(_times(figures))
    second = 92 + STEP * len(many)
    height = int(second + 56 + STEP * len(alone))
    made = Picture("A team's hub: requests a second, and milliseconds", 760, height, theme)
    clients = next(iter(figures["many"].values()))[0]["clients"]
    made.text(24, 34, f"Requests a second, {clients} clients", size=15, font_weight="600")
    _draw(made, 52, many, max(bar.value for bar in many) * 1.6)
    title = f"One client, {figures['filled']['chunks']:,} chunks: milliseconds"
    made.text(24, second, title, size=15, font_weight="600")
    most = max(max(bar.value, bar.target or 0.0) for bar in alone)
    _draw(made, second + 18, alone, most * 1.15)
    words = "dashed: the target of a figure"
    made.text(LEFT, height - 14, words, size=12, colour=theme.muted)
    return made


def _times(figures: Result) -> Iterator[Bar]:
    targets, found = figures["targets"], figures["search"]["all_projects"]
    timed = [
        ("search, new question, p50", found["fresh"]["p50_ms"], targets["search_p50_ms"]),
        ("search, new question, p95", found["fresh"]["p95_ms"], targets["search_p95_ms"]),
        ("search, the same again, p50", found["cached"]["p50_ms"], targets["cached_p50_ms"]),
        ("search, the same again, p95", found["cached"]["p95_ms"], None),
        ("session of 20 messages, p50", figures["write"]["p50_ms"], targets["write_p50_ms"]),
        ("floor: a row by its key, p50", figures["floors"]["select_by_key"]["p50_ms"], None),
        ("floor: a value from Redis, p50", figures["floors"]["redis_get"]["p50_ms"], None),
    ]
    for label, value, target in timed:
        yield Bar(label, value, f"{value:.2f}" if value < 10 else f"{value:.1f}", target)


def _draw(made: Picture, top: float, bars: Sequence[Bar], most: float) -> None:
    theme = made.theme
    for number, bar in enumerate(bars):
        y, length = top + STEP * number, max(WIDTH * bar.value / most, 1.5)
        made.text(LEFT - 12, y + 15, bar.label, size=13, text_anchor="end")
        floor = bar.label.startswith("floor")
        colour = theme.muted if floor else theme.accent if bar.reached else theme.view
        made.parts.append(
            f'<rect x="{LEFT:g}" y="{y:g}" width="{length:.1f}" height="20" rx="4" '
            f'fill="{colour}"/>'
        )
        end = LEFT + length
        if bar.target is not None:
            x = LEFT + WIDTH * bar.target / most
            line(made, [(x, y - 3), (x, y + 23)], theme.text, width=1.5, dash="5 4")
            end = max(end, x) if x - end < 50 else end
        made.text(end + 10, y + 15, bar.words, size=13, font_weight="600")
