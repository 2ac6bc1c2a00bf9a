"""Draws the charts of the measured figures as SVG, in a light and a dark variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tools.diagrams import Picture, Theme

Point = tuple[float, float]


@dataclass(frozen=True)
class Axes:
    """A plotting area in pixels, and the largest values at its right and upper edge."""

    left: float
    top: float
    width: float
    height: float
    x_most: float
    y_most: float

    def place(self, x: float, y: float) -> Point:
        """Returns where a point lies."""
        return (
            self.left + self.width * x / self.x_most,
            self.top + self.height * (1 - min(y, self.y_most) / self.y_most),
        )


def line(
    picture: Picture, points: Sequence[Point], colour: str, *, width: float = 1.0, dash: str = ""
) -> None:
    """Draws a line through points in pixels."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    extra = f' stroke-dasharray="{dash}"' if dash else ""
    picture.parts.append(
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}"{extra}/>'
    )


def curve(picture: Picture, axes: Axes, points: Sequence[Point], colour: str) -> None:
    """Draws measured points, joined by a line."""
    places = [axes.place(x, y) for x, y in points]
    line(picture, places, colour, width=2.5)
    for x, y in places:
        picture.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')


def apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Returns heights near the wanted ones, in their order, at least ``gap`` apart."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    heights = list(wanted)
    for before, after in pairwise(order):
        heights[after] = max(heights[after], heights[before] + gap)
    return heights


def step_of(most: float) -> float:
    """Returns a round distance between grid lines that gives about five of them."""
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if most / step <= 6)


def search_growth(theme: Theme, figures: dict[str, Any]) -> Picture:
    """Time of a search against the size of its project, with the floors of the same run."""
    stages, targets = figures["stages"], figures["targets"]
    floor = [
        (s["chunks"], sum(s["floors"][part]["p50_ms"] for part in s["floors"])) for s in stages
    ]
    curves = [
        ("p95", theme.view, [(s["chunks"], s["search"]["client"]["p95_ms"]) for s in stages]),
        ("p50", theme.accent, [(s["chunks"], s["search"]["client"]["p50_ms"]) for s in stages]),
        ("floor", theme.muted, floor),
    ]
    most = max(targets["p95_ms"], *(y for _, _, points in curves for _, y in points)) * 1.08
    picture = Picture(
        "POST /search over HTTP: milliseconds by size of the project", 760, 380, theme
    )
    axes = Axes(64, 64, 540, 256, max(s["chunks"] for s in stages) * 1.04, most)
    picture.text(24, 34, "POST /search over HTTP, milliseconds", size=15, font_weight="600")
    step = step_of(most)
    for value in [step * n for n in range(int(most / step) + 1)]:
        ends = [axes.place(0, value), axes.place(axes.x_most, value)]
        line(picture, ends, theme.line, width=0.4)
        x, y = axes.place(0, value)
        picture.text(x - 10, y + 4, f"{value:g}", size=12, colour=theme.muted, text_anchor="end")
    for stage in stages:
        x, y = axes.place(stage["chunks"], 0)
        label = f"{stage['chunks']:,}"
        picture.text(x, y + 22, label, size=12, colour=theme.muted, text_anchor="middle")
    picture.text(
        334, 366, "chunks in the project", size=12, colour=theme.muted, text_anchor="middle"
    )
    labels = [(points[-1][1], f"{name} {points[-1][1]:.1f}", c) for name, c, points in curves]
    for name in ("p50", "p95"):
        goal = targets[f"{name}_ms"]
        ends = [axes.place(0, goal), axes.place(axes.x_most, goal)]
        line(picture, ends, theme.line, width=1.5, dash="5 4")
        labels.append((goal, f"target {name} {goal:g}", theme.muted))
    for _, colour, points in curves:
        curve(picture, axes, points, colour)
    heights = apart([axes.place(0, value)[1] for value, _, _ in labels], 17)
    for (_, words, colour), height in zip(labels, heights, strict=True):
        picture.text(616, height + 4, words, colour=colour, font_weight="600")
    return picture


def bars(
    picture: Picture, top: float, rows: Sequence[tuple[str, float]], most: float, target: float
) -> None:
    """Draws horizontal bars from ``top`` on, with a dashed line at the target."""
    left, width, theme = 232.0, 420.0, picture.theme
    for number, (label, value) in enumerate(rows):
        y = top + 34 * number
        picture.text(left - 12, y + 16, label, size=13, text_anchor="end")
        reached = value >= target
        picture.parts.append(
            f'<rect x="{left:g}" y="{y:g}" width="{width * value / most:.1f}" height="22" rx="4" '
            f'fill="{theme.accent if reached else theme.view}"/>'
        )
        x = left + width * value / most + 10
        picture.text(x, y + 16, f"{value:,.0f}", size=13, font_weight="600")
    x = left + width * target / most
    line(
        picture,
        [(x, top - 6), (x, top + 34 * len(rows) - 6)],
        theme.text,
        width=1.5,
        dash="5 4",
    )


def storing(theme: Theme, figures: dict[str, Any]) -> Picture:
    """Messages acknowledged a second, and chunks indexed a second beside the bare embedder."""
    picture = Picture("Storing and indexing", 760, 372, theme)
    targets, indexing = figures["targets"], figures["indexing"]
    picture.text(
        24, 34, "Messages acknowledged a second, batches of 100", size=15, font_weight="600"
    )
    rows = [
        (
            f"{words}, {clients} client{'s' * (clients > 1)}",
            found[f"clients_{clients}"]["messages_per_s"],
        )
        for words, found in (
            ("words only", figures["words_only"]),
            ("with the model", figures["with_model"]),
        )
        for clients in (1, 4)
    ]
    goal = float(targets["messages_per_s"])
    bars(picture, 60, rows, max(goal, *(value for _, value in rows)) * 1.05, goal)
    x = f"dashed: the target, {goal:,.0f}"
    picture.text(232, 212, x, size=12, colour=theme.muted)
    picture.text(24, 256, "Chunks indexed a second", size=15, font_weight="600")
    bare = sum(indexing["bare_texts_per_s"]) / len(indexing["bare_texts_per_s"])
    wanted = targets["indexing_share"] * bare
    bars(
        picture,
        282,
        [("the bare embedder", bare), ("the hub", indexing["chunks_per_s"])],
        max(bare, indexing["chunks_per_s"]) * 1.2,
        wanted,
    )
    share = f"{targets['indexing_share']:.0%}"
    note = f"dashed: the target, {share} of the bare embedder"
    picture.text(232, 362, note, size=12, colour=theme.muted)
    return picture
