"""Measures recall of a running hub with a program and data that are not part of the repository.

``--bench`` is a script that asks a hub questions with known answers (``locomo FILE`` and
``golden FILE --project SLUG``) and writes JSON with ``--out``; ``--data`` holds LoCoMo
conversations, questions about coding sessions and the transcripts of those sessions. Where
either is absent, nothing is measured, and the reason is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness import (
    KEY,
    ROOT,
    Client,
    Hub,
    Skipped,
    benchmark,
    load,
    memctx,
    model_dir,
    parser,
    running_hub,
)

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


def ask(hub: Hub, bench: Path, out: Path, *arguments: str) -> dict[str, Any]:
    """Runs the script against the hub and returns the JSON it wrote."""
    command = [sys.executable, str(bench), *arguments]
    command += ["--base", hub.url, "--key", KEY, "--out", str(out)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=hub.folder)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def import_transcripts(hub: Hub, transcripts: Path) -> None:
    """Imports into one project and waits until everything is indexed."""
    command = [*memctx(), "import", str(transcripts), "--project", SLUG]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=hub.environ, cwd=hub.folder)
    client = Client(hub)
    for project in client.call("GET", "/projects")["items"]:
        client.wait_indexed(project["id"])
    client.close()


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs both data sets, each on an empty hub."""
    model_dir()
    bench: Path = checked(arguments.bench)
    data: Path = checked(arguments.data)
    found: dict[str, Any] = {"targets": TARGETS}
    with running_hub(folder / "coding") as hub:
        import_transcripts(hub, checked(data / "transcripts"))
        questions = str(checked(data / "coding-golden-dev.json"))
        asked = ("golden", questions, "--project", SLUG)
        found["coding"] = ask(hub, bench, folder / "coding.json", *asked) | {"load": load()}
    with running_hub(folder / "locomo") as hub:
        conversations = str(checked(data / "locomo-dev.json"))
        asked_of = ("locomo", conversations, "--tag", "bench")
        found["locomo"] = ask(hub, bench, folder / "locomo.json", *asked_of) | {"load": load()}
    return found


def main() -> None:
    made = parser(__doc__, "recall")
    made.add_argument("--bench", type=Path, default=OUTSIDE / "bench" / "recall_bench.py")
    made.add_argument("--data", type=Path, default=OUTSIDE / "data", metavar="DIR")
    benchmark(made.parse_args(), "recall", measure)


if __name__ == "__main__":
    main()
