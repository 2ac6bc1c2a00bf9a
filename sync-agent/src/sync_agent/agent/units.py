"""What the machine's own supervisors are told about the agent, as text.

Nothing here is run by a shell, but a crontab's line is; every part of a command is quoted for
the language that it is written in.
"""

from __future__ import annotations

import plistlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sync_agent.errors import InvalidConfig

SYSTEMD_UNIT = "memory-context-agent.service"
LAUNCHD_LABEL = "memory-context.agent"
CRON_MARK = "# memory-context agent"
CRON_MINUTES = 15


@dataclass(frozen=True, slots=True)
class Program:
    """How `memctx` is started: the interpreter with its arguments, and what it must know of the
    folders of its user."""

    arguments: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = [*self.arguments, *self.environment, *self.environment.values()]
        if any(not text.isprintable() for text in texts):
            raise InvalidConfig("a path with control characters cannot be installed")


def systemd_unit(program: Program) -> str:
    """Returns a unit for the user's systemd (systemd.service(5), systemd.exec(5)).

    A stop that was asked for is not undone; a crash is, after 30 seconds.
    """
    path, *rest = program.arguments
    # Variables are expanded in arguments, but not in the path of the program.
    command = " ".join(
        [_systemd(path), *(_systemd(part).replace("$", "$$") for part in (*rest, "agent", "run"))]
    )
    variables = "".join(
        f"Environment={_systemd(f'{name}={value}')}\n"
        for name, value in program.environment.items()
    )
    return (
        "[Unit]\n"
        "Description=memory-context agent, keeps replicas in step with their hubs\n"
        "\n"
        "[Service]\n"
        "Type=exec\n"
        f"ExecStart={command}\n"
        f"{variables}"
        "Restart=on-failure\n"
        "RestartSec=30\n"
        "Nice=10\n"
        "UMask=0077\n"
        "NoNewPrivileges=yes\n"
        "\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    )


def launchd_plist(program: Program) -> bytes:
    """Returns a property list for the user's launchd (launchd.plist(5))."""
    content = {
        "Label": LAUNCHD_LABEL,
        "ProgramArguments": [*program.arguments, "agent", "run"],
        "EnvironmentVariables": dict(program.environment),
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 30,
        "ProcessType": "Background",
        "Umask": 0o077,
    }
    return plistlib.dumps(content)


def cron_line(program: Program) -> str:
    """Returns the line of a crontab (crontab(5)) that starts the agent where none runs."""
    variables = [f"{name}={value}" for name, value in program.environment.items()]
    prefix = ["env", *variables] if variables else []
    parts = [*prefix, *program.arguments, "agent", "start", "--unless-stopped"]
    command = shlex.join(parts).replace("%", "\\%")
    return f"*/{CRON_MINUTES} * * * * {command} >/dev/null 2>&1 {CRON_MARK}"


def with_cron_line(crontab: str, line: str) -> str:
    """Returns a crontab with the agent's line, in the place of the one that was there."""
    kept = without_cron_line(crontab)
    gap = "" if not kept or kept.endswith("\n") else "\n"
    return f"{kept}{gap}{line}\n"


def without_cron_line(crontab: str) -> str:
    """Returns a crontab without the agent's line; every other character stays."""
    lines = crontab.splitlines(keepends=True)
    return "".join(line for line in lines if not line.rstrip().endswith(CRON_MARK))


def _systemd(text: str) -> str:
    """Quotes one word (systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers")."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{quoted}"'
