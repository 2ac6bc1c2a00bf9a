"""The import contracts hold on the tree as it is, and each of them bites.

A contract that cannot fail is decoration, so each one is run on a copy of the tree in which
a module that breaks it has been planted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "memory_core": "core/src",
    "context_api": "context-api/src",
    "sync_agent": "sync-agent/src",
    "memctx": "cli/src",
    "context_migration": "migration/src",
}

# contract id, module that breaks it, its import, the module imported when it has to be ours
VIOLATIONS = [
    ("packages", "memory_core.planted", "import sync_agent", None),
    ("packages", "sync_agent.planted", "from context_api import planted_target", "context_api"),
    ("packages", "context_api.domain.planted", "import sync_agent", None),
    ("packages", "context_api.domain.planted", "import context_migration", None),
    ("embedded", "memctx.planted", "import context_api", None),
    ("embedded", "memctx.planted", "def start():\n    import context_migration", None),
    ("light-agent", "sync_agent.planted", "import sqlalchemy", None),
    ("light-agent", "sync_agent.planted", "def late():\n    from chromadb.api import Api", None),
    ("light-agent", "memory_core.planted", "import fastapi", None),
    ("hub", "context_api.domain.planted", "import context_api.http.x", "context_api.http"),
    (
        "hub",
        "context_api.application.planted",
        "import context_api.adapters.x",
        "context_api.adapters",
    ),
    ("hub", "context_api.adapters.planted", "import context_api.http.x", "context_api.http"),
    ("hub", "context_api.http.planted", "import context_api.adapters.x", "context_api.adapters"),
    ("hub", "context_api.worker.planted", "import context_api.adapters.x", "context_api.adapters"),
    ("hub", "context_api.http.planted", "import context_api.bootstrap.x", "context_api.bootstrap"),
    ("revisions", "context_migration.versions.0001_planted", "import memory_core", None),
    ("core-third-party", "memory_core.planted", "import httpx", None),
    ("core-third-party", "memory_core.planted", "def late():\n    import onnxruntime", None),
    ("embedding-third-party", "memory_core.embedding.planted", "import torch", None),
    ("light-third-party", "memctx.planted", "import anyio", None),
    ("light-third-party", "sync_agent.planted", "import orjson", None),
    ("rules-third-party", "context_api.application.planted", "import structlog", None),
    ("sql-home", "context_api.http.planted", "from sqlalchemy.orm import Session", None),
    ("psycopg-home", "context_api.adapters.sql.x", "import psycopg", None),
    ("web-home", "context_api.application.planted", "from fastapi import Depends", None),
    ("store-home", "context_api.worker.planted", "import chromadb", None),
    ("model-home", "memory_core.planted", "import tokenizers", None),
]


def copy_tree(target: Path) -> Path:
    for folder in ("tools", *PACKAGES.values()):
        shutil.copytree(
            ROOT / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", target)
    return target


def plant(root: Path, module: str, text: str) -> None:
    package, *rest = module.split(".")
    folder = root / PACKAGES[package] / package
    for name in rest[:-1]:
        folder /= name
        if folder.with_suffix(".py").exists():
            folder.with_suffix(".py").unlink()
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    (folder / f"{rest[-1]}.py").write_text(text + "\n")


def lint_imports(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs import-linter on the copy, which must not see the installed packages."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    paths = os.pathsep.join(str(root / folder) for folder in PACKAGES.values())
    return subprocess.run(
        [*command, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_contracts_hold(tmp_path: Path) -> None:
    run = lint_imports(copy_tree(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@pytest.mark.parametrize(("contract", "module", "text", "imported"), VIOLATIONS)
def test_contract_bites(
    tmp_path: Path, contract: str, module: str, text: str, imported: str | None
) -> None:
    root = copy_tree(tmp_path)
    if imported:
        plant(root, f"{imported}.planted_target", "")
        plant(root, f"{imported}.x", "")
    plant(root, module, text)
    run = lint_imports(root, "--contract", contract)
    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{module} -> " in run.stdout


def test_hub_has_no_module_outside_its_layers(tmp_path: Path) -> None:
    root = copy_tree(tmp_path)
    plant(root, "context_api.helpers", "")
    run = lint_imports(root, "--contract", "hub")
    assert run.returncode == 1, run.stdout + run.stderr
    assert "context_api.helpers" in run.stdout


def test_every_contract_is_shown_to_bite() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {entry["id"] for entry in settings["tool"]["importlinter"]["contracts"]}
    assert contracts == {contract for contract, *_ in VIOLATIONS}


def test_every_source_folder_is_a_package() -> None:
    """A folder without ``__init__.py`` would hide its modules from the contracts."""
    hidden = {
        module.parent
        for name, folder in PACKAGES.items()
        for module in (ROOT / folder / name).rglob("*.py")
        if not (module.parent / "__init__.py").exists()
    }
    assert hidden == set()
