"""Asks the advisory service of the package index about every package of the locked lists.

Run as ``make audit``, with the names of lists for those alone. Exits with 0 only when every
package was looked up and none has a known vulnerability that is not waived; with 1 when one has;
with 2 when anything could not be looked up, which is never the same as being well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tools import lock
from tools.environment import CannotInstall, installed

CLEAR, VULNERABLE, UNKNOWN = 0, 1, 2


class Waiver(NamedTuple):
    """Why a vulnerability does not concern this project, and until when that is believed."""

    until: date
    reason: str


WAIVED: Mapping[str, Waiver] = {}
"""By the identifier that the service gives, such as PYSEC-2026-1."""


@dataclass(slots=True)
class Verdict:
    """What was found in one list: each entry is a line for a reader."""

    known: list[str] = field(default_factory=list)
    waived: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status that this stands for."""
        if self.known:
            return VULNERABLE
        return UNKNOWN if self.unknown else CLEAR


def judge(answer: Mapping[str, Any], today: date, waived: Mapping[str, Waiver] = WAIVED) -> Verdict:
    """Returns what an answer of pip-audit in JSON says; a package that it skipped is unknown."""
    verdict = Verdict()
    for package in answer["dependencies"]:
        name = f"{package['name']} {package.get('version', '')}".strip()
        if reason := package.get("skip_reason"):
            verdict.unknown.append(f"{package['name']}: {reason}")
        for found in package.get("vulns", []):
            line = f"{name}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none'}"
            waiver = waived.get(found["id"])
            if waiver is None:
                verdict.known.append(line)
            elif waiver.until < today:
                verdict.known.append(f"{line} (waived until {waiver.until})")
            else:
                verdict.waived.append(f"{line}; waived until {waiver.until}: {waiver.reason}")
    return verdict


def look_up(program: Path, name: str, today: date) -> Verdict:
    """Runs pip-audit on one list."""
    command = [str(program), "-r", str(lock.FOLDER / f"{name}.txt"), "--require-hashes"]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip().splitlines()
        return Verdict(
            unknown=[f"no answer: {said[-1][:300] if said else 'pip-audit said nothing'}"]
        )
    return judge(answer, today)


def report(name: str, verdict: Verdict) -> None:
    """Prints what was found in one list."""
    for line in verdict.known:
        print(f"{name}: vulnerable: {line}")
    for line in verdict.waived:
        print(f"{name}: {line}")
    if verdict.unknown:
        print(f"{name}: NOT CHECKED: {len(verdict.unknown)} packages, such as {verdict.unknown[0]}")
    elif not verdict.known:
        print(f"{name}: nothing is known against its packages")


def main(arguments: Sequence[str] = ()) -> int:
    """Looks up the lists that are named, else all, and returns the exit status."""
    today = datetime.now(UTC).date()
    with TemporaryDirectory(prefix="memctx-audit-") as folder:
        try:
            programs = installed(Path(folder) / "environment", lock.AUDIT)
        except CannotInstall as error:
            sys.stderr.write(
                f"error: pip-audit cannot be installed, nothing was checked: {error}\n"
            )
            return UNKNOWN
        return audit(programs / "pip-audit", arguments or lock.names(), today)


def audit(program: Path, names: Sequence[str], today: date) -> int:
    """Looks up lists with a program that is there, prints what it found, returns the status."""
    found = {name: look_up(program, name, today) for name in names}
    for name, verdict in found.items():
        report(name, verdict)
    statuses = {verdict.status for verdict in found.values()}
    if UNKNOWN in statuses or any(verdict.unknown for verdict in found.values()):
        sys.stderr.write(
            "error: the advisory service could not be asked about every package, so this says"
            " nothing about those; it needs a way to that service, past a mirror without it\n"
        )
    return VULNERABLE if VULNERABLE in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
