"""What the documentation says is there, is there."""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_core.errors import ContextError
from tools import diagrams

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted(ROOT.glob("*/src"))
DECISIONS = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = tuple(
    f"{folder}/"
    for folder in [
        "benchmarks",
        "cli",
        "context-api",
        "core",
        "docs",
        "migration",
        "sync-agent",
        "tests",
        "tools",
    ]
)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """Returns a page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    """Returns the anchor that common Markdown renderers give a heading."""
    kept = re.sub(r"[^\w\- ]", "", unicodedata.normalize("NFC", heading).lower())
    return kept.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {anchor(heading) for heading in HEADING.findall(prose(page))}


def resolves(page: Path, target: str, root: Path) -> bool:
    path, _, fragment = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    inside = file.exists() and file.is_relative_to(root)
    return inside and (not fragment or fragment in anchors(file))


def broken_links(page: Path, root: Path = ROOT) -> list[str]:
    targets = (link or source for link, source in LINK.findall(prose(page)))
    inner = (target for target in targets if not re.match(r"[a-z]+:", target))
    return [target for target in inner if not resolves(page, target, root)]


def defining_modules() -> list[str]:
    """Returns the modules of the program that define an error code."""
    defines = re.compile(r'^    code(?:, status)?(?:: .+)? = "', re.MULTILINE)
    return [
        ".".join(path.relative_to(source).with_suffix("").parts)
        for source in SOURCES
        for path in sorted(source.rglob("*.py"))
        if defines.search(path.read_text(encoding="utf-8"))
    ]


def subclasses(base: type[ContextError]) -> Iterator[type[ContextError]]:
    yield base
    for one in base.__subclasses__():
        yield from subclasses(one)


def errors() -> list[type[ContextError]]:
    """Returns the error classes written in the program, without those made at run time."""
    modules = {name: importlib.import_module(name) for name in defining_modules()}
    return [
        one
        for one in subclasses(ContextError)
        if getattr(modules.get(one.__module__), one.__name__, None) is one
    ]


def test_every_error_is_documented_as_it_is() -> None:
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    documented = {code: (int(status), title) for code, status, title, _ in rows}
    assert documented == {one.code: (one.status, one.title()) for one in errors()}
    assert len(rows) == len(documented)
    assert all(advice.endswith(".") for *_, advice in rows)


def test_error_codes_are_unique() -> None:
    codes = [one.code for one in errors()]
    assert ContextError.code in codes
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_named_files_exist(page: Path) -> None:
    paths = (text for text in CODE.findall(prose(page)) if text.startswith(FOLDERS))
    missing = [
        path
        for path in paths
        if re.fullmatch(r"[\w./-]+/[\w./-]*", path) and not (ROOT / path).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_named_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:`|^\$ )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) <= targets


def test_every_page_is_reached_from_the_index() -> None:
    index = ROOT / "docs/index.md"
    linked = {
        (index.parent / (one or other).partition("#")[0]).resolve()
        for one, other in LINK.findall(prose(index))
    }
    pages = {page for page in PAGES if page.parent == ROOT / "docs"} - {index}
    assert pages - linked == set()


@pytest.mark.parametrize("page", DECISIONS, ids=name)
def test_decision_has_its_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    number = int(page.name[:4])
    assert text.startswith(f"# {number}. ")
    headings = HEADING.findall(text)[1:]
    assert headings == ["Context", "Decision", "Alternatives", "Enforced by"]
    assert re.search(r"^## Decision\n\n\*\*", text, re.MULTILINE)
    assert re.search(r"^Status: (accepted|template|superseded by \d+)$", text, re.MULTILINE)


def test_decision_numbers_are_unique() -> None:
    numbers = [page.name[:4] for page in DECISIONS]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(("path", "text"), diagrams.render().items())
def test_pictures_are_what_their_script_draws(path: str, text: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == text


def test_no_other_pictures_lie_about() -> None:
    assert {name(file) for file in (ROOT / "docs/images").iterdir()} == set(diagrams.render())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](nowhere.md)", ["nowhere.md"]),
        ("[a](page.md#no-such-heading)", ["page.md#no-such-heading"]),
        ('<img src="missing.svg">', ["missing.svg"]),
        ("[a](page.md#a-heading-here) [b](https://example.org/x)", []),
        ("```\n[a](nowhere.md)\n```", []),
    ],
)
def test_broken_links_are_found(tmp_path: Path, text: str, expected: list[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A heading, here\n\n{text}\n")
    assert broken_links(page, tmp_path) == expected
