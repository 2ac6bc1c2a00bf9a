"""Makes the lists of packages that each extra installs, each package by version and hash.

Run as ``python -m tools.lock`` after a change of the dependencies in `pyproject.toml`, with the
names of lists for those alone; needs uv and a package index. The images install from `build`,
`agent` and `server`; `make sbom` and `make audit` from `audit`. A list that is out of date is
named by `tests/docker/test_requirements.py`.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "infrastructure/docker/requirements"
HEADER = "# Made by `python -m tools.lock`; do not edit.\n"
SELF = "memory-context"
BUILD, AUDIT = "build", "audit"
TOOLS = ("cyclonedx-bom>=7.5,<8", "pip-audit>=2.10,<3")


def names() -> list[str]:
    """Returns the names of all lists: ``build``, ``audit``, and every extra."""
    return [BUILD, AUDIT, *_pyproject()["project"]["optional-dependencies"]]


def wanted(name: str) -> list[str]:
    """Returns the requirements that a list stands for: one of `names`.

    An extra that names another of the project's own is followed.
    """
    project = _pyproject()
    if name == BUILD:
        return list(project["build-system"]["requires"])
    if name == AUDIT:
        return [*TOOLS]
    return sorted({*project["project"]["dependencies"], *_extra(project, name)})


def _extra(project: dict[str, Any], name: str) -> list[str]:
    found: list[str] = []
    for one in project["project"]["optional-dependencies"][name]:
        if one.startswith(f"{SELF}["):
            for named in one.partition("[")[2].rstrip("]").split(","):
                found += _extra(project, named)
        else:
            found.append(one)
    return found


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def main(arguments: Sequence[str] = ()) -> int:
    """Writes the lists that are named, else all; says what went wrong and returns 1."""
    uv = which("uv")
    if uv is None:
        sys.stderr.write("error: uv is needed (pip install uv)\n")
        return 1
    if unknown := set(arguments) - set(names()):
        sys.stderr.write(f"error: there is no list {', '.join(sorted(unknown))}\n")
        return 1
    for name in arguments or names():
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
    sys.exit(main(sys.argv[1:]))
