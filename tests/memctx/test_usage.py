"""What is asked wrongly is answered with 2, one line and the next step."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import click
import pytest

from memctx.__main__ import main
from memctx.cli import COMMANDS, SECTIONS, cli
from tests.support.hub import free_port


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without hub, key and user's files."""
    for name in ("MEMCTX_PROJECT", "MEMCTX_API_KEY_FILE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MEMCTX_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("MEMCTX_API_KEY", "mctx_0123456789ab_" + "k" * 43)
    monkeypatch.setenv("MEMCTX_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def commands() -> list[tuple[str, click.Command]]:
    """Returns every command with its full name."""
    found: list[tuple[str, click.Command]] = []

    def walk(name: str, command: click.Command) -> None:
        if isinstance(command, click.Group):
            for below, each in command.commands.items():
                walk(f"{name} {below}", each)
        else:
            found.append((name, command))

    for name, entry in COMMANDS.items():
        module, _, attribute = entry.target.partition(":")
        walk(name, getattr(import_module(f"memctx.commands.{module}"), attribute))
    return found


@pytest.mark.parametrize(
    "arguments",
    [
        ["serch"],
        ["search"],
        ["search", "x", "--limit", "0"],
        ["search", "x", "--limit", "many"],
        ["search", "x", "--kind", "thing"],
        ["search", "x", "--since", "soon"],
        ["search", "x", "--nope"],
        ["sessions", "shwo", "x"],
        ["sessions", "edit", "0198c5e2-0000-7000-8000-000000000000"],
        ["sessions", "add", "--title", "x", "--message", "nobody: hello"],
        ["sessions", "delete", "0198c5e2-0000-7000-8000-000000000000"],
        ["keys", "revoke", "x"],
        ["import", "--agent", "cursor"],
        ["import", "/does/not/exist"],
        ["projects", "edit", "x"],
        ["export", "-", "--json"],
        ["checkpoints", "add"],
        ["--project", "a", "--project", "b", "sessions", "list"],
        ["--url", "nonsense", "search", "x"],
        ["--url", "http://10.0.0.1", "search", "x"],
        ["search", "x" * 10, "--url", "https://u:p@hub"],
    ],
)
def test_wrong_use_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    if "--json" not in arguments:
        assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1

    assert main([*arguments, "--json"]) == 2
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["status"] == "error"
    assert envelope["error"]["code"]


def test_a_misspelt_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serch"]) == 2
    assert "Did you mean search?" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "memctx import" in capsys.readouterr().err


def test_a_hub_that_does_not_run_exits_with_1_and_the_next_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["search", "x"]) == 1
    assert "memctx serve" in capsys.readouterr().err
    assert main(["search", "x", "--json"]) == 1
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["error"]["code"] == "hub_unreachable"
    assert envelope["command"] == "search"


def test_every_command_takes_the_options_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    for name, _ in commands():
        assert main([*name.split(), "--help"]) == 0
        text = capsys.readouterr().out
        for option in ("--json", "--project", "--url", "--quiet", "--no-color"):
            assert option in text, name


def test_the_list_of_commands_says_what_the_commands_say() -> None:
    assert sum(len(entries) for entries in SECTIONS.values()) == len(COMMANDS)
    for name, entry in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.name == name
        assert entry.help.endswith(".")


def test_every_command_says_what_it_does() -> None:
    for name, command in commands():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert parameter.help, f"{name} {parameter.opts}"
                assert parameter.help.endswith("."), f"{name} {parameter.opts}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_MEMCTX_COMPLETE" in capsys.readouterr().out


def test_settings_are_shown_without_the_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--json"]) == 0
    text = capsys.readouterr().out
    assert "kkk" not in text
    assert "mctx_0123456789ab_" in text


def test_the_version_is_also_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    asked_as_option = capsys.readouterr().out
    assert main(["version"]) == 0
    assert asked_as_option == capsys.readouterr().out
