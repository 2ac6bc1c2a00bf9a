"""Two real sessions, where they are present."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from memory_core.transcripts import Item, Malformed, find_transcripts, read
from tests.memory_core.transcripts.builders import checkpoints, ends, messages, sessions

DATA = Path(os.environ.get("MEMCTX_TEST_DATA") or Path(__file__).parents[4] / "shared")
FOLDERS = [DATA / "data", DATA]


@pytest.fixture(scope="module")
def data() -> Path:
    for folder in FOLDERS:
        if (folder / "transcripts").is_dir() and (folder / "coding-golden-dev.json").is_file():
            return folder
    pytest.skip("the real transcripts are not here")


@pytest.fixture(scope="module")
def items(data: Path) -> list[Item]:
    found = find_transcripts([data / "transcripts"])
    assert found.skipped == []
    return [item for transcript in found.transcripts for item in read(transcript.path)]


def records(data: Path) -> list[dict[str, object]]:
    """What is said in the files, read here in the plainest way."""
    found = []
    for path in sorted((data / "transcripts").rglob("*.jsonl")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if record["type"] not in {"user", "assistant"} or record.get("isMeta"):
                continue
            content = record["message"]["content"]
            if isinstance(content, list) and not str(content[0].get("text", "x")).strip():
                continue
            found.append(record)
    return found


def is_compaction(record: dict[str, object]) -> bool:
    return str(record.get("agentId", "")).startswith("acompact")


def test_every_line_that_says_something_is_found_by_its_uuid(data: Path, items: list[Item]) -> None:
    said = {record["uuid"] for record in records(data) if not is_compaction(record)}
    found = {m.source_id for m in messages(items)} | {c.source_id for c in checkpoints(items)}
    joined = {source for m in messages(items) for source in m.metadata.get("source_ids", [])}
    assert said - found - joined == set()
    assert found - said == {None}
    assert not [item for item in items if isinstance(item, Malformed)]


def test_every_gold_line_is_a_message_or_a_checkpoint(data: Path, items: list[Item]) -> None:
    found = {m.source_id for m in messages(items)} | {c.source_id for c in checkpoints(items)}
    # A compaction's summary stands twice, in the main file and in the compacting agent's: it is
    # one checkpoint, under the uuid of the main file.
    copies = {record["uuid"] for record in records(data) if is_compaction(record)}
    questions = json.loads((data / "coding-golden-dev.json").read_text())
    gold = [set(question["gold"]) for question in questions if question["gold"]]
    assert len(gold) > 20
    assert all(answers & found for answers in gold)
    assert {uuid for answers in gold for uuid in answers} - found - copies == set()
    assert all(answers & {c.source_id for c in checkpoints(items)} for answers in gold
               if answers & copies)  # fmt: skip


def test_each_compaction_is_one_checkpoint(data: Path, items: list[Item]) -> None:
    compacted = [r["uuid"] for r in records(data) if r.get("isCompactSummary")]
    assert sorted(c.source_id for c in checkpoints(items) if c.source_id) == sorted(compacted)


def test_sessions_and_their_subagents(items: list[Item]) -> None:
    mains = [s for s in sessions(items) if s.parent_id is None]
    children = [s for s in sessions(items) if s.parent_id]
    assert len(mains) == len([c for c in checkpoints(items) if c.source_id is None]) == 2
    assert {s.parent_id for s in children} == {s.id for s in mains}
    assert len(ends(items)) == len(mains) + len(children)
    for end in ends(items):
        assert 0 < len(end.title) <= 120


def test_texts_are_short_and_clean(items: list[Item]) -> None:
    for message in messages(items):
        assert message.tool_name is None or len(message.text) <= 4_000
        assert "<system-reminder>" not in message.text
        assert "\x1b" not in message.text
    roles = Counter(message.role for message in messages(items))
    assert roles["assistant"] > roles["tool"] > roles["user"] > 0
