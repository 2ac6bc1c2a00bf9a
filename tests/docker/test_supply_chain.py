"""Where packages and images come from: all by hash, all named, and no doubt taken for an answer."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.docker.compose import COMPOSE, EXAMPLES, ROOT, VARIABLE
from tests.docker.test_requirements import PIN, pins
from tools import audit, lock, sbom
from tools.containers import VARIABLES

TODAY = date(2026, 11, 21)
DOCKERFILES = sorted((ROOT / "infrastructure").rglob("Dockerfile"))


def package(name: str, *found: str, **more: Any) -> dict[str, Any]:
    vulnerable = [{"id": one, "fix_versions": ["2.0"]} for one in found]
    return {"name": name, "version": "1.0", "vulns": vulnerable, **more}


def skipped(name: str) -> dict[str, Any]:
    return {"name": name, "skip_reason": f"Dependency not found on PyPI: {name} (1.0)"}


@pytest.mark.parametrize(
    ("packages", "status"),
    [
        ([package("a"), package("b")], audit.CLEAR),
        ([package("a"), package("b", "PYSEC-1")], audit.VULNERABLE),
        ([package("a"), package("b", "PYSEC-OLD")], audit.VULNERABLE),
        ([package("a"), package("b", "PYSEC-LONG")], audit.CLEAR),
        ([package("a"), skipped("b")], audit.UNKNOWN),
        ([skipped("a"), package("b", "PYSEC-1")], audit.VULNERABLE),
    ],
)
def test_an_audit_is_clear_only_if_all_was_looked_up(
    packages: list[dict[str, Any]], status: int
) -> None:
    waived = {
        "PYSEC-OLD": audit.Waiver(date(2026, 11, 20), "was not reachable"),
        "PYSEC-LONG": audit.Waiver(date(2026, 11, 21), "is not reachable"),
    }
    assert audit.judge({"dependencies": packages}, TODAY, waived).status == status


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("echo 'ConnectionError: api.example.org' >&2; exit 1", audit.UNKNOWN),
        (f"echo '{json.dumps({'dependencies': [skipped('a')]})}'", audit.UNKNOWN),
        (f"echo '{json.dumps({'dependencies': [package('a')]})}'", audit.CLEAR),
    ],
)
def test_a_service_that_does_not_answer_is_no_good_news(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], script: str, status: int
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    assert audit.audit(program, ["build"], TODAY) == status
    said = capsys.readouterr()
    assert ("could not be asked" in said.err) is (status == audit.UNKNOWN)
    assert ("nothing is known against" in said.out) is (status == audit.CLEAR)


def test_every_package_of_the_images_is_in_the_list_of_licences() -> None:
    row = re.compile(r"^\| ([a-z0-9.-]+) \| (.+) \| (.+) \|$", re.MULTILINE)
    rows = row.findall(sbom.LISTED.read_text())
    for image, used in (("server", "api, worker"), ("agent", "agent")):
        listed = {name for name, _, users in rows if used in users}
        text = (lock.FOLDER / f"{image}.txt").read_text()
        # Those that only some patch releases of Python need.
        some = {name for name, _, marker in PIN.findall(text) if "python_full_version" in marker}
        assert pins(image).keys() - some <= listed <= pins(image).keys() | some, "run make sbom"


def test_a_licence_is_told_as_exactly_as_it_is_declared() -> None:
    exact = {"license": {"id": "MPL-2.0"}}
    named = {"license": {"name": "License :: OSI Approved :: BSD License"}}
    text = {"license": {"name": "Permission is hereby granted\nfree of charge"}}
    assert sbom.licence({"licenses": [named, exact]}) == "MPL-2.0"
    assert sbom.licence({"licenses": [named]}) == "BSD License"
    assert sbom.licence({"licenses": [{"expression": "MIT OR Apache-2.0"}]}) == "MIT OR Apache-2.0"
    assert sbom.licence({"licenses": [text]}) == sbom.licence({}) == "not declared"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_install_by_hash_only(path: Path) -> None:
    text = path.read_text().replace("\\\n", " ")
    installs = re.findall(r"pip(?:\d*)?(?: --python \S+)? install [^&\n]*", text)
    assert [one for one in installs if not _is_checked(one)] == []
    assert "ADD http" not in text
    assert re.search(r"curl|wget", text) is None


def _is_checked(install: str) -> bool:
    return "--require-hashes" in install or ("--no-deps" in install and "/wheels/" in install)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_base_images_can_be_given_by_digest(path: Path) -> None:
    text = path.read_text()
    stages = set(re.findall(r" AS (\S+)$", text, re.MULTILINE))
    bases = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) - stages
    named = {f"${{{name}}}" for name in re.findall(r"^ARG (\w+)=", text, re.MULTILINE)}
    assert bases
    assert bases <= named
    known = {one.name for one in VARIABLES}
    assert {base.strip("${}") for base in bases} <= known


@pytest.mark.parametrize("path", [COMPOSE, *EXAMPLES], ids=lambda path: path.name)
def test_every_image_that_is_not_ours_can_be_given_by_digest(path: Path) -> None:
    images = re.findall(r"^\s+image: (\S+)$", path.read_text(), re.MULTILINE)
    foreign = [one for one in images if not one.startswith("memory-context/")]
    assert [one for one in foreign if not VARIABLE.fullmatch(one)] == []
    known = {one.name for one in VARIABLES if one.name.endswith("_IMAGE")}
    assert {VARIABLE.findall(one)[0][0] for one in foreign} <= known
