"""Makes the generated documents again, or checks that they are up to date.

Run as ``python -m tools.generate [--check]``. A change of the API, the schema, a setting or a
command then shows in review as a change of a document.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from context_api.http.app import openapi_document
from context_api.settings import Settings
from context_migration.runner import ddl
from memctx.cli import cli
from tools import containers, diagrams, reference

ROOT = Path(__file__).parents[1]
DIALECTS = ("sqlite", "postgresql")
BEGIN, END = "<!-- generated: {} -->", "<!-- end of generated: {} -->"
DIFF_LINES = 60


def _block(path: str, name: str, content: str) -> str:
    """Returns a document with the text between its two markers replaced."""
    text = (ROOT / path).read_text(encoding="utf-8")
    begin, end = BEGIN.format(name), END.format(name)
    before, marker, rest = text.partition(begin)
    _, end_marker, after = rest.partition(end)
    if not (marker and end_marker):
        raise SystemExit(f"error: {path} lacks the markers {begin} and {end}")
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def artefacts() -> dict[str, str]:
    """Returns the text of every generated document by its path below the root."""
    document = openapi_document()
    settings = reference.settings(Settings)
    commands = list(reference.commands(cli, "memctx"))
    return {
        **diagrams.render(),
        **{f"docs/schema/{dialect}.sql": ddl(dialect) for dialect in DIALECTS},
        "docs/openapi.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n",
        ".env.example": reference.environment_example(settings) + containers.environment_example(),
        "docs/settings.md": _block(
            "docs/settings.md", "settings", reference.settings_table(settings)
        ),
        "docs/cli.md": _block("docs/cli.md", "commands", reference.commands_list(commands)),
        "docs/rest.md": _block("docs/rest.md", "routes", reference.routes_table(document)),
    }


def differences(made: Mapping[str, str]) -> list[str]:
    """Returns a unified diff for each document on disk that is not what would be made."""
    found = []
    for path, text in made.items():
        file = ROOT / path
        old = file.read_text(encoding="utf-8") if file.exists() else ""
        if old != text:
            lines = difflib.unified_diff(
                old.splitlines(), text.splitlines(), path, f"{path} (made again)", lineterm=""
            )
            found.append("\n".join(list(lines)[:DIFF_LINES]))
    return found


def main() -> int:
    """Writes the documents, or with ``--check`` shows what differs and returns 1."""
    parser = argparse.ArgumentParser(description="Make the generated documents again.")
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    made = artefacts()
    if not check:
        for path, text in made.items():
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8")
        return 0
    stale = differences(made)
    for diff in stale:
        print(diff)
    if stale:
        print("error: generated documents are out of date; run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
