"""Measures recall of a running hub with a program and data that are not part of the repository.

``--bench`` is a script that asks a hub questions with known answers (``locomo FILE`` and
``golden FILE --project SLUG``) and writes JSON with ``--out``; ``--data`` holds LoCoMo
conversations, questions about coding sessions and the transcripts of those sessions. Where
either is absent, nothing is measured, and the reason is printed.

It is measured in both modes: a hub in one process, and an API and a worker over PostgreSQL,
Chroma and Redis. Both must answer alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from harness import (
    API,
    KEY,
    MODELS,
    ROOT,
    Skipped,
    benchmark,
    load,
    memctx,
    model_dir,
    parser,
    running_hub,
)

sys.path.insert(0, str(ROOT))

from tests.support.stack import running_servers, running_stack

OUTSIDE = ROOT.parent / "shared"
SLUG = "bench/coding"
TARGETS = {"locomo_turn_recall_at_10": 70.0, "coding_hit_at_10": 62.0}


def checked(path: Path) -> Path:
    """Returns a path that exists.

    Raises:
        Skipped: it does not.
    """
    if not path.exists():
        raise Skipped(f"recall is not measured: there is no {path}")
    return path


@dataclass(frozen=True)
class Place:
    """A hub that is asked: where it is, its key, and the environment of commands for it."""

    url: str
    key: str
    folder: Path
    environ: dict[str, str]


@contextmanager
def embedded(folder: Path) -> Iterator[Place]:
    """Yields an empty hub in one process."""
    with running_hub(folder) as hub:
        yield Place(hub.url, KEY, hub.folder, hub.environ)


@contextmanager
def server(folder: Path) -> Iterator[Place]:
    """Yields an empty hub of two processes over servers of its own."""
    settings = {"embedding_provider": "onnx", "model_dir": str(MODELS), "log_level": "warning"}
    with running_servers() as servers, running_stack(folder, servers, **settings) as stack:
        yield Place(stack.api.url, stack.api.key, stack.api.folder, stack.api.environ)


MODES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "embedded": embedded,
    "server": server,
}


def ask(hub: Place, bench: Path, out: Path, *arguments: str) -> dict[str, Any]:
    """Runs the script against the hub and returns the JSON it wrote."""
    command = [sys.executable, str(bench), *arguments]
    command += ["--base", hub.url, "--key", hub.key, "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=hub.folder)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def import_transcripts(hub: Place, transcripts: Path) -> None:
    """Imports into one project and waits until everything is indexed."""
    command = [*memctx(), "import", str(transcripts), "--project", SLUG]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=hub.environ, cwd=hub.folder)
    headers = {"Authorization": f"Bearer {hub.key}"}
    with httpx.Client(base_url=hub.url + API, headers=headers, timeout=60) as client:
        while any(p["indexed_seq"] < p["head"] for p in client.get("/projects").json()["items"]):
            time.sleep(0.1)


def measure_mode(mode: str, folder: Path, bench: Path, data: Path) -> dict[str, dict[str, Any]]:
    """Runs both data sets in one mode, each on an empty hub."""
    found = {}
    with MODES[mode](folder / "coding") as hub:
        import_transcripts(hub, checked(data / "transcripts"))
        questions = str(checked(data / "coding-golden-dev.json"))
        asked = ("golden", questions, "--project", SLUG)
        found["coding"] = ask(hub, bench, folder / "coding.json", *asked) | {"load": load()}
    with MODES[mode](folder / "locomo") as hub:
        conversations = str(checked(data / "locomo-dev.json"))
        asked_of = ("locomo", conversations, "--tag", "bench")
        found["locomo"] = ask(hub, bench, folder / "locomo.json", *asked_of) | {"load": load()}
    return found


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs both data sets in each mode."""
    model_dir()
    bench, data = checked(arguments.bench), checked(arguments.data)
    found = {mode: measure_mode(mode, folder / mode, bench, data) for mode in arguments.modes}
    return {"targets": TARGETS, "modes": found}


def main() -> None:
    made = parser(__doc__, "recall")
    made.add_argument("--bench", type=Path, default=OUTSIDE / "bench" / "recall_bench.py")
    made.add_argument("--data", type=Path, default=OUTSIDE / "data", metavar="DIR")
    made.add_argument("--modes", nargs="+", choices=[*MODES], default=[*MODES])
    benchmark(made.parse_args(), "recall", measure)


if __name__ == "__main__":
    main()
