"""Sets the agent up with the supervisor that the machine has, and takes it away again.

What was made, files and folders, is written down first, so that `uninstall` removes that and
nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from memory_core.errors import Unavailable
from sync_agent.agent import units
from sync_agent.agent.folder import AgentFolder
from sync_agent.agent.units import Program
from sync_agent.errors import LocalFailure
from sync_agent.files import complete_file

COMMAND_SECONDS = 30.0


class Way(StrEnum):
    """The supervisors that the agent can be handed to."""

    SYSTEMD = "systemd"
    LAUNCHD = "launchd"
    CRON = "cron"


class NoSupervisor(Unavailable):
    """This machine has nothing that keeps the agent running."""

    code = "no_supervisor"


@dataclass(frozen=True, slots=True)
class Record:
    """What was installed: how, and which files and folders were made."""

    way: Way
    files: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that an installation does: a file's new content, or a command."""

    what: str
    file: Path | None = None
    content: bytes = b""
    command: Sequence[str] = ()
    given: str = ""


def find_way() -> Way:
    """Returns the supervisor that this machine has.

    Raises:
        NoSupervisor: it has none that is known here.
    """
    if sys.platform == "darwin":
        return Way.LAUNCHD
    if shutil.which("systemctl") and _works("systemctl", "--user", "show-environment"):
        return Way.SYSTEMD
    if shutil.which("crontab"):
        return Way.CRON
    raise NoSupervisor(
        "neither a systemd of the user, launchd nor cron is here: let what starts your programs"
        " run `memctx agent run`"
    )


def plan(way: Way, program: Program, home: Path) -> list[Step]:
    """Returns what installing does, in order."""
    match way:
        case Way.SYSTEMD:
            file = home / ".config/systemd/user" / units.SYSTEMD_UNIT
            if "XDG_CONFIG_HOME" in program.environment:
                config = Path(program.environment["XDG_CONFIG_HOME"])
                file = config / "systemd/user" / units.SYSTEMD_UNIT
            return [
                Step("write", file, units.systemd_unit(program).encode()),
                _command("systemctl", "--user", "daemon-reload"),
                _command("systemctl", "--user", "enable", units.SYSTEMD_UNIT),
                _command("systemctl", "--user", "restart", units.SYSTEMD_UNIT),
            ]
        case Way.LAUNCHD:
            file = home / "Library/LaunchAgents" / f"{units.LAUNCHD_LABEL}.plist"
            return [
                Step("write", file, units.launchd_plist(program)),
                _command("launchctl", "bootstrap", f"gui/{os.getuid()}", str(file)),
            ]
        case Way.CRON:
            line = units.cron_line(program)
            return [
                Step(
                    f"add to the crontab: {line}",
                    command=("crontab", "-"),
                    given=units.with_cron_line(_crontab(), line),
                )
            ]


def install(folder: AgentFolder, way: Way, program: Program, home: Path) -> list[Step]:
    """Installs the agent; what was installed before in another way is taken away first.

    Returns the steps that changed something: none where everything was as it should be.

    Raises:
        LocalFailure: a file cannot be written, or a command fails.
    """
    steps = plan(way, program, home)
    before = _read_record(folder)
    if before is not None and before.way is not way:
        uninstall(folder)
        before = None
    if before is not None and _is_done(steps):
        return []
    made = [str(path) for step in steps if step.file for path in _missing(step.file.parent)]
    record = Record(
        way,
        files=tuple(str(step.file) for step in steps if step.file),
        folders=tuple(sorted({*made, *(before.folders if before else ())})),
    )
    with complete_file(folder.installed) as file:
        file.write(json.dumps(asdict(record)).encode())
    if before is not None and way is Way.LAUNCHD:
        _try("launchctl", "bootout", f"gui/{os.getuid()}/{units.LAUNCHD_LABEL}")
    for step in steps:
        _do(step)
    return steps


