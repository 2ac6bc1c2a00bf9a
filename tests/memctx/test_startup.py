"""`memctx` starts fast: what it loads is counted, because seconds depend on the machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "aiosqlite", "alembic", "anyio", "chromadb", "context_api", "context_migration", "fastapi",
    "httpcore", "httpx", "numpy", "onnxruntime", "platformdirs", "pydantic", "redis", "rich",
    "sentence_transformers", "sqlalchemy", "starlette", "tokenizers", "torch", "uvicorn",
}  # fmt: skip

SCRIPT = """
import sys
from memctx.__main__ import main
try:
    code = main(sys.argv[1:])
except SystemExit as end:
    code = end.code
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"MEMCTX_URL": "http://127.0.0.1:1", "MEMCTX_API_KEY": "k", "PATH": "/usr/bin"},
        timeout=60,
    )
    return set(run.stderr.strip().splitlines()[-1].split())


def test_importing_the_package_loads_nothing() -> None:
    run = subprocess.run(
        [sys.executable, "-c",
         "import sys; had = set(sys.modules); import memctx; print(*set(sys.modules) - had)"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert run.stdout.split() == ["memctx"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("search", "--help"),
        ("search", "why", "--project", "acme/api"),
        ("context", "--project", "acme/api"),
        ("sessions", "list"),
        ("patterns", "show", "x"),
        ("--json", "search", "why"),
    ],
)
def test_commands_that_ask_the_hub_load_no_library_but_the_parser(
    arguments: tuple[str, ...],
) -> None:
    assert loaded(*arguments) & HEAVY == set()


def test_the_help_imports_no_command() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "memctx", "--help"],
        capture_output=True, text=True, check=True, timeout=60, cwd=Path(__file__).parent,
    )  # fmt: skip
    assert "memctx.cli" in run.stderr
    assert "memctx.commands" not in run.stderr
