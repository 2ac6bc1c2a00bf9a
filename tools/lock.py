"""Makes the lists of packages that the images install, each by version and hash.

Run as ``python -m tools.lock`` after a change of the dependencies in `pyproject.toml`; needs uv
and a package index. `tests/docker/test_requirements.py` says when a list is out of date.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from shutil import which
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "infrastructure/docker/requirements"
HEADER = "# Made by `python -m tools.lock`; do not edit.\n"
SELF = "memory-context"


def wanted(name: str) -> list[str]:
    """Returns the requirements that a list stands for: ``build`` or the name of an extra.

    An extra that names another of the project's own is followed.
    """
    project = _pyproject()
    if name == "build":
        return list(project["build-system"]["requires"])
    return sorted({*project["project"]["dependencies"], *_extra(project, name)})


def _extra(project: dict[str, Any], name: str) -> list[str]:
    found: list[str] = []
    for one in project["project"]["optional-dependencies"][name]:
        if one.startswith(f"{SELF}["):
            found += _extra(project, one.partition("[")[2].rstrip("]"))
        else:
            found.append(one)
    return found


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def main() -> int:
    """Writes every list, or says that uv is missing and returns 1."""
    uv = which("uv")
    if uv is None:
        sys.stderr.write("error: uv is needed (pip install uv)\n")
        return 1
    for name in ("build", "agent", "server"):
        command = [uv, "pip", "compile", "-", "--generate-hashes", "--no-header", "--no-annotate"]
        command += ["--universal", "--python-version", "3.11", "--quiet"]
        made = subprocess.run(  # noqa: S603 - the arguments are written above
            command, input="\n".join(wanted(name)), capture_output=True, text=True, check=False
        )
        if made.returncode:
            sys.stderr.write(made.stderr)
            return 1
        (FOLDER / f"{name}.txt").write_text(HEADER + made.stdout, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