def installed_way(folder: AgentFolder) -> Way | None:
    """Returns how the agent is installed, or None."""
    record = _read_record(folder)
    return record.way if record is not None else None


def start_installed(way: Way | None) -> bool:
    """Lets the supervisor start the agent; says whether there is one that does."""
    match way:
        case Way.SYSTEMD:
            return _works("systemctl", "--user", "start", units.SYSTEMD_UNIT)
        case Way.LAUNCHD:
            return _works("launchctl", "kickstart", f"gui/{os.getuid()}/{units.LAUNCHD_LABEL}")
    return False


def uninstall(folder: AgentFolder) -> list[str]:
    """Takes away what `install` made, and returns the files that were removed."""
    record = _read_record(folder)
    if record is None:
        return []
    match record.way:
        case Way.SYSTEMD:
            _try("systemctl", "--user", "disable", "--now", units.SYSTEMD_UNIT)
        case Way.LAUNCHD:
            _try("launchctl", "bootout", f"gui/{os.getuid()}/{units.LAUNCHD_LABEL}")
        case Way.CRON:
            _restore_crontab()
    removed = []
    for name in record.files:
        if Path(name).exists():
            Path(name).unlink()
            removed.append(name)
    if record.way is Way.SYSTEMD:
        _try("systemctl", "--user", "daemon-reload")
    for name in sorted(record.folders, key=len, reverse=True):
        with suppress(OSError):
            Path(name).rmdir()
    folder.installed.unlink(missing_ok=True)
    return removed


def remove_state(folder: AgentFolder) -> None:
    """Removes what an agent that no longer runs left in its folder, and the folder if empty."""
    names = ("registry.json", "stopped", "installed.json", "agent.sock", "agent.lock")
    files = [folder.root / name for name in names] + sorted(folder.root.glob("agent.log*"))
    for file in [*files, folder.socket]:
        with suppress(OSError):
            file.unlink(missing_ok=True)
    for each in (folder.socket_folder, folder.root, folder.root.parent):
        with suppress(OSError):
            each.rmdir()


def _command(*arguments: str) -> Step:
    return Step(" ".join(arguments), command=arguments)


def _do(step: Step) -> None:
    if step.file is not None:
        try:
            step.file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalFailure(f"{step.file.parent}: {error.strerror}") from error
        with complete_file(step.file) as file:
            file.write(step.content)
    if step.command:
        _run(step.command, step.given)


def _is_done(steps: Sequence[Step]) -> bool:
    """Says whether files and crontab hold already what they are to hold."""
    for step in steps:
        if step.file is not None and _content(step.file) != step.content:
            return False
        if step.given and _crontab() != step.given:
            return False
    return True


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _missing(folder: Path) -> list[Path]:
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _read_record(folder: AgentFolder) -> Record | None:
    try:
        content = json.loads(folder.installed.read_bytes())
        return Record(
            Way(content["way"]),
            tuple(str(name) for name in content["files"]),
            tuple(str(name) for name in content["folders"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _crontab() -> str:
    """Returns the user's crontab, empty if there is none."""
    try:
        done = _call(("crontab", "-l"))
    except LocalFailure:
        return ""
    return done.stdout if done.returncode == 0 else ""


def _restore_crontab() -> None:
    before = _crontab()
    after = units.without_cron_line(before)
    if after == before:
        return
    _run(("crontab", "-"), after) if after.strip() else _run(("crontab", "-r"))


def _works(*command: str) -> bool:
    try:
        return _call(command).returncode == 0
    except LocalFailure:
        return False


def _try(*command: str) -> None:
    """Runs a command that may fail, as where there is nothing to end."""
    with suppress(LocalFailure):
        _call(command)


def _run(command: Sequence[str], given: str = "") -> None:
    done = _call(command, given)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise LocalFailure(f"`{' '.join(command)}` failed: {said[-1] if said else 'no reason'}")


def _call(command: Sequence[str], given: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - fixed programs, no shell
            command,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalFailure(f"`{' '.join(command)}` cannot be run: {error}") from error
