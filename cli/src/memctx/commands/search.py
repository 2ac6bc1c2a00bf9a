"""``memctx search``."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING, cast

import click

from memctx.cli import Command
from memctx.output import Output
from memctx.run import Run
from memctx.terminal import one_line
from memctx.times import short_date, time_option

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc

KINDS = ("session", "message", "checkpoint", "pattern")
INDENT = "      "
TITLE_WIDTH = 60


@click.command(cls=Command)
@click.argument("query", nargs=-1, required=True)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="At most this many hits.",
)
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only this kind.")
@click.option("--tag", "tags", multiple=True, help="Only what has this tag.")
@click.option("--all-tags", is_flag=True, help="Only what has every --tag, not any.")
@click.option(
    "--since", type=time_option, metavar="TIME", help="Not before: a day, a time, or 7d, 12h."
)
@click.option("--until", type=time_option, metavar="TIME", help="Not after.")
@click.option("--as-of", type=click.IntRange(min=0), help="As of this position of the log.")
@click.option("--min-score", type=float, help="Only hits with at least this score.")
@click.option("--explain", is_flag=True, help="Show what each score is made of.")
@click.pass_obj
def search(
    run: Run,
    *,
    query: tuple[str, ...],
    limit: int,
    kinds: tuple[str, ...],
    tags: tuple[str, ...],
    all_tags: bool,
    since: str | None,
    until: str | None,
    as_of: int | None,
    min_score: float | None,
    explain: bool,
) -> None:
    """Search everything that is remembered, in all projects or in those of --project."""
    text = " ".join(query)
    options: dict[str, JsonValue] = {
        "limit": limit,
        "kinds": [*kinds] or None,
        "tags": [*tags] or None,
        "tags_match": "all" if all_tags else None,
        "since": since,
        "until": until,
        "as_of": as_of,
        "min_score": min_score,
        "explain": explain or None,
        "projects": [*run.projects] or None,
    }
    given: dict[str, JsonValue] = {n: value for n, value in options.items() if value is not None}
    told = run.of_agent({"do": "search", "query": text, "options": given})
    answer = cast("doc.SearchAnswer | None", told)
    if answer is None:
        answer = run.ask(lambda client: client.search(text, **given))
    warn_degraded(run.out, answer["degraded"], answer.get("mend"))
    run.out.finish(
        cast("JsonValue", answer),
        count=len(answer["hits"]),
        human=lambda: _print_hits(run.out, answer, text),
    )


def warn_degraded(out: Output, degraded: list[str], mend: str | None) -> None:
    """Says that the answer was made without a part of the hub, and what mends it."""
    if degraded:
        out.warn(f"answered without {', '.join(degraded)}" + (f"; {mend}" if mend else ""))


def _print_hits(out: Output, answer: doc.SearchAnswer, query: str) -> None:
    words = _telling_words(query)
    for hit in answer["hits"]:
        _print_hit(out, hit, words)
    behind = answer["head"] - answer["indexed_seq"]
    if not answer["hits"]:
        out.note("nothing relevant is remembered")
    if behind > 0:
        out.note(f"{behind} newer entries are still being indexed")


def _telling_words(query: str) -> list[str]:
    """Returns the words of a query that are worth marking; all if there are only small ones."""
    from memory_core.text.stopwords import STOP_WORDS  # noqa: PLC0415 - not with --json

    words = re.findall(r"\w+", query)
    return [word for word in words if word.lower() not in STOP_WORDS] or words


def _print_hit(out: Output, hit: doc.Hit, words: list[str]) -> None:
    style = out.style
    head = [
        style(f"{hit['score']:.2f}", "green"),
        style(f"{hit['kind']:<10}", "cyan"),
        short_date(hit["created_at"]),
        style(one_line(hit["project"]), "bold"),
        style(_title(hit), "dim"),
    ]
    out.line("  ".join(part for part in head if part))
    for line in _snippet(hit["snippet"], out):
        out.line(INDENT + style.highlight(line, words))
    who = hit["role"] or ""
    if who != "tool" and hit["author"]:
        who = f"{who} {hit['author']}".strip()
    session = hit["session_id"]
    origin = [who, f"session {session}" if session else f"{hit['kind']} {hit['id']}"]
    out.line(INDENT + style(one_line(" · ".join(part for part in origin if part)), "dim"))
    for name, value in hit.get("explain", {}).items():
        shown = f"{value:.4f}" if isinstance(value, float) else value
        out.line(INDENT + style(one_line(f"{name} = {shown}"), "dim"))


def _title(hit: doc.Hit) -> str:
    """Returns a title to stand in the first line, unless the snippet says it anyway."""
    title = one_line(hit["title"])
    if one_line(hit["snippet"]).startswith(title[:TITLE_WIDTH]):
        return ""
    return title if len(title) <= TITLE_WIDTH else title[: TITLE_WIDTH - 1] + "…"


def _snippet(text: str, out: Output) -> list[str]:
    """Returns a snippet as it fits: three lines on a terminal, one anywhere else."""
    if not out.on_terminal:
        return [one_line(text)]
    width = max(40, min(shutil.get_terminal_size().columns, 120) - len(INDENT))
    return textwrap.wrap(one_line(text), width, max_lines=3, placeholder=" …")
