"""What the machine's supervisors are told about the agent, and how it is taken away again."""

from __future__ import annotations

import plistlib
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.agent import units
from sync_agent.agent.folder import AgentFolder
from sync_agent.agent.installing import (
    NoSupervisor,
    Way,
    find_way,
    install,
    installed_way,
    remove_state,
    uninstall,
)
from sync_agent.agent.units import Program
from sync_agent.errors import InvalidConfig

PROGRAM = Program(("/opt/my tools/python", "-m", "memctx"), {"XDG_STATE_HOME": "/data/100%"})
CRONTAB = """#!/bin/sh
file="$HOME/crontab"
case "$1" in
  -l) [ -f "$file" ] && cat "$file" || { echo "no crontab" >&2; exit 1; } ;;
  -r) rm "$file" ;;
  -) cat > "$file" ;;
esac
"""
SYSTEMCTL = '#!/bin/sh\necho "$@" >> "$HOME/../systemctl.log"\n'
PRINTABLE = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), min_size=1)


def snapshot(root: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }


class Machine:
    """A user's home, with supervisors that keep what they are told in it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.home, self.programs = root, root / "home", root / "bin"
        self.home.mkdir()
        self.programs.mkdir()
        monkeypatch.setenv("HOME", str(self.home))
        # Only what a test puts there is found; the stand-ins' own tools lie in these two.
        monkeypatch.setenv("PATH", f"{self.programs}:/nowhere")
        self.folder = AgentFolder(self.home / ".local/state/memory-context/agent")

    def has(self, name: str, script: str) -> None:
        program = self.programs / name
        shell_path = "PATH=/usr/bin:/bin\n"
        program.write_text(script.replace("\n", "\n" + shell_path, 1))
        program.chmod(0o755)

    def install(self, way: Way, program: Program = PROGRAM) -> list[str]:
        self.folder.make()
        return [step.what for step in install(self.folder, way, program, self.home)]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_the_unit_starts_the_agent_and_undoes_no_stop_that_was_asked_for() -> None:
    unit = units.systemd_unit(PROGRAM)
    assert 'ExecStart="/opt/my tools/python" "-m" "memctx" "agent" "run"\n' in unit
    assert 'Environment="XDG_STATE_HOME=/data/100%%"\n' in unit
    assert "Restart=on-failure\n" in unit


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    python = tmp_path / "my tools $HOME %h" / "python"
    python.parent.mkdir()
    python.symlink_to("/bin/true")
    file = tmp_path / units.SYSTEMD_UNIT
    file.write_text(units.systemd_unit(Program((str(python), "-m", "memctx"))))
    done = subprocess.run(
        ["systemd-analyze", "--user", "verify", str(file)],
        capture_output=True, text=True, check=False, timeout=60,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert units.SYSTEMD_UNIT not in done.stderr, done.stderr


@given(st.lists(PRINTABLE, min_size=1, max_size=3), PRINTABLE)
def test_any_path_is_one_word_of_the_cron_line(parts: list[str], value: str) -> None:
    program = Program(tuple(parts), {"HOME": value})
    line = units.cron_line(program)
    command = line.removeprefix("*/15 * * * * ").replace("\\%", "%")
    words = shlex.split(command, comments=True)
    assert words[: len(parts) + 4] == ["env", f"HOME={value}", *parts, "agent", "start"]
    # What cron takes for a line's end is a % without a backslash before it.
    assert "%" not in line.replace("\\%", "")


@given(st.lists(PRINTABLE, max_size=4))
def test_a_crontab_of_others_comes_back_as_it_was(lines: list[str]) -> None:
    before = "".join(f"{line}\n" for line in lines if units.CRON_MARK not in line)
    line = units.cron_line(PROGRAM)
    once = units.with_cron_line(before, line)
    assert units.with_cron_line(once, line) == once
    assert units.without_cron_line(once) == before


def test_the_property_list_says_the_same() -> None:
    found = plistlib.loads(units.launchd_plist(PROGRAM))
    assert found["ProgramArguments"] == [*PROGRAM.arguments, "agent", "run"]
    assert found["EnvironmentVariables"] == {"XDG_STATE_HOME": "/data/100%"}
    assert found["KeepAlive"] == {"SuccessfulExit": False}


def test_a_path_that_would_end_a_line_is_refused() -> None:
    with pytest.raises(InvalidConfig):
        Program(("/opt/a\nExecStartPre=/bin/evil",))


def test_the_supervisor_of_the_machine_is_found(machine: Machine) -> None:
    with pytest.raises(NoSupervisor):
        find_way()
    machine.has("crontab", CRONTAB)
    assert find_way() is Way.CRON
    machine.has("systemctl", "#!/bin/sh\nexit 1\n")
    assert find_way() is Way.CRON
    machine.has("systemctl", SYSTEMCTL)
    assert find_way() is Way.SYSTEMD


def test_an_agent_under_systemd_is_taken_away_without_a_trace(machine: Machine) -> None:
    machine.has("systemctl", SYSTEMCTL)
    (machine.home / ".config").mkdir()
    (machine.home / ".config" / "other").write_text("x")
    before = snapshot(machine.home)
    assert machine.install(Way.SYSTEMD)
    unit = machine.home / ".config/systemd/user" / units.SYSTEMD_UNIT
    assert unit.is_file()
    assert installed_way(machine.folder) is Way.SYSTEMD
    assert machine.install(Way.SYSTEMD) == []
    assert uninstall(machine.folder) == [str(unit)]
    assert installed_way(machine.folder) is None
    assert uninstall(machine.folder) == []
    remove_state(machine.folder)
    for folder in (".local/state", ".local"):
        (machine.home / folder).rmdir()
    assert snapshot(machine.home) == before
    commands = (machine.root / "systemctl.log").read_text().splitlines()
    assert commands == [
        "--user daemon-reload",
        f"--user enable {units.SYSTEMD_UNIT}",
        f"--user restart {units.SYSTEMD_UNIT}",
        f"--user disable --now {units.SYSTEMD_UNIT}",
        "--user daemon-reload",
    ]


@pytest.mark.parametrize("others", [None, "0 5 * * * backup\n", "# mine, without an end"])
def test_an_agent_under_cron_is_taken_away_without_a_trace(
    machine: Machine, others: str | None
) -> None:
    machine.has("crontab", CRONTAB)
    crontab = machine.home / "crontab"
    if others is not None:
        crontab.write_text(others)
    assert machine.install(Way.CRON)
    assert machine.install(Way.CRON) == []
    assert crontab.read_text().count("agent start --unless-stopped") == 1
    uninstall(machine.folder)
    if others is None:
        assert not crontab.exists()
    else:
        assert crontab.read_text().rstrip("\n") == others.rstrip("\n")


def test_a_new_path_of_the_program_replaces_the_old(machine: Machine) -> None:
    machine.has("crontab", CRONTAB)
    machine.install(Way.CRON)
    assert machine.install(Way.CRON, Program(("/new/python", "-m", "memctx")))
    text = (machine.home / "crontab").read_text()
    assert "/new/python" in text
    assert "my tools" not in text


def test_another_way_takes_the_first_away(machine: Machine) -> None:
    machine.has("crontab", CRONTAB)
    machine.has("systemctl", SYSTEMCTL)
    machine.install(Way.CRON)
    machine.install(Way.SYSTEMD)
    assert not (machine.home / "crontab").exists()
    assert installed_way(machine.folder) is Way.SYSTEMD
