"""Writes what the images install as CycloneDX documents, and the list of licences from them.

Run as ``make sbom``; needs a package index. `dist/sbom/server.cdx.json` is for the images `api` and
`worker`, `dist/sbom/agent.cdx.json` for `agent`. What the base image brings is not in them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tools import lock
from tools.environment import CannotInstall, installed

IMAGES = ("server", "agent")
LISTED = lock.ROOT / "docs/licences.md"
HEAD = """# Licences

What the images install besides memory-context itself, with the licences that the packages
declare. Made by `make sbom` from the CycloneDX documents that it writes to `dist/sbom/`; do not
edit. The packages of the base image and the embedding model are not in the list.

| package | licence | in the images |
|---|---|---|
"""
UNDECLARED = "not declared"


def licence(component: Mapping[str, Any]) -> str:
    """Returns the licences that a component declares, an SPDX expression before a sentence."""
    given: Iterable[Mapping[str, Any]] = component.get("licenses", ())
    exact = [
        one.get("expression") or one["license"]["id"]
        for one in given
        if "expression" in one or "id" in one["license"]
    ]
    named = [one["license"]["name"].rpartition(" :: ")[2] for one in given if _is_named(one)]
    return " and ".join(dict.fromkeys(exact or named)) or UNDECLARED


def _is_named(one: Mapping[str, Any]) -> bool:
    return "name" in one.get("license", {}) and "\n" not in one["license"]["name"]


def listing(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the list of licences of some images, by the names of their lists."""
    licences: dict[str, str] = {}
    users: dict[str, list[str]] = {}
    for image, document in documents.items():
        for component in document["components"]:
            name = component["purl"].removeprefix("pkg:pypi/").partition("@")[0]
            licences[name] = licence(component)
            users.setdefault(name, []).append("api, worker" if image == "server" else image)
    rows = [f"| {name} | {licences[name]} | {', '.join(users[name])} |" for name in sorted(users)]
    return HEAD + "\n".join(rows) + "\n"


def write(folder: Path, work: Path) -> dict[str, Any]:
    """Writes a document for each list of the images into ``folder``, and returns them.

    Raises:
        CannotInstall: a list, or the program that makes the documents, could not be installed.
    """
    program = installed(work / "tools", lock.AUDIT) / "cyclonedx-py"
    folder.mkdir(parents=True, exist_ok=True)
    documents: dict[str, Any] = {}
    for name in IMAGES:
        python = installed(work / name, name) / "python"
        target = folder / f"{name}.cdx.json"
        command = [str(program), "environment", "--pyproject", str(lock.ROOT / "pyproject.toml")]
        command += ["--mc-type", "application", "--output-reproducible", "--of", "JSON"]
        done = subprocess.run(  # noqa: S603 - the arguments are written above
            [*command, "--output-file", str(target), str(python)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CannotInstall(done.stderr.strip()[-2000:])
        documents[name] = json.loads(target.read_text(encoding="utf-8"))
        print(f"{target.relative_to(lock.ROOT)}: {len(documents[name]['components'])} packages")
    return documents


def main() -> int:
    """Writes the documents and the list; says what went wrong and returns 1."""
    with TemporaryDirectory(prefix="memctx-sbom-") as work:
        try:
            documents = write(lock.ROOT / "dist/sbom", Path(work))
        except CannotInstall as error:
            sys.stderr.write(f"error: the packages cannot be installed: {error}\n")
            return 1
    LISTED.write_text(listing(documents), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
