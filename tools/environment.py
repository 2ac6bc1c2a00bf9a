"""Environments that are made for one purpose, from the locked lists, and thrown away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.lock import FOLDER


class CannotInstall(Exception):
    """A list could not be installed; the text ends with what the installer said."""


def installed(folder: Path, name: str) -> Path:
    """Makes an environment in ``folder`` that holds one list, and returns its programs' folder.

    Every package is checked against the hash in the list. pip itself is not in it.

    Raises:
        CannotInstall: no package index, or a package that is not what the list says.
    """
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    command = [*_pip(folder.with_name(f"{folder.name}-pip")), "--python", str(programs / "python")]
    command += ["install", "--quiet", "--require-hashes", "--only-binary", ":all:"]
    _run([*command, "-r", str(FOLDER / f"{name}.txt")])
    return programs


def _pip(folder: Path) -> list[str]:
    """Returns a command that runs pip, of an environment of its own."""
    _run([sys.executable, "-m", "venv", str(folder)])
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    return [str(programs / "python"), "-m", "pip", "--disable-pip-version-check"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    if done.returncode:
        raise CannotInstall((done.stderr or done.stdout).strip()[-2000:])
