"""How much is found, and how much is touched that should not be."""

from __future__ import annotations

import argparse
import ast
import email
import inspect
import json
import os
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from memory_core.redaction import KINDS, Category, redact_text
from tests.memory_core.redaction.benign import benign_lines
from tests.memory_core.redaction.corpus import Planted, planted_in_place, planted_tokens

SHARED = Path(__file__).parents[4] / "shared" / "data"
DATA = Path(os.environ.get("MEMCTX_TEST_DATA") or SHARED)


def missed(cases: list[Planted]) -> list[Planted]:
    return [case for case in cases if case.secret in redact_text(case.text).text]


def figures(cases: list[Planted], lost: list[Planted]) -> str:
    kinds = {kind for case in cases for kind in case.kinds}
    share = 1 - len(lost) / len(cases)
    where = [f"{case.kinds}: {case.text[:160]!r}" for case in lost]
    return "\n".join([f"recall {share:.2%} of {len(cases)} secrets, {len(kinds)} types", *where])


def test_tokens_are_found_by_their_form() -> None:
    cases = [*planted_tokens()]
    lost = missed(cases)
    assert len(cases) >= 60
    assert len(lost) <= 0.01 * len(cases), figures(cases, lost)


def test_secrets_are_found_by_their_place() -> None:
    cases = [*planted_in_place()]
    lost = missed(cases)
    assert len(cases) >= 60
    assert len(lost) <= 0.02 * len(cases), figures(cases, lost)


def test_findings_have_the_right_type_and_count() -> None:
    wrong = []
    for case in [*planted_tokens(), *planted_in_place()]:
        counts = redact_text(case.text).counts
        if sum(counts.values()) != 1 or not counts.keys() & set(case.kinds):
            wrong.append((case.kinds, dict(counts), case.text[:120]))
    total = len([*planted_tokens(), *planted_in_place()])
    assert len(wrong) <= 0.01 * total, wrong


def test_every_credential_type_is_in_the_corpus() -> None:
    planted = {kind for case in [*planted_tokens(), *planted_in_place()] for kind in case.kinds}
    credentials = {kind.name for kind in KINDS if kind.category is Category.CREDENTIAL}
    assert credentials - planted == set()


def test_benign_lines_stay_as_they_are() -> None:
    lines = benign_lines()
    touched = [line for line in lines if redact_text(line, "PUBLIC").text != line]
    assert len(set(lines)) >= 300
    share = len(touched) / len(lines)
    assert share <= 0.01, f"{share:.2%} of {len(lines)} benign lines touched: {touched}"


def test_benign_lines_stay_as_they_are_in_one_text() -> None:
    text = "\n".join(benign_lines())
    assert redact_text(text, "PUBLIC").text == text


def test_source_code_stays_as_it_is() -> None:
    """The standard library holds no secrets, and over a hundred thousand lines of code."""
    library = Path(sysconfig.get_path("stdlib"))
    counts: Counter[str] = Counter()
    lines = 0
    for path in sorted(library.glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        counts.update(redact_text(text).counts)
        lines += text.count("\n")
    assert lines > 80_000
    found = sum(counts.values())
    assert found <= lines / 10_000, f"{found} findings in {lines} lines: {dict(counts)}"


@pytest.mark.parametrize("module", [argparse, ast, email, json])
def test_code_stays_as_it_is_when_quoted_in_json(module: object) -> None:
    text = json.dumps({"content": json.dumps({"stdout": inspect.getsource(module)})})  # type: ignore[arg-type]
    assert redact_text(text).text == text


@pytest.mark.skipif(not (DATA / "transcripts").is_dir(), reason="the transcripts are not here")
def test_transcripts_are_hardly_touched() -> None:
    """Their owner took the secrets out, so whatever is found is a mistake of a rule."""
    touched, messages = [], 0
    for path in sorted((DATA / "transcripts").rglob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            for line in file:
                message = json.loads(line).get("message")
                if isinstance(message, dict):
                    messages += 1
                    text = json.dumps(message.get("content"), ensure_ascii=False)
                    if redact_text(text).counts:
                        touched.append(text[:200])
    assert messages > 0
    assert len(touched) <= 0.01 * messages, touched
