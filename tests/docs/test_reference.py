"""The reference documents are what the program is, and prose names only what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from context_api.http.app import openapi_document
from context_api.settings import Settings
from memctx.cli import cli
from tools import generate, reference

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

SETTINGS = reference.settings(Settings)
COMMANDS = list(reference.commands(cli, "memctx"))
ROUTES = list(reference.routes(openapi_document()))

# Variables that are read by something else than the hub's settings, and by what.
OTHER_VARIABLES = {
    "MEMCTX_ALLOW_HTTP": "the command line",
    "MEMCTX_APP_PASSWORD": "the migrations",
    "MEMCTX_AUDITOR_PASSWORD": "the migrations",
    "MEMCTX_CA_FILE": "the command line",
    "MEMCTX_PROJECT": "the command line",
    "MEMCTX_URL": "the command line",
    "MEMCTX_TEST_DATA": "the tests",
    "MEMCTX_TEST_HISTORIES": "the tests",
    "MEMCTX_WORKER_PASSWORD": "the migrations",
}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def test_generated_documents_are_up_to_date() -> None:
    assert generate.differences(generate.artefacts()) == []


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.names[0])
def test_setting_is_described(setting: reference.Setting) -> None:
    assert setting.description.endswith(".")
    assert f"`{setting.names[0]}`" in (ROOT / "docs/settings.md").read_text()
    assert f"# {setting.names[0]}=" in (ROOT / ".env.example").read_text()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.path)
def test_command_is_described(command: reference.Command) -> None:
    assert command.description
    # click gives arguments no help of their own; the description of the command names them.
    options = [(name, text) for name, text in command.parameters if name.startswith("-")]
    assert [option for option, text in options if not text] == []
    assert f"### `{command.path}`" in (ROOT / "docs/cli.md").read_text()


@pytest.mark.parametrize(("tag", "route", "summary", "statuses"), ROUTES)
def test_route_is_described(tag: str, route: str, summary: str, statuses: str) -> None:
    assert tag != "other"
    assert summary
    assert re.search(r"\b[23]\d\d\b", statuses)
    assert f"`{route}`" in (ROOT / "docs/rest.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page_names_only_variables_that_exist(page: Path) -> None:
    known = {one for setting in SETTINGS for one in setting.names} | OTHER_VARIABLES.keys()
    named = set(re.findall(r"\bMEMCTX_[A-Z_]*[A-Z]", page.read_text()))
    assert {one for one in named if not {one, one.removesuffix("_FILE")} & known} == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page_names_only_commands_that_exist(page: Path) -> None:
    """Looks at code spans and console lines that begin with the program's name."""
    paths = {command.path for command in COMMANDS}
    groups = {path.rsplit(" ", 1)[0] for path in paths} - {"memctx"}
    pattern = r"(?:`|^\$ )memctx ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?"
    unknown = []
    for first, second in re.findall(pattern, page.read_text(), re.MULTILINE):
        command = f"memctx {first}"
        known = command in paths or (
            command in groups and (not second or f"{command} {second}" in paths)
        )
        if not known:
            unknown.append(f"{command} {second}".strip())
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_page_names_only_routes_that_exist(page: Path) -> None:
    shapes = {re.sub(r"\{\w+\}", "{}", route.split()[1]) for _, route, _, _ in ROUTES}
    named = re.findall(r"/api/v1/[\w/{}-]*[\w}]", page.read_text())
    assert {one for one in named if re.sub(r"\{\w+\}", "{}", one) not in shapes} == set()
